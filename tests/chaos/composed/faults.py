"""Carries out a schedule of faults on a node, and records when each one began and ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import aiohttp

from orastream.contract.errors import OrastreamError
from tests.chaos.composed.history import Disturbance
from tests.chaos.composed.node import Node
from tests.chaos.composed.reactions import handover, relay
from tests.chaos.composed.schedule import SLOW_AFTER_CUT_S, Fault
from tests.chaos.composed.server_faults import ServerFaults, frozen
from tests.support.processes import Process, ProcessFailed

DRAIN_S = 20.0
RECEIVER_ANSWERS_S = 25.0
"""For an OraServer that is killed or stands still when a fault of it ends."""

Carry = Callable[[Fault, Disturbance], Awaitable[None]]


class Faults:
    """`await run(schedule)`. Every fault has ended, or was undone, when it returns."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.done: list[Disturbance] = []
        self._receiver: dict[str, object] = {}
        """The faults that OraServer shall have now."""
        self._receiver_changed = asyncio.Event()
        self._unanswered: list[asyncio.Future[None]] = []
        """Of each change of `_receiver` that OraServer has not answered."""
        self._by_kind: dict[str, Carry] = {
            "kill": self._kill,
            "stop": self._stop,
            "restart": self._restart,
            "rolling": self._rolling,
            "handover": lambda fault, record: handover(node, fault, record),
            "relay": lambda fault, record: relay(node, fault, record),
            "receiver_lie": self._discard,
            "receiver_kill": self._receiver_kill,
            "receiver_stop": self._receiver_stop,
            **ServerFaults(node).by_kind,
        }

    async def run(self, schedule: list[Fault]) -> None:
        """Carry out all faults at their times, counted from now."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        keeping = asyncio.create_task(self._keep_receiver())
        try:
            async with asyncio.TaskGroup() as tasks:
                for fault in schedule:
                    await asyncio.sleep(max(0.0, began + fault.at - loop.time()))
                    tasks.create_task(self._one(fault))
        finally:
            keeping.cancel()

    async def _one(self, fault: Fault) -> None:
        record = Disturbance(fault.kind, fault.target, time.time(), time.time() + 3600, f"{fault.value:g}")
        self.done.append(record)
        carry = self._by_kind.get(fault.kind)
        if carry is None:
            carry = self._receiver_fault if fault.kind.startswith("receiver_") else self._link
        try:
            await carry(fault, record)
        except (OSError, TimeoutError, ProcessFailed, AssertionError, aiohttp.ClientError, OrastreamError) as exc:
            record.failed = f"{type(exc).__name__}: {exc}"[:200]
        finally:
            record.ended = time.time()

    # ---- processes

    async def _kill(self, fault: Fault, _record: Disturbance) -> None:
        process = self._node.processes[fault.target]
        async with self._node.locks[fault.target]:
            process.kill()
            await asyncio.sleep(fault.seconds)
            process.launch()

    async def _stop(self, fault: Fault, _record: Disturbance) -> None:
        process = self._node.processes[fault.target]
        async with self._node.locks[fault.target]:
            if process.running:
                await frozen(process, fault.seconds)

    async def _restart(self, fault: Fault, record: Disturbance) -> None:
        async with self._node.locks[fault.target]:
            await self._drain(self._node.processes[fault.target], record)
            await asyncio.sleep(fault.seconds)
            self._node.processes[fault.target].launch()

    async def _rolling(self, fault: Fault, record: Disturbance) -> None:
        for name, process in self._node.processes.items():
            if process.service == fault.target:
                async with self._node.locks[name]:
                    await self._drain(process, record)
                    process.launch()
                with contextlib.suppress(ProcessFailed):
                    await process.until_ready(process.ready, 10)

    async def _drain(self, process: Process, record: Disturbance) -> None:
        if process.running:
            began = time.monotonic()
            try:
                code = await process.stop(DRAIN_S)
                ended = f"{process.name}: exit code {code} after {time.monotonic() - began:.1f} s"
                record.detail = ", ".join(filter(None, [record.detail, ended]))
            except ProcessFailed:
                record.failed = f"{process.name} did not end within {DRAIN_S:g} s of SIGTERM"

    # ---- links

    async def _link(self, fault: Fault, _record: Disturbance) -> None:
        where, _, what = fault.kind.partition("_")
        proxies = {
            "nats": lambda: self._node.nats[fault.target],
            "ora": lambda: [self._node.ora[fault.target]],
            "route": lambda: [self._node.cluster.routes[fault.target]],
        }[where]()
        for proxy in proxies:
            if what == "delay":
                proxy.delay(fault.value)
            else:
                getattr(proxy, what)()
        try:
            await asyncio.sleep(fault.seconds)
            if fault.kind == "nats_cut" and fault.value:
                for proxy in proxies:
                    proxy.delay(fault.value)
                    proxy.heal()
                await asyncio.sleep(SLOW_AFTER_CUT_S)
        finally:
            for proxy in proxies:
                proxy.delay(0.0)
                if what != "delay":
                    proxy.heal()

    # ---- OraServer

    async def _receiver_fault(self, fault: Fault, record: Disturbance) -> None:
        options: dict[str, object] = {
            "receiver_slow": {"read_delay_ms": fault.value},
            "receiver_silent": {"no_pong": True},
            "receiver_503": {"ws_status": 503, "http_status": 503},
            "receiver_403": {"ws_status": 403, "http_status": 403},
            "receiver_drop": {"drop_after_chunks": int(fault.value)},
        }[fault.kind]
        self._receiver |= options
        begun = self._change_receiver()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for name in options:
                self._receiver.pop(name, None)
            ended = self._change_receiver()
        if not begun.done():
            record.failed = "OraServer did not answer while the fault lasted"
        async with asyncio.timeout(RECEIVER_ANSWERS_S):
            await ended

    def _change_receiver(self) -> asyncio.Future[None]:
        """Have OraServer's faults set to `_receiver`. The future is done when OraServer has answered that."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered.append(answered)
        self._receiver_changed.set()
        return answered

    async def _keep_receiver(self) -> None:
        """Send OraServer its faults until it answers: it may be dead or stand still at the moment."""
        while True:
            await self._receiver_changed.wait()
            self._receiver_changed.clear()
            asked, self._unanswered = self._unanswered, []
            try:
                await self._node.misbehave(**self._receiver)
            except (OSError, TimeoutError, aiohttp.ClientError, AssertionError):
                self._unanswered = asked + self._unanswered
                self._receiver_changed.set()
                await asyncio.sleep(0.2)
            else:
                for answered in asked:
                    if not answered.done():
                        answered.set_result(None)

    async def _discard(self, fault: Fault, _record: Disturbance) -> None:
        await self._node.discard(fault.seconds)
        await asyncio.sleep(fault.seconds)

    async def _receiver_kill(self, fault: Fault, _record: Disturbance) -> None:
        """It stands still for `value` seconds first: what bridges send it then is lost with it."""
        async with self._node.receiver_lock:
            self._node.receiver.freeze()
            await asyncio.sleep(fault.value)
            self._node.receiver.kill()
            await asyncio.sleep(fault.seconds)
            await self._node.receiver.start()
            self._receiver_changed.set()

    async def _receiver_stop(self, fault: Fault, _record: Disturbance) -> None:
        async with self._node.receiver_lock:
            await frozen(self._node.receiver, fault.seconds)
