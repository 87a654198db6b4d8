"""Publishes how far utterances are, on `tts.progress`, as long as somebody may watch.

Each message has a reply subject, so nats-server answers with status 503 if nobody receives it (`rules/progress_pace`).
The reply subjects are below the one subscription of the process' inboxes. A session has at most one timer, none while
nothing of it plays, and uses none of the rounds of the session's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from orastream.base import logger
from orastream.broker import Broker, Headers
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import OrastreamError
from orastream.contract.heard import HeardBy
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.heard_book import HeardBook
from orastream.delivery.rules.live_progress import DeliveryFigures, LiveUtterances
from orastream.delivery.rules.progress_pace import ProgressPace
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import Finished
from orastream.delivery.sink import Link

PUBLISH_S = 1.0
"""How long a publish may take. It waits only while the connection's buffer is full."""
REFUSED_S = 5.0
"""How long after a message its refusal may come."""

log = logger.named(__name__)


def figures_of(machine: UtteranceDelivery, link: Link | None, lost_bytes: int) -> DeliveryFigures:
    """Look at a delivery. `lost_bytes`: those that were sent again over earlier links of protocol v2."""
    progress, resuming = machine.progress, None if link is None else link.resuming
    again = progress.retransmitted_bytes + lost_bytes
    if resuming is None:
        by: HeardBy | None = None if link is None else "sent"
        return DeliveryFigures(progress.sent_seconds, progress.audio_seconds, machine.audio_s, again, by)
    return DeliveryFigures(
        max(progress.sent_seconds, resuming.sent_s),
        max(progress.audio_seconds, resuming.acked_s),
        machine.audio_s,
        again + resuming.retransmitted_bytes,
        "played" if resuming.reports_played else "sent",
    )


class ProgressPublisher:
    """What the sessions of one bridge process share. For one event loop."""

    def __init__(self, broker: Broker, may_publish: Callable[[], bool]) -> None:
        """`may_publish`: whether this bridge still owns its sessions, as far as it knows."""
        self.broker = broker
        self.names = broker.names
        self._may_publish = may_publish
        self._refused = False
        """NATS refuses this user the subjects: publish nothing more, or each would be a violation in its log."""
        self._subject, self._published_at = "", float("-inf")
        """Where and when a message was published whose refusal is looked for: the refusal comes after many others."""

    @property
    def ready(self) -> bool:
        """Whether a message may be published now: never again when NATS has refused one."""
        if not self._refused and self._subject and self.broker.refused(self._subject) is not None:
            self._refused = True
            log.warning("no live progress: NATS refuses this user tts.progress; make the users anew (init-auth)")
        return not self._refused and self.broker.connected and self._may_publish()

    async def publish(self, subject: str, data: bytes, reply: str) -> None:
        """Publish a message. Raises OrastreamError, TimeoutError after PUBLISH_S seconds. Cancel-safe."""
        now = asyncio.get_running_loop().time()
        if now > self._published_at + REFUSED_S:
            self._subject, self._published_at = subject, now
        async with asyncio.timeout(PUBLISH_S):
            await self.broker.publish(subject, data, reply=reply)


class SessionProgress:
    """Publishes the progress of one session's utterances. Call `close` when the session is released."""

    def __init__(self, publisher: ProgressPublisher, session: str, book: HeardBook) -> None:
        """`session` is the session's subject token, `book` what its listener hears."""
        self._utterances = LiveUtterances(book)
        self._publisher = publisher
        self._session = session
        self._pace = ProgressPace()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._last: dict[int, DeliveryProgress] = {}
        """The last message about each utterance."""
        self._inboxes: dict[int, str] = {}

    def begin(self, stored: StoredRequest, figures: Callable[[], DeliveryFigures]) -> None:
        """The first audio of an utterance was sent. `figures` is called until `delivery_over`."""
        self._prune()
        self._utterances.begin(stored, figures)
        self._pace.add(stored.sequence, self._loop.time())
        self._set_timer()

    def delivery_over(self, sequence: int, finished: Finished | None) -> None:
        """The delivery has ended; its utterance may still play. `finished` None: another owner may go on with it."""
        self._utterances.delivery_over(sequence, finished)
        if finished is None:
            self._forget(sequence)

    def close(self) -> None:
        """Publish nothing more: this bridge has released the session. A message on its way is not waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
        for inbox in self._inboxes.values():
            self._publisher.broker.close_inbox(inbox)
        self._inboxes.clear()
        self._last.clear()
        self._utterances.clear()
        self._pace = ProgressPace()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None and (at := self._pace.next_time()) is not None:
            self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self._publish_due(), name=f"progress {self._session}")
        self._task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        if (failure := task.exception()) is not None:
            log.error("publishing progress failed", exc_info=failure)
            self._pace.failed(self._loop.time())
        self._set_timer()

    async def _publish_due(self) -> None:
        now = self._loop.time()
        self._prune()
        if not self._publisher.ready:
            self._pace.failed(now)
            return
        for sequence in self._pace.due(now):
            if (stored := self._utterances.stored(sequence)) is None:
                self._forget(sequence)
                continue
            progress = self._utterances.progress(sequence, now)
            if not (progress.done or self._pace.must_publish(sequence, now) or progress != self._last.get(sequence)):
                self._pace.unchanged(sequence, now)
                continue
            try:
                await self._publish(stored, progress, now)
            except (OrastreamError, TimeoutError) as exc:
                log.debug("no progress was published", error=str(exc))
                self._pace.failed(now)
                return

    async def _publish(self, stored: StoredRequest, progress: DeliveryProgress, now: float) -> None:
        sequence, publisher = stored.sequence, self._publisher
        subject = publisher.names.progress(self._session, stored.token)
        if (inbox := self._inboxes.get(sequence)) is None:
            inbox = self._inboxes[sequence] = publisher.broker.open_inbox(partial(self._answered, sequence))
        self._last[sequence] = progress
        self._pace.published(sequence, now)  # before the await: its answer may come before the await ends
        await publisher.publish(subject, progress.encode(stored.encoding), inbox)
        if progress.done:
            self._forget(sequence)

    def _answered(self, sequence: int, _subject: str, _reply: str, _data: bytes, headers: Headers) -> None:
        if headers.status == "503":
            self._pace.nobody_watches(sequence, self._loop.time())
            self._set_timer()

    def _prune(self) -> None:
        """Forget what has ended and nobody watches. Who watches gets one more message."""
        for sequence in self._utterances.ended():
            if not self._pace.watched(sequence):
                self._forget(sequence)

    def _forget(self, sequence: int) -> None:
        self._utterances.forget(sequence)
        self._pace.remove(sequence)
        self._last.pop(sequence, None)
        if (inbox := self._inboxes.pop(sequence, None)) is not None:
            self._publisher.broker.close_inbox(inbox)
