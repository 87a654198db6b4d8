"""Tells a process when another process of its service is gone, within a second of its death.

Rules: `peer_watch.py`. Each process answers probes on a subject of its own and publishes a *beacon* every BEACON_S
seconds and soon after `changed`: its name, and the ack subjects of the deliveries that it holds. A process that knows
no other one says so every ALONE_S seconds only: another one that starts sends a beacon itself, which is answered by
one. Nothing here is needed for correctness. Without it, the server redelivers after the ack wait, and a heartbeat
expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable, Iterable

from orastream.base import logger
from orastream.broker import Broker, Headers
from orastream.contract.errors import NodeUnavailable, NoResponders, PublishRefused
from orastream.jetstream.peer_watch import PeerWatch
from orastream.jetstream.pull_consumer import consumer_of

BEACON_S = 2.0
ALONE_S = 10.0
"""Interval while no other process is known. Two that lost each other, by a cut route, meet again within this time."""
CHANGED_S = 0.05
"""Delay of the beacon after a change, so that a burst of changes costs one beacon."""
PROBE_EVERY_S = 0.4
PROBE_AGAIN_S = 0.2
"""Interval of the probes of a process that has refused one: then CONFIRM_S ends with the second next probe."""
PROBE_TIMEOUT_S = 0.5
CONFIRM_S = 0.4
"""One server: a live process that has lost its connection has it back by then, or cannot write anyway."""
CONFIRM_CLUSTER_S = 2.5
"""A cluster: a cut route makes live processes look dead, so their leases must run out first."""
MAX_HOLDS = 64
"""Deliveries in a beacon. Those beyond it wait for the ack wait."""
MAX_PROBED = 64
"""Probes that wait for their answer."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")

log = logger.named(__name__)


class Peers:
    """Watches the other processes of `service`. `await run()` until cancelled. For one event loop."""

    def __init__(
        self,
        broker: Broker,
        service: str,
        name: str,
        *,
        on_gone: Callable[[str, tuple[str, ...]], None],
        on_passed: Callable[[bytes], None] | None = None,
        holds: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`name` is the name of this process, which begins with `service` and a hyphen.

        `holds` yields the ack subjects of the deliveries that it holds.

        `on_passed` is called with what another process has passed on to this one (`passed_on`).

        `on_gone(name, holds)` is called once for each process that is gone, with its last known deliveries.
        """
        self._broker = broker
        self._service = service
        self._name = name
        self._holds = holds
        self._on_gone = on_gone
        self._on_passed = on_passed
        self._loop = asyncio.get_running_loop()
        self._watch = PeerWatch(name, CONFIRM_S)
        self._changed = asyncio.Event()
        self._sent = b""
        self._probed: list[str] = []
        self._to_answer = asyncio.Event()
        self._heard = asyncio.Event()
        """Another process has sent a beacon."""

    def changed(self) -> None:
        """What `holds` yields has changed: send a beacon soon, if another process is known."""
        if not self._watch.alone:
            self._changed.set()

    async def run(self) -> None:
        """Answer probes, send beacons and probe, until cancelled. Then tell the others that this process ends."""
        broker, watch = self._broker, self._watch
        unhook = (broker.on_disconnect(watch.disconnected), broker.on_reconnect(self._on_connected))
        subscriptions = [
            await broker.subscribe(self._broker.names.peer(self._service, self._name), self._on_probe),
            await broker.subscribe(self._broker.names.peers(self._service), self._on_beacon),
        ]
        self._on_connected()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._answers(), name="answers")
                group.create_task(self._beacons(), name="beacons")
                group.create_task(self._probes(), name="probes")
        finally:
            for unhooked in unhook:
                unhooked()
            for subscription in subscriptions:
                await subscription.close()
            await self._publish({"name": self._name, "ends": True})

    def _on_connected(self) -> None:
        self._watch.confirm_s = CONFIRM_CLUSTER_S if self._broker.server.cluster else CONFIRM_S
        self._watch.connected(self._loop.time())
        self._changed.set()

    async def passed_on(self, name: str, data: bytes) -> bool:
        """Pass something on to another process, which may be lost. Returns whether it was sent."""
        try:
            await self._broker.publish(self._broker.names.peer(self._service, name), data)
        except (NodeUnavailable, PublishRefused):
            return False
        return True

    # ---- this process

    def _on_probe(self, _subject: str, reply: str, data: bytes, _headers: Headers) -> None:
        if data and self._on_passed is not None:
            self._on_passed(data)
        # Answer only to inboxes of the node: a sender can name any reply subject, also one of the JetStream API.
        if reply.startswith(f"{self._broker.inbox_prefix}.") and len(self._probed) < MAX_PROBED:
            self._probed.append(reply)
            self._to_answer.set()

    async def _answers(self) -> None:
        while True:
            await self._to_answer.wait()
            self._to_answer.clear()
            while self._probed:
                with contextlib.suppress(NodeUnavailable, PublishRefused):
                    await self._broker.publish(self._probed.pop(), b"{}")

    async def _beacons(self) -> None:
        while True:
            self._changed.clear()
            holds = [subject for subject, _ in zip(self._holds(), range(MAX_HOLDS), strict=False)]
            await self._publish({"name": self._name, "holds": holds})
            try:
                async with asyncio.timeout(ALONE_S if self._watch.alone else BEACON_S):
                    await self._changed.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(CHANGED_S)

    async def _publish(self, beacon: dict[str, object]) -> None:
        self._sent = json.dumps(beacon).encode()
        try:
            await self._broker.publish(self._broker.names.peers(self._service), self._sent)
        except (NodeUnavailable, PublishRefused) as exc:
            log.debug("a beacon was not sent", error=str(exc))

    # ---- the others

    def _on_beacon(self, _subject: str, _reply: str, data: bytes, _headers: Headers) -> None:
        if data == self._sent:
            return
        try:
            beacon = json.loads(data)
            name, holds = beacon["name"], tuple(beacon.get("holds", ()))
            if not _NAME.fullmatch(name) or not name.startswith(f"{self._service}-"):
                return
            if not all(
                consumer_of(subject) == (self._broker.names.sessions_stream, self._service) for subject in holds
            ):
                return
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # any publisher of the node can send one
        if name != self._name:
            self._heard.set()
        if beacon.get("ends"):
            self._watch.left(name)
        elif self._watch.heard(name, holds[:MAX_HOLDS], self._loop.time()):
            self._changed.set()

    async def _probes(self) -> None:
        probed = ""
        while True:
            await asyncio.sleep(PROBE_AGAIN_S if self._watch.suspects(probed) else PROBE_EVERY_S)
            self._heard.clear()
            if (name := self._watch.probe(self._loop.time())) is None:
                await self._heard.wait()  # nobody else runs
                continue
            probed = name
            if not self._broker.connected:
                continue
            try:
                await self._broker.request(self._broker.names.peer(self._service, name), b"", timeout_s=PROBE_TIMEOUT_S)
            except NoResponders:
                held = self._watch.refused(name, self._loop.time())
                if held is not None:
                    log.warning("a process is gone", process=name, deliveries=len(held))
                    await self._publish({"name": name, "ends": True})  # the others need not find it out, too
                    self._on_gone(name, held)
            except (NodeUnavailable, PublishRefused):
                self._watch.unanswered(name, self._loop.time())
            else:
                self._watch.answered(name, self._loop.time())
