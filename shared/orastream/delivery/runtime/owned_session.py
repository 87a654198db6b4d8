"""One owned session, from its taking to its release. It works, or it rests.

At rest it has its ownership and its links to OraServer, but no subscription, no task of its own besides `run`, and no
report: less than half of the memory. Each request and each cancel comes with a wake-up, which ends the rest.
"""

from __future__ import annotations

import asyncio

from orastream.base import logger
from orastream.base.wake_event import WakeEvent
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.lease import CHECK_S, WritePermission
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.play_time import PlayTimes
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.runtime.context import BridgeContext
from orastream.delivery.runtime.deliveries import Deliveries
from orastream.delivery.runtime.heard_writer import HeardWriter
from orastream.delivery.runtime.owner_state import OwnerState
from orastream.delivery.runtime.ownership import Ownership
from orastream.delivery.runtime.progress_publisher import SessionProgress
from orastream.delivery.runtime.session_runner import TAKEN, SessionRunner
from orastream.delivery.runtime.wakeups import NAK_DELAY_S, Wakeups
from orastream.jetstream.pull_consumer import Delivery

log = logger.named(__name__)


class OwnedSession:
    """`await run()` returns when the session is over and released. For one event loop."""

    def __init__(self, context: BridgeContext, ownership: Ownership) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        event = WakeEvent(self._loop)
        self.wakeups = Wakeups(context.held)
        self._lifetime = Lifetime(context.sink.idle_s)
        permission = WritePermission(context.lease.term, ownership.lapse)
        deliveries = Deliveries(context, ownership.session, event.set)
        play = PlayTimes() if context.sink.rules.end_frames else None
        listener = Listener()
        recorded, publisher = context.sink.rules.heard_records, context.progress
        recovers = recorded and context.sink.transport == "websocket"  # over HTTP no record is ever not final
        book = HeardBook(listener, recovers=recovers) if recorded or publisher is not None else None
        heard = None if book is None or not recorded else HeardWriter(context.js, ownership, book)
        live = None if book is None or publisher is None else SessionProgress(publisher, ownership.session, book)
        parts = self._lifetime, self.wakeups, permission, deliveries, event, play, book, heard, live, listener
        self._state = OwnerState(ownership, *parts)
        self._runner: SessionRunner | None = None
        """Serves the session while it does not rest."""
        self._rests_since: float | None = None

    @property
    def has_work(self) -> bool:
        """Whether an utterance is being delivered, or a request or cancel is stored or may be unread."""
        return self._lifetime.has_work

    @property
    def rests_since(self) -> float | None:
        """Since when it rests (monotonic seconds); None while it works, and when it gives way."""
        return self._rests_since

    @property
    def nak_delay_s(self) -> float:
        """After which time the consumer delivers the wake-ups that are still held at the end, to any bridge."""
        return 0.0 if self._lifetime.leave_reason is None else NAK_DELAY_S

    def woken(self, delivery: Delivery) -> None:
        """Hold a wake-up of this session until `Session.may_ack` allows its ack."""
        self.wakeups.hold(delivery, self._loop.time())
        if self._runner is not None:
            self._runner.woken(delivery)
        else:
            self._wake()

    def requests_lost(self) -> None:
        """The stream of requests was lost: soon look which of this session's are still stored."""
        if self._runner is not None:
            self._runner.requests_lost()

    def give_way(self) -> None:
        """Release the session unless it has work: the bridge needs its place for another one."""
        self._lifetime.give_way()
        self._rests_since = None  # so that the next one gives way for the next session
        self._wake()

    def lapsed(self) -> None:
        """The lease had lapsed: at rest look whether the session is still owned. A working session does so itself."""
        if self._runner is None:
            self._state.wake_event.set()

    def drain(self, seconds: float) -> None:
        """Begin no delivery, finish the running one within `seconds`, then release the session."""
        self._lifetime.drain(self._loop.time(), seconds)
        self._wake()

    def leave(self, reason: str) -> None:
        """Stop at once, write nothing more and release the session. `reason` is logged."""
        self._lifetime.leave(reason)
        self._wake()

    async def run(self) -> None:
        """Serve the session until it is over, and release it. Cancel-safe. Wake-ups may still be held: nak them."""
        session = self._state.ownership.session
        with logger.bound(session=subjects.untoken(session) or session):
            try:
                while not await self._serve() and not await self._rest():
                    pass
            finally:
                await self._release()

    async def _serve(self) -> bool:
        """Serve the session while it has work. Returns whether it is over."""
        self._runner = SessionRunner(self._context, self._state)
        try:
            return await self._runner.run()
        finally:
            self._runner = None

    async def _rest(self) -> bool:
        """Wait for a wake-up, or until the session is over. Returns whether it is over."""
        event, links = self._state.wake_event, self._state.deliveries.links
        self._rests_since = self._loop.time()
        while not self.wakeups:
            event.clear()  # before the awaits: what comes during one of them ends the wait below
            checked = await self._check_ownership()
            now = self._loop.time()
            if self._lifetime.over(now, delivering=False, work=bool(self.wakeups)):
                return True
            await links.close_idle(now, None)
            again = None if checked else now + CHECK_S
            times = self._lifetime.next_time(), links.next_time(None), again, self._forget_played(now)
            await event.wait(min((at for at in times if at is not None), default=float("inf")))
        event.close()
        self._rests_since = None
        return False

    def _forget_played(self, now: float) -> float | None:
        """Forget the utterances that have been played. Returns when to do it again, or None."""
        if self._state.play is not None:
            self._state.play.forget(now)
        return None if self._state.book is None else self._state.book.forget(now)

    async def _check_ownership(self) -> bool:
        """After a lapse of the lease leave the session if another bridge has taken it.

        Returns whether the owner is known; if not, NATS has not answered.
        """
        permission = self._state.permission
        if (lapse := permission.next_check()) is None:
            return True
        found = await self._context.owners.check(self._state.ownership, lapse)
        permission.answered(found.lapse, ours=found.ours)
        if found.ours is False:
            self._lifetime.leave(TAKEN)
        return found.ours is not None

    def _wake(self) -> None:
        if self._runner is not None:
            self._runner.wake()
        else:
            self._state.wake_event.set()

    async def _release(self) -> None:
        self._state.wake_event.close()
        if self._state.progress is not None:
            self._state.progress.close()
        try:
            await self._state.deliveries.close()
        finally:
            try:
                await self._context.owners.release(self._state.ownership)
            except NodeUnavailable:
                log.debug("the session is not released yet; until then no other bridge can take it")
