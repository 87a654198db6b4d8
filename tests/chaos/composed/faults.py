"""Carries out a schedule of faults on a node, and records when each one began and ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Awaitable, Callable

import msgpack
import nats
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from tests.chaos.composed.history import Disturbance
from tests.chaos.composed.node import Node
from tests.chaos.composed.schedule import STREAMS, Fault
from tests.support.processes import Process, ProcessFailed

DRAIN_S = 20.0
TAKEOVER_S = 8.0
"""How long a reactive fault waits for another process to take over."""
HANDOVER_DELAY_S = 0.3
SLOW_LINK_S = 0.6
BLIND_S = 3.0

Carry = Callable[[Fault, Disturbance], Awaitable[None]]


class Faults:
    """`await run(schedule)`. Every fault has ended, or was undone, when it returns."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.done: list[Disturbance] = []
        self._receiver: dict[str, object] = {}
        self._by_kind: dict[str, Carry] = {
            "kill": self._kill,
            "stop": self._stop,
            "restart": self._restart,
            "rolling": self._rolling,
            "handover": self._handover,
            "relay": self._relay,
            "receiver_lie": self._lie,
            "receiver_kill": self._receiver_kill,
            "receiver_stop": self._receiver_stop,
            "server_kill": self._server_kill,
            "server_stop": self._server_stop,
            "server_restart": self._server_restart,
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
        async with asyncio.TaskGroup() as tasks:
            for fault in schedule:
                await asyncio.sleep(max(0.0, began + fault.at - loop.time()))
                tasks.create_task(self._one(fault))

    async def _one(self, fault: Fault) -> None:
        record = Disturbance(fault.kind, fault.target, time.time(), time.time() + 3600, f"{fault.value:g}")
        self.done.append(record)
        carry = self._by_kind.get(fault.kind)
        if carry is None:
            carry = self._receiver_fault if fault.kind.startswith("receiver_") else self._link
        try:
            await carry(fault, record)
        except (OSError, TimeoutError, ProcessFailed, AssertionError, nats.errors.Error) as exc:
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
        finally:
            for proxy in proxies:
                proxy.delay(0.0) if what == "delay" else proxy.heal()

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
        await self._node.misbehave(**self._receiver)
        try:
            await asyncio.sleep(fault.seconds)
        finally:
            for name in given:
                del self._receiver[name]
            await self._node.misbehave(**self._receiver)

    async def _lie(self, fault: Fault, _record: Disturbance) -> None:
        await self._node.lie(fault.seconds)
        await asyncio.sleep(fault.seconds)

    async def _receiver_kill(self, fault: Fault, _record: Disturbance) -> None:
        async with self._node.receiver_lock:
            self._node.receiver.kill()
            await asyncio.sleep(fault.seconds)
            await self._node.receiver.start()
            await self._node.misbehave(**self._receiver)

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

    async def _api(self, call: str, body: dict[str, object] | None = None) -> str:
        async with asyncio.timeout(10):
            async with self._connected() as connection:
                data = json.dumps(body).encode() if body else b""
                answer = json.loads((await connection.request(f"$JS.API.{call}", data, timeout=4)).data)
                return str(answer.get("error") or answer.get("success"))

    @contextlib.asynccontextmanager
    async def _connected(self) -> contextlib.AsyncGenerator[NatsClient, None]:
        servers = [server.url for server in self._node.cluster.servers if server.running]
        connection = await nats.connect(servers, connect_timeout=2, max_reconnect_attempts=3)
        try:
            yield connection
        finally:
            await connection.close()

    async def _stepdown(self, fault: Fault, record: Disturbance) -> None:
        if fault.target == "meta":
            call = "META.LEADER.STEPDOWN"
        elif fault.target.startswith("consumer "):
            call = f"CONSUMER.LEADER.STEPDOWN.{STREAMS[0]}.{fault.target.removeprefix('consumer ')}"
        else:
            call = f"STREAM.LEADER.STEPDOWN.{fault.target}"
        record.detail = await self._api(call)

    async def _delete_consumer(self, fault: Fault, record: Disturbance) -> None:
        record.detail = await self._api(f"CONSUMER.DELETE.{STREAMS[0]}.{fault.target}")

    async def _delete_stream(self, fault: Fault, record: Disturbance) -> None:
        record.lost = [fault.target]
        record.detail = await self._api(f"STREAM.DELETE.{fault.target}")

    # ---- faults that wait for what the node does

    async def _handover(self, fault: Fault, record: Disturbance) -> None:
        """Hold up a bridge until another one has taken a session and begins to write. Then hold up that one, and let
        the first one's reports through that it had sent meanwhile.
        """
        node, first = self._node, fault.target
        service = node.processes[first].service
        others = [name for name, process in node.processes.items() if process.service == service and name != first]
        links = [proxy for name in others for proxy in node.nats[name]]
        loop = asyncio.get_running_loop()
        node.ora[first].delay(SLOW_LINK_S)  # so that it has audio to write when NATS is away
        try:
            await asyncio.sleep(1.5)
            for proxy in node.nats[first]:
                proxy.hold()
            for proxy in links:
                proxy.delay(HANDOVER_DELAY_S)
            for name in others:
                node.ora[name].delay(HANDOVER_DELAY_S)
            await asyncio.sleep(2.5)  # no session is taken before the heartbeat has expired
            since, deadline = time.time(), loop.time() + TAKEOVER_S
            while loop.time() < deadline and not self._writes_anew(others, since):
                await asyncio.sleep(0.01)
            record.detail = "taken over" if loop.time() < deadline else "nobody took over"
            for proxy in links:
                proxy.hold()
            for proxy in node.nats[first]:
                proxy.heal()
            await asyncio.sleep(BLIND_S)
        finally:
            for name in [first, *others]:
                node.ora[name].delay(0.0)
            for proxy in [*links, *node.nats[first]]:
                proxy.delay(0.0)
                proxy.heal()

    def _writes_anew(self, bridges: list[str], since: float) -> bool:
        """Whether one of these bridges has written on a connection that is younger than `since`: `init` and a chunk."""
        for name in bridges:
            for connection in reversed(self._node.ora[name].connections):
                if connection.opened_at < since:
                    break
                if len(getattr(connection.tap, "times", [])) >= 2:
                    return True
        return False

    async def _relay(self, fault: Fault, record: Disturbance) -> None:
        """Stop a synth until another one has begun its requests, let it go on, and kill the other one."""
        node = self._node
        first = node.processes[fault.target]
        others = [
            name for name, process in node.processes.items() if process.service == "synth" and process is not first
        ]
        taken = asyncio.Event()

        async def on_audio(message: Msg) -> None:
            headers = message.headers or {}
            if len(message.data) < 400 and headers.get("Nats-Last-Sequence", "0") != "0":
                if msgpack.unpackb(message.data).get("type") == "start":
                    taken.set()

        async with contextlib.AsyncExitStack() as stack:
            for name in [fault.target, *others]:
                await stack.enter_async_context(node.locks[name])
            connection = await stack.enter_async_context(self._connected())
            await connection.subscribe("tts.audio.>", cb=on_audio)
            first.freeze()
            try:
                async with asyncio.timeout(TAKEOVER_S):
                    await taken.wait()
                record.detail = "taken over"
                await asyncio.sleep(0.3)
            except TimeoutError:
                record.detail = "nobody took over"
            finally:
                first.thaw()
            await asyncio.sleep(0.6)
            for name in others:
                node.processes[name].kill()
            await asyncio.sleep(0.5)
            for name in others:
                node.processes[name].launch()
