"""Faults of the nats-servers and of what they store: kills, restarts, lost data, a full disk, new leaders."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from orastream.contract.errors import NodeUnavailable
from tests.chaos.composed.history import Disturbance
from tests.chaos.composed.node import Node
from tests.chaos.composed.schedule import STREAMS, Fault
from tests.support.nats_server import NatsServer
from tests.support.processes import Process

LEADER_S = 10.0
"""How long to wait for a leader that can be killed or replaced."""
CURRENT_S = 4.0
"""How long to wait until each replica has all messages."""
RETRY_S = 0.3
ANSWER_S = 4.0
STEPDOWN_ANSWER_S = 1.0
"""While a group elects a leader, no server answers a stepdown: it must be asked again, and soon."""

T = TypeVar("T")
Carry = Callable[[Fault, Disturbance], Awaitable[None]]

TEMPORARY = "temporarily unavailable"
"""The error (10008) of a cluster without a leader."""


class ServerFaults:
    """Carries out the faults of servers, streams and consumers. Only one server of a node is disturbed at a time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.by_kind: dict[str, Carry] = {
            "server_kill": self._kill,
            "server_stop": self._stop,
            "server_restart": self._restart,
            "server_rolling": self._rolling,
            "leader_kill": self._leader_kill,
            "lost_data": self._lost_data,
            "disk_full": self._disk_full,
            "stepdown": self._stepdown,
            "delete_consumer": self._delete_consumer,
            "delete_stream": self._delete_stream,
        }

    @contextlib.asynccontextmanager
    async def _alone(self, record: Disturbance) -> AsyncIterator[None]:
        """Wait until no other server is disturbed. The fault begins then."""
        async with self._node.server_lock:
            record.began = time.time()
            yield

    # ---- servers

    async def _kill(self, fault: Fault, record: Disturbance) -> None:
        async with self._alone(record):
            await self._killed(self._node.cluster.servers[int(fault.target)], fault.seconds)

    async def _stop(self, fault: Fault, record: Disturbance) -> None:
        async with self._alone(record):
            await frozen(self._node.cluster.servers[int(fault.target)], fault.seconds)

    async def _restart(self, fault: Fault, record: Disturbance) -> None:
        server = self._node.cluster.servers[int(fault.target)]
        async with self._alone(record):
            server.signal(signal.SIGTERM)
            record.detail = f"exit code {await server.ended()}"
            await asyncio.sleep(fault.seconds)
            await server.start()

    async def _rolling(self, fault: Fault, record: Disturbance) -> None:
        """As at an upgrade: one after the other, each with as much time as the first one to catch up."""
        async with self._alone(record):
            for server in self._node.cluster.servers:
                server.signal(signal.SIGTERM)
                await server.ended()
                await server.start()
                await asyncio.sleep(fault.seconds)

    async def _leader_kill(self, fault: Fault, record: Disturbance) -> None:
        async with self._alone(record):
            server = await self._leader(fault.target)
            record.began, record.detail = time.time(), server.name
            await self._killed(server, fault.seconds)

    async def _lost_data(self, fault: Fault, record: Disturbance) -> None:
        """In a cluster the other servers must have all messages: else a majority could forget what it has stored."""
        cluster, number = self._node.cluster, int(fault.target)
        async with self._alone(record):
            if len(cluster.servers) == 1:
                record.lost = list(STREAMS)
            else:
                await self._until_current()
                record.began = time.time()
            cluster.servers[number].kill()
            cluster.lose_data(number)
            await asyncio.sleep(fault.seconds)
            await cluster.servers[number].start()

    async def _disk_full(self, fault: Fault, record: Disturbance) -> None:
        cluster, number = self._node.cluster, int(fault.target)
        async with self._alone(record):
            try:
                await asyncio.to_thread(cluster.fill, number)
                await asyncio.sleep(fault.seconds)
            finally:
                cluster.free_space(number)
                # After a write error nats-server turns JetStream off until it is restarted.
                cluster.servers[number].kill()
                await cluster.servers[number].start()

    @staticmethod
    async def _killed(server: NatsServer, seconds: float) -> None:
        server.kill()
        await asyncio.sleep(seconds)
        await server.start()

    # ---- streams and consumers

    async def _stepdown(self, fault: Fault, _record: Disturbance) -> None:
        if fault.target.startswith("consumer "):
            call = f"CONSUMER.LEADER.STEPDOWN.{STREAMS[0]}.{fault.target.removeprefix('consumer ')}"
        else:
            call = f"STREAM.LEADER.STEPDOWN.{fault.target}"
        await _retried(lambda: self._api(call, STEPDOWN_ANSWER_S), LEADER_S)

    async def _delete_consumer(self, fault: Fault, _record: Disturbance) -> None:
        await self._api(f"CONSUMER.DELETE.{STREAMS[0]}.{fault.target}")

    async def _delete_stream(self, fault: Fault, record: Disturbance) -> None:
        record.lost = [fault.target]  # also when no answer comes
        try:
            await self._api(f"STREAM.DELETE.{fault.target}")
        except AssertionError as exc:  # the answer was an error
            if TEMPORARY not in str(exc):  # after that one a cluster may delete it when it has a leader again
                record.lost = []
            raise

    async def _leader(self, stream: str) -> NatsServer:
        """The server that leads a stream. Raises AssertionError if there is none within LEADER_S."""

        async def look_up() -> NatsServer:
            info = await self._api(f"STREAM.INFO.{stream}")
            server = leader_of(info, self._node.cluster.servers)
            assert server is not None, f"{stream} has no leader"
            return server

        return await _retried(look_up, LEADER_S)

    async def _until_current(self) -> None:
        """Return when every server has all messages of all streams. Raises AssertionError after CURRENT_S."""

        async def look_up() -> None:
            for stream in STREAMS:
                late = late_replicas(await self._api(f"STREAM.INFO.{stream}"), len(self._node.cluster.servers))
                assert not late, f"{stream}: {late}"

        await _retried(look_up, CURRENT_S)

    async def _api(self, call: str, answer_s: float = ANSWER_S) -> dict[str, Any]:
        """The answer of JetStream. Raises AssertionError for an error in it."""
        async with asyncio.timeout(10):
            async with self._node.connected() as broker:
                data, _ = await broker.request(f"$JS.API.{call}", b"", timeout_s=answer_s)
                answer = json.loads(data)
                assert not answer.get("error"), f"{call}: {answer['error']}"
                return dict(answer)


def leader_of(info: dict[str, Any], servers: list[NatsServer]) -> NatsServer | None:
    """The server that an answer of STREAM.INFO names as leader; None while there is no leader."""
    leader = str((info.get("cluster") or {}).get("leader") or "")
    return next((server for server in servers if leader.startswith(f"{server.name}-")), None)


def late_replicas(info: dict[str, Any], servers: int) -> str:
    """Why not all servers have all messages of a stream, by an answer of STREAM.INFO; empty if they have."""
    cluster = info.get("cluster") or {}
    if not cluster.get("leader"):
        return "no leader"
    replicas = cluster.get("replicas") or []
    late = [peer["name"] for peer in replicas if not peer.get("current") or peer.get("offline") or peer.get("lag")]
    if len(replicas) + 1 < servers:
        return f"{len(replicas) + 1} of {servers} replicas"
    return ", ".join(late)


async def frozen(process: Process, seconds: float) -> None:
    """Stop a process with SIGSTOP for so long."""
    process.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        if process.running:
            process.thaw()


async def _retried(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The first result of `attempt`. Its last exception, if there is none after so long."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await attempt()
        except (OSError, TimeoutError, AssertionError, NodeUnavailable):
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(RETRY_S)
