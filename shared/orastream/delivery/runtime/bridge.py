"""A bridge process: receives wake-ups from the durable consumer, takes sessions and runs each in its own task.

A wake-up is a delivery of a stored request or cancel. The bridge holds it until that request or cancel needs nothing
more, and extends its ack deadline meanwhile. If this process dies, the consumer delivers it to another bridge.
"""

# length: one process; its wake-ups and what all its sessions share

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from orastream.base import logger, tasks
from orastream.base.batch import Batch
from orastream.contract.errors import NodeUnavailable, OrastreamError
from orastream.contract.messages import Report
from orastream.delivery.rules.early_audio import EarlyRoom
from orastream.delivery.rules.entry import Entry
from orastream.delivery.runtime.context import BridgeContext, DeliveryCounts
from orastream.delivery.runtime.owned_session import OwnedSession
from orastream.delivery.runtime.owner_sweep import OwnerSweep
from orastream.delivery.runtime.ownership import Lease, OwnedBy, Owners, Ownership
from orastream.delivery.runtime.progress_publisher import ProgressPublisher
from orastream.delivery.runtime.report_mark import ReportMark
from orastream.delivery.runtime.session_table import SessionTable
from orastream.delivery.runtime.takeover import Takeover
from orastream.delivery.runtime.wakeup_judge import Need, WakeupJudge
from orastream.delivery.runtime.wakeups import NAK_DELAY_S
from orastream.delivery.sink import Sink
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.passed_delivery import passed, passed_delivery
from orastream.jetstream.peers import CONFIRM_CLUSTER_S, CONFIRM_S, Peers
from orastream.jetstream.pull_consumer import Delivery, PullConsumer

CONSIDERED_AT_ONCE = 64
DELETIONS_EVERY_S = 0.25
"""How long the deletion of a request with a final report waits for others, and takes a place in its session."""

ROOM_S = 0.1
"""After this long there is room: a resting session has given way."""

log = logger.named(__name__)


