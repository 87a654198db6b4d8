"""A bridge process: receives wake-ups from the durable consumer, takes sessions and runs each in its own task.

A wake-up is a delivery of a stored request or cancel. The bridge holds it until that request or cancel needs nothing
more, and extends its ack deadline meanwhile. If this process dies, the consumer delivers it to another bridge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from orastream.base import logger, tasks
from orastream.contract import stream_names, subjects
from orastream.contract.errors import NodeUnavailable, OrastreamError
from orastream.contract.messages import Report
from orastream.contract.stored_requests import StoredCancel, read_stored
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.wakeup import Step, by_claim, cancel_is_applied, first_step, if_stored
from orastream.delivery.runtime.context import BridgeContext, DeliveryCounts
from orastream.delivery.runtime.owner_sweep import OwnerSweep
from orastream.delivery.runtime.ownership import Lease, Owners
from orastream.delivery.runtime.session_runner import SessionRunner
from orastream.delivery.runtime.takeover import Takeover
from orastream.delivery.runtime.wakeups import NAK_DELAY_S
from orastream.delivery.sink import Sink
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.peers import CONFIRM_CLUSTER_S, CONFIRM_S, Peers
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.session_events import next_request

MAX_HELD = 8192
MAX_SESSIONS = 2000
CONSIDERED_AT_ONCE = 64

log = logger.named(__name__)


class Bridge:
    """`await run(stop, drain_s)` serves until `stop`, then finishes or releases its sessions. Not thread-safe."""

    def __init__(
        self,
        js: JetStream,
        *,
        kind: str,
        sink: Sink,
        max_text_chars: int,
        counts: DeliveryCounts,
        announce: Callable[[str, Entry, Report | None], None],
    ) -> None:
        self._js = js
        self._reports = ReportStore(js)
        self._lease = Lease(js, kind)
        owners = Owners(js, kind, self._lease)
        self._takeover = Takeover(js, owners, self._adopt)
        self._peers = Peers(js.broker, kind, self._lease.bridge, on_gone=self._on_gone)
        self._takeovers: set[asyncio.Task[None]] = set()
        self._context = BridgeContext(
            js=js,
            kind=kind,
            sink=sink,
            lease=self._lease,
            owners=owners,
            max_text_chars=max_text_chars,
            counts=counts,
            announce=announce,
        )
        self._runners: dict[str, SessionRunner] = {}
        self._taking: dict[str, list[Delivery]] = {}
        self._judging_limit = asyncio.Semaphore(CONSIDERED_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._drain_s = 0.0
        self._pull_consumer = PullConsumer(js.broker, stream_names.SESSIONS, kind, self._on_delivery, self._capacity)

    @property
    def sessions(self) -> int:
        """Number of sessions owned now."""
        return len(self._runners)

    @property
    def sessions_without_work(self) -> int:
        """Number of owned sessions without work. Each is released after the sink's `idle_s` seconds without work."""
        return sum(not runner.has_work for runner in self._runners.values())

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
        if stream in (stream_names.OWNERS, stream_names.HEARTBEATS):
            self._lease.term.doubt()
        if stream == stream_names.SESSIONS:
            for runner in self._runners.values():
                runner.requests_lost()

    def sequences_back(self, stream: str) -> None:
        """The sequences of a stream are lower than before: leave all sessions and take them again with new feeds.

        The present feeds would drop new messages as already known.
        """
        if stream in (stream_names.SESSIONS, stream_names.AUDIO, stream_names.REPORTS):
            for runner in self._runners.values():
                runner.leave(f"the sequences of {stream} went back")

    async def run(self, stop: asyncio.Event, drain_s: float) -> None:
        """Serve until `stop`. Then take no session, finish running deliveries, release sessions, end the heartbeat.

        Deliveries may go on for `drain_s` seconds after `stop`. Raises what a task of the bridge raises.
        """
        start = asyncio.create_task
        broker, term = self._js.broker, self._lease.term
        unhook = (broker.on_disconnect(self._disconnected), broker.on_reconnect(term.reconnected))
        pull, stopped = start(self._pull_consumer.run(), name="pull"), start(stop.wait(), name="stop")
        sweep = start(OwnerSweep(self._js, self._lease.bridge, self._serves).run(), name="sweep")
        kept = [
            start(self._lease.run(), name="heartbeat"),
            start(self._extend_wakeups(), name="keep"),
            start(self._peers.run(), name="peers"),
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
            for runner in self._runners.values():
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

    # ---- wake-ups

    def _capacity(self) -> int:
        held = sum(len(r.wakeups) for r in self._runners.values()) + sum(map(len, self._taking.values()))
        if len(self._runners) + len(self._taking) >= MAX_SESSIONS:
            return 0
        return min(256, MAX_HELD - held)

    def _on_delivery(self, delivery: Delivery) -> None:
        session = subjects.session_of(delivery.subject)
        if session is None:
            self._spawn(delivery.discard(self._js))
            return
        runner = self._runners.get(session)
        if runner is not None:
            runner.woken(delivery)
        elif session in self._taking:
            self._taking[session].append(delivery)
        else:
            self._taking[session] = [delivery]
            self._spawn(self._consider(session))

    def _on_gone(self, bridge: str, _holds: tuple[str, ...]) -> None:
        if not self._draining:
            task = asyncio.create_task(self._takeover.run(bridge), name=f"take over from {bridge}")
            self._takeovers.add(task)
            task.add_done_callback(self._takeovers.discard)

    def _serves(self, session: str) -> bool:
        return session in self._runners or session in self._taking

    def _adopt(self, session: str) -> bool:
        """Try to take a session without a wake-up: its owner is gone. False if this bridge is full or has it."""
        full = len(self._runners) + len(self._taking) >= MAX_SESSIONS
        if self._serves(session) or full or self._draining:
            return False
        self._taking[session] = []
        self._spawn(self._consider(session, adopt=True))
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _consider(self, session: str, *, adopt: bool = False) -> None:
        """Settle the wake-ups that need no owner. For the others take the session, or nak them if that fails.

        With `adopt` take it also without a wake-up.
        """
        waiting: list[Delivery] = []
        try:
            async with self._judging_limit:
                while self._taking[session]:
                    delivery = self._taking[session].pop(0)
                    if not await self._needs_no_owner(session, delivery):
                        waiting.append(delivery)
                wanted = (waiting or adopt) and not self._draining
                ownership = await self._context.owners.take(session) if wanted else None
        except OrastreamError as exc:
            log.debug("a wake-up is delivered again later", session=session, error=str(exc))
            ownership = None
        except Exception:  # noqa: BLE001 - else a bug would block the session for ever
            log.exception("handling a wake-up failed", session=session)
            ownership = None
        waiting += self._taking.pop(session, [])
        if ownership is None:
            for delivery in waiting:
                await delivery.nak(NAK_DELAY_S)
            return
        if ownership.taken_over:
            self._context.counts.taken_over()
        runner = SessionRunner(self._context, ownership)
        for delivery in waiting:
            runner.woken(delivery)
        self._runners[session] = runner
        if self._draining:
            runner.drain(self._drain_s)
        await self._serve(session, runner)

    async def _serve(self, session: str, runner: SessionRunner) -> None:
        try:
            await runner.run()
        except* OrastreamError as group:
            log.warning("a session ended with an error", session=session, errors=[str(e) for e in group.exceptions])
        except* Exception:  # noqa: BLE001 - one session's error must not end the others
            log.exception("a session failed", session=session)
        finally:
            del self._runners[session]
            await runner.wakeups.nak(NAK_DELAY_S)
            self._pull_consumer.room()

    async def _needs_no_owner(self, session: str, delivery: Delivery) -> bool:
        stored = read_stored(
            delivery.subject,
            delivery.sequence,
            delivery.time_s,
            delivery.data,
            max_text_chars=self._context.max_text_chars,
        )
        if isinstance(stored, StoredCancel):
            await self._settle_cancel(session, delivery)
            return True
        step = first_step(stored.stated_transport, self._context.sink.transport, delivery.delivered)
        if step is Step.ASK_STORED:
            message = await self._js.get(stream_names.SESSIONS, delivery.sequence)
            step = if_stored(stored.stated_transport, message is not None)
        if step is Step.ASK_REPORT:
            state = await self._reports.read(session, stored.token)
            step = by_claim(state.report.transport if state is not None else None, self._context.sink.transport)
        if step is Step.ACK:
            await delivery.ack()
        elif step is Step.NAK:
            await delivery.nak(NAK_DELAY_S)
        return step is not Step.OWN

    async def _settle_cancel(self, session: str, delivery: Delivery) -> None:
        """Delete a cancel that is applied. Nak any other one: the owner of the requests before it applies it."""
        lowest = await next_request(self._js, session, 0, before=delivery.sequence)
        if cancel_is_applied(delivery.sequence, lowest.sequence if lowest is not None else None):
            await self._js.delete(stream_names.SESSIONS, delivery.sequence)
            await delivery.ack()
        else:
            await delivery.nak(NAK_DELAY_S)

    async def _extend_wakeups(self) -> None:
        """Extend the ack deadline of held wake-ups, so that the consumer does not deliver them to another bridge."""
        while True:
            await asyncio.sleep(topology.BRIDGE_ACK_WAIT_S / 3)
            for runner in list(self._runners.values()):
                for delivery in runner.wakeups:
                    await delivery.in_progress()
            try:
                await self._context.owners.release_late()
            except NodeUnavailable as exc:
                log.debug("releasing sessions failed; retrying later", error=str(exc))
            self._pull_consumer.room()
