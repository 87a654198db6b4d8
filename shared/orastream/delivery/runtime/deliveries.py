"""The deliveries of one session, one at a time, and what they share: its links to OraServer and its audio."""

from __future__ import annotations

from collections.abc import Callable

from orastream.base import logger
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.runtime.context import BridgeContext, SessionContext
from orastream.delivery.runtime.fallback import Fallback, own_delivery
from orastream.delivery.runtime.links import Links
from orastream.delivery.runtime.session_audio import SessionAudio
from orastream.delivery.runtime.utterance_runner import UtteranceRunner

log = logger.named(__name__)


class Deliveries:
    """Begins and ends deliveries. `session` is the session's subject token. Used from the session's loop only."""

    def __init__(self, context: BridgeContext, session: str, on_link: Callable[[], None]) -> None:
        """`on_link` is called when a link is lost or has room again."""
        self._context = context
        self.running: UtteranceRunner | None = None
        self.links = Links(context.sink, on_link)
        self.audio = SessionAudio(context.js, session, context.early)
        self._fallback = Fallback(context.sink.fallback, on_link)

    @property
    def phone(self) -> str | None:
        """The phone to which an utterance is being delivered."""
        return self.running.entry.stored.phone_id if self.running is not None else None

    def running_to(self, phone: str) -> UtteranceDelivery | None:
        """The machine of the running delivery if it is to this phone, else None."""
        return self.running.machine if self.running is not None and self.phone == phone else None

    async def begin(self, entry: Entry, parts: SessionContext, now: float, *, taken_over: bool) -> None:
        """Begin the delivery of a request, or resume that of an earlier owner."""
        before = entry.report
        if self._fallback.begins(entry.resumes, now):
            self.running = self._fallback.runner(parts, entry, now)
        else:
            must_fence = entry.must_fence(taken_over=taken_over)
            utterance = own_delivery(entry, self._context.sink.rules, now, must_fence=must_fence)
            self.running = UtteranceRunner(parts, entry, utterance)
        self._context.announce("begins", entry, before)
        await self.running.open()

    async def fall_back(self, entry: Entry, parts: SessionContext, now: float) -> None:
        """Begin again over the fallback: the delivery over the own transport is closed."""
        log.warning("delivery goes on over the fallback", request=entry.stored.request_id)
        self._fallback.failed(now)
        self.running = self._fallback.runner(parts, entry, now)
        await self.running.open()

    async def end(self) -> Entry:
        """End the running delivery, and return its request."""
        runner, self.running = self.running, None
        assert runner is not None, "the machine ends only the delivery that it has begun"
        await runner.close()
        if self._context.sink.link_per_utterance:
            await self.links.close_used()
        await self._fallback.close()
        return runner.entry

    async def rest(self) -> None:
        """End the subscription to the audio until the next delivery begins."""
        await self.audio.close()

    async def close(self) -> None:
        """Close all links, and end the subscription to the audio."""
        await self.rest()
        await self.links.close()
        await self._fallback.close()