class Bridge:
    """`await run(stop, drain_s)` serves until `stop`, then finishes or releases its sessions. Not thread-safe."""

    def __init__(  # noqa: PLR0913 - what a service wires, by keyword
        self,
        js: JetStream,
        *,
        kind: str,
        sink: Sink,
        max_sessions: int,
        max_text_chars: int,
        counts: DeliveryCounts,
        announce: Callable[[str, Entry, Report | None], None],
        name: str | None = None,
    ) -> None:
        """It owns at most `max_sessions` sessions at once. `name` is that of this process; None: a new one."""
        self._js = js
        self.table = SessionTable(max_sessions)
        """The sessions that it owns, for metrics."""
        self._lease = Lease(js, kind, name, lambda: sink.record)
        self._names = js.names
        owners = Owners(js, kind, self._lease)
        self._judge = WakeupJudge.of(js, sink, owners, max_text_chars)
        self._takeover = Takeover(js, owners, self._adopt)
        self._peers = Peers(js.broker, kind, self._lease.bridge, on_gone=self._on_gone, on_passed=self._on_passed)
        self._takeovers: set[asyncio.Task[None]] = set()
        self._context = BridgeContext(
            js=js,
            kind=kind,
            sink=sink,
            lease=self._lease,
            owners=owners,
            mark=ReportMark(),
            held=self.table.held,
            deletions=Batch(DELETIONS_EVERY_S),
            early=EarlyRoom(),
            max_text_chars=max_text_chars,
            counts=counts,
            announce=announce,
            progress=ProgressPublisher(js.broker, lambda: self.lease_valid) if sink.transport == "websocket" else None,
        )
        self._judging_limit = asyncio.Semaphore(CONSIDERED_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._drain_s = 0.0
        self._pull_consumer = PullConsumer(
            js.broker, js.names.sessions_stream, kind, self._on_delivery, self.table.capacity
        )

    @property
    def lease_valid(self) -> bool:
        """Whether the lease of this bridge allows writes now."""
        return self._lease.term.valid(asyncio.get_running_loop().time())

    def lacking(self) -> str | None:
        """Why this bridge can deliver nothing now, or None."""
        if not self.lease_valid:
            return "this bridge has no lease: NATS is disconnected, or does not store its heartbeat"
        return self._pull_consumer.lacking()

    def renewed(self, stream: str) -> None:
        """A stream was lost and created again, empty. Sessions then check their ownership, or their requests."""
        if stream in (self._names.owners_stream, self._names.heartbeats_stream):
            self._lease.term.doubt()
            self._lapsed()
        if stream == self._names.sessions_stream:
            for runner in self.table:
                runner.requests_lost()

    def sequences_back(self, stream: str) -> None:
        """The sequences of a stream are lower than before: leave all sessions and take them again with new feeds.

        The present feeds would drop new messages as already known.
        """
        if stream == self._names.reports_stream:
            self._context.mark.reset()
        if stream in (self._names.sessions_stream, self._names.audio_stream, self._names.reports_stream):
            for runner in self.table:
                runner.leave(f"the sequences of {stream} went back")

    async def run(self, stop: asyncio.Event, drain_s: float) -> None:
        """Serve until `stop`. Then take no session, finish running deliveries, release sessions, end the heartbeat.

        Deliveries may go on for `drain_s` seconds after `stop`. Raises what a task of the bridge raises.
        """
        start = asyncio.create_task
        broker = self._js.broker
        unhook = (broker.on_disconnect(self._disconnected), broker.on_reconnect(self._reconnected))
        pull, stopped = start(self._pull_consumer.run(), name="pull"), start(stop.wait(), name="stop")
        sweep = start(OwnerSweep(self._js, self._lease.bridge, self.table.__contains__).run(), name="sweep")
        kept = [
            start(self._lease.run(), name="heartbeat"),
            start(self._extend_wakeups(), name="keep"),
            start(self._peers.run(), name="peers"),
            start(self._context.mark.follow(self._js), name="mark"),
        ]
        try:
            done, _ = await asyncio.wait({pull, sweep, stopped, *kept}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopped}:
                task.result()  # a failed task ends the process; the supervisor starts a new one
        finally:
            self._draining = True
            self._drain_s = drain_s if stop.is_set() else 0.0
            await tasks.end(*self._takeovers)
            pull.cancel()
            sweep.cancel()
            stopped.cancel()
            for runner in self.table:
                runner.drain(self._drain_s)
            try:
                if self._tasks:
                    await asyncio.wait(self._tasks)
            finally:
                for unhooked in unhook:
                    unhooked()
                await tasks.end(pull, sweep, stopped, *kept, *self._tasks)
            try:
                await self._lease.end()
            except NodeUnavailable:
                left = self._context.owners.unreleased
                log.warning("other bridges get the sessions when the heartbeat expires", unreleased=left)

    def _disconnected(self) -> None:
        confirm_s = CONFIRM_CLUSTER_S if self._js.broker.server.cluster else CONFIRM_S
        self._lease.term.disconnected(asyncio.get_running_loop().time(), confirm_s)

    def _reconnected(self) -> None:
        self._lease.term.reconnected()
        self._lapsed()

    def _lapsed(self) -> None:
        for runner in self.table:
            runner.lapsed()

    # ---- wake-ups

    def _on_delivery(self, delivery: Delivery) -> None:
        session = self._names.session_of(delivery.subject)
        table = self.table
        if session is None:
            self._spawn(delivery.discard(self._js))
        elif (runner := table.runner(session)) is not None:
            runner.woken(delivery)
        elif (taking := table.taking(session)) is not None:
            taking.append(delivery)
        elif self._judge.is_for_another(delivery):
            self._spawn(delivery.ack())
        elif table.full:
            self._spawn(delivery.nak(ROOM_S if table.refuse() else NAK_DELAY_S))
        else:
            table.take(session, delivery)
            self._spawn(self._consider(session))

    def _on_passed(self, data: bytes) -> None:
        """Another bridge has got a wake-up of a session of this one."""
        delivery = passed_delivery(self._js.broker, data, self._context.kind)
        session = self._names.session_of(delivery.subject) if delivery is not None else None
        if delivery is None or session is None:
            return
        if (runner := self.table.runner(session)) is not None:
            runner.woken(delivery)
        else:  # released meanwhile
            self._spawn(delivery.nak(NAK_DELAY_S))

    def _on_gone(self, bridge: str, _holds: tuple[str, ...]) -> None:
        if not self._draining:
            task = asyncio.create_task(self._takeover.run(bridge), name=f"take over from {bridge}")
            self._takeovers.add(task)
            task.add_done_callback(self._takeovers.discard)

    def _adopt(self, session: str) -> bool:
        """Try to take a session without a wake-up: its owner is gone. False if this bridge is full or has it."""
        if session in self.table or self.table.full or self._draining:
            return False
        self.table.take(session)
        self._spawn(self._consider(session, adopt=True))
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _consider(self, session: str, *, adopt: bool = False) -> None:
        """Settle the wake-ups that need no owner. For the others take the session, or pass them to its owner.

        With `adopt` take it also without a wake-up. If it cannot be taken, they are delivered again later.
        """
        waiting: list[Delivery] = []
        needs: set[Need] = {Need.OWNER} if adopt else set()
        taking = self.table.taking(session)
        assert taking is not None
        try:
            async with self._judging_limit:
                while taking:
                    delivery = taking.pop(0)
                    if (need := await self._judge.need(session, delivery)) is not Need.NOTHING:
                        needs.add(need)
                        waiting.append(delivery)
                ownership = await self._owner_for(session, needs)
        except OrastreamError as exc:
            log.debug("a wake-up is delivered again later", session=session, error=str(exc))
            ownership = None
        except Exception:  # noqa: BLE001 - else a bug would block the session for ever
            log.exception("handling a wake-up failed", session=session)
            ownership = None
        waiting += self.table.not_taken(session)
        if not isinstance(ownership, Ownership):
            for delivery in waiting:
                if ownership is None or not await self._peers.passed_on(ownership.bridge, passed(delivery)):
                    await delivery.nak(NAK_DELAY_S)
            return
        if ownership.taken_over:
            self._context.counts.taken_over()
        runner = OwnedSession(self._context, ownership)
        for delivery in waiting:
            runner.woken(delivery)
        self.table.owned(session, runner)
        if self._draining:
            runner.drain(self._drain_s)
        await self._serve(session, runner)

    async def _owner_for(self, session: str, needs: set[Need]) -> Ownership | OwnedBy | None:
        """Take the session if it must have an owner, or look who owns it. Raises NodeUnavailable."""
        if Need.OWNER in needs and not self._draining:
            return await self._context.owners.take(session)
        return await self._context.owners.owner(session) if needs else None

    async def _serve(self, session: str, runner: OwnedSession) -> None:
        try:
            await runner.run()
        except* OrastreamError as group:
            log.warning("a session ended with an error", session=session, errors=[str(e) for e in group.exceptions])
        except* Exception:  # noqa: BLE001 - one session's error must not end the others
            log.exception("a session failed", session=session)
        finally:
            self.table.released(session)
            await runner.wakeups.nak(runner.nak_delay_s)  # after the release: else they would come back to this session
            self._pull_consumer.room()

    async def _extend_wakeups(self) -> None:
        """Extend the ack deadline of held wake-ups, so that the consumer does not deliver them to another bridge."""
        lapses = 0
        while True:
            await asyncio.sleep(topology.BRIDGE_ACK_WAIT_S / 2)
            lapsed, lapses = self._lease.term.lapses != lapses, self._lease.term.lapses
            if lapsed:
                self._lapsed()
            for runner in self.table:
                for delivery in runner.wakeups:
                    await delivery.in_progress()
            try:
                await self._context.owners.release_late()
            except NodeUnavailable as exc:
                log.debug("releasing sessions failed; retrying later", error=str(exc))
            self.table.next_turn()
            self._pull_consumer.room()
