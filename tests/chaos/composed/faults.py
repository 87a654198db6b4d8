"""Carries out a schedule of faults on a node, and records when each one began and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from orastream.contract.errors import OrastreamError
from tests.chaos.composed.history import Disturbance
from tests.chaos.composed.node import Node
from tests.chaos.composed.reactions import handover, relay
from tests.chaos.composed.schedule import STREAMS, Fault
from tests.support.processes import Process, ProcessFailed

DRAIN_S = 20.0
SLOW_AFTER_CUT_S = 2.0

Carry = Callable[[Fault, Disturbance], Awaitable[None]]


class Faults:
    """`await run(schedule)`. Every fault has ended, or was undone, when it returns."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.done: list[Disturbance] = []
        self._receiver: dict[str, object] = {}
        """The faults that OraServer shall have now."""
        self._receiver_changed = asyncio.Event()
        self._by_kind: dict[str, Carry] = {
            "kill": self._kill,
            "stop": self._stop,
            "restart": self._restart,
            "rolling": self._rolling,
            "handover": lambda fault, record: handover(node, fault, record),
            "relay": lambda fault, record: relay(node, fault, record),
            "receiver_lie": self._lie,
            "receiver_kill": self._receiver_kill,
            "receiver_stop": self._receiver_stop,
            "server_kill": self._server_kill,
            "server_stop": self._server_stop,
            "server_restart": self._server_restart,
            "server_rolling": self._server_rolling,
            "leader_kill": self._leader_kill,
            "lost_data": self._lost_data,
            "disk_full": self._disk_full,
            "stepdown": self._stepdown,
            "delete_consumer": self._delete_consumer,
            "delete_stream": self._delete_stream,
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
                await self._frozen(process, fault.seconds)

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
            try:
                code = await process.stop(DRAIN_S)
                record.detail = f"exit code {code}"
            except ProcessFailed:
                record.failed = f"{process.name} did not end within {DRAIN_S:g} s of SIGTERM"

    @staticmethod
    async def _frozen(process: Process, seconds: float) -> None:
        process.freeze()
        try:
            await asyncio.sleep(seconds)
        finally:
            if process.running:
                process.thaw()

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

    async def _receiver_fault(self, fault: Fault, _record: Disturbance) -> None:
        given: dict[str, object] = {
            "receiver_slow": {"read_delay_ms": fault.value},
            "receiver_silent": {"no_pong": True},
            "receiver_503": {"ws_status": 503, "http_status": 503},
            "receiver_403": {"ws_status": 403, "http_status": 403},
            "receiver_drop": {"drop_after_chunks": int(fault.value)},
        }[fault.kind]
        self._receiver |= given
        self._receiver_changed.set()
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for name in given:
                self._receiver.pop(name, None)
            self._receiver_changed.set()

    async def _keep_receiver(self) -> None:
        """Tell OraServer its faults until it has heard them: it may be dead or stand still at the moment."""
        while True:
            await self._receiver_changed.wait()
            self._receiver_changed.clear()
            try:
                await self._node.misbehave(**self._receiver)
            except (OSError, TimeoutError, aiohttp.ClientError, AssertionError):
                self._receiver_changed.set()
                await asyncio.sleep(0.2)

    async def _lie(self, fault: Fault, _record: Disturbance) -> None:
        await self._node.lie(fault.seconds)
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
            await self._frozen(self._node.receiver, fault.seconds)

    # ---- nats-servers

    async def _server_kill(self, fault: Fault, _record: Disturbance) -> None:
        server = self._node.cluster.servers[int(fault.target)]
        server.kill()
        await asyncio.sleep(fault.seconds)
        await server.start()

    async def _server_stop(self, fault: Fault, _record: Disturbance) -> None:
        await self._frozen(self._node.cluster.servers[int(fault.target)], fault.seconds)

    async def _server_restart(self, fault: Fault, record: Disturbance) -> None:
        server = self._node.cluster.servers[int(fault.target)]
        server.signal(signal.SIGTERM)
        record.detail = f"exit code {await server.ended()}"
        await asyncio.sleep(fault.seconds)
        await server.start()

    async def _server_rolling(self, fault: Fault, _record: Disturbance) -> None:
        """As at an upgrade: one after the other, each with as much time as the first one to catch up."""
        for server in self._node.cluster.servers:
            server.signal(signal.SIGTERM)
            await server.ended()
            await server.start()
            await asyncio.sleep(fault.seconds)

    async def _leader_kill(self, fault: Fault, record: Disturbance) -> None:
        info = await self._api(f"STREAM.INFO.{fault.target}")
        leader = str(info["cluster"]["leader"])
        server = next(one for one in self._node.cluster.servers if leader.startswith(f"{one.name}-"))
        record.detail = server.name
        server.kill()
        await asyncio.sleep(fault.seconds)
        await server.start()

    async def _lost_data(self, fault: Fault, record: Disturbance) -> None:
        cluster, number = self._node.cluster, int(fault.target)
        if len(cluster.servers) == 1:
            record.lost = list(STREAMS)
        cluster.servers[number].kill()
        cluster.lose_data(number)
        await asyncio.sleep(fault.seconds)
        await cluster.servers[number].start()

    async def _disk_full(self, fault: Fault, _record: Disturbance) -> None:
        cluster, number = self._node.cluster, int(fault.target)
        cluster.fill(number)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            cluster.free_space(number)
            # After a write error nats-server turns JetStream off until it is restarted.
            cluster.servers[number].kill()
            await cluster.servers[number].start()

    # ---- streams

    async def _api(self, call: str) -> dict[str, Any]:
        """The answer of JetStream. Raises AssertionError for an error in it."""
        async with asyncio.timeout(10):
            async with self._node.connected() as broker:
                data, _ = await broker.request(f"$JS.API.{call}", b"", timeout_s=4)
                answer = json.loads(data)
                assert not answer.get("error"), f"{call}: {answer['error']}"
                return dict(answer)

    async def _stepdown(self, fault: Fault, _record: Disturbance) -> None:
        if fault.target.startswith("consumer "):
            call = f"CONSUMER.LEADER.STEPDOWN.{STREAMS[0]}.{fault.target.removeprefix('consumer ')}"
        else:
            call = f"STREAM.LEADER.STEPDOWN.{fault.target}"
        await self._api(call)

    async def _delete_consumer(self, fault: Fault, _record: Disturbance) -> None:
        await self._api(f"CONSUMER.DELETE.{STREAMS[0]}.{fault.target}")

    async def _delete_stream(self, fault: Fault, record: Disturbance) -> None:
        record.lost = [fault.target]
        await self._api(f"STREAM.DELETE.{fault.target}")
