"""The open links of one session: one per phone, kept for its next utterance, closed when idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orastream.base import tasks
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.outcomes import Answered
from orastream.delivery.sink import Link, LinkLost, Sink, SpeechEnd

CONFIRM_S = 1.0
"""How long a link that was opened for an end frame alone stays open at most."""


@dataclass(slots=True)
class _Open:
    link: Link
    used_at: float


class Links:
    """Links by phone. Times are monotonic seconds. Not thread-safe: use from one event loop."""

    def __init__(self, sink: Sink, wake: Callable[[], None]) -> None:
        self._sink = sink
        self._wake = wake
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, asyncio.Task[Link]] = {}
        self._ends: dict[str, list[tuple[SpeechEnd, Callable[[], bool]]]] = {}
        """End frames to write by phone, before anything else, over the link that is being opened."""
        self._alone: list[asyncio.Task[None]] = []
        """Links that are opened for an end frame alone."""

    def __bool__(self) -> bool:
        return bool(self._open or self._opening or self._alone)

    async def get(self, session_id: str, phone_id: str, now: float) -> Link:
        """Return the open link of this phone, or open one. Raises LinkLost.

        Cancel-safe: if the caller is cancelled, the link still opens, and the next call for this phone returns it.
        """
        known = self._open.get(phone_id)
        if known is not None and known.link.lost is None:
            known.used_at = now
            return known.link
        return await asyncio.shield(self._opened(session_id, phone_id, now))

    def announce(self, end: SpeechEnd, now: float, may_write: Callable[[], bool]) -> None:
        """Write an end frame over the open link of its phone, or over a new one, before anything else.

        One attempt, which nobody waits for. The new link is kept for the next utterance, unless each one has a link of
        its own. `may_write` is asked when the link is open.
        """
        session_id, phone_id = end.speech.session_id, end.speech.phone_id
        known = self._open.get(phone_id)
        if known is not None and known.link.lost is None:
            known.link.ended(end)
        elif self._sink.link_per_utterance:
            task = asyncio.create_task(self._end_alone(end, may_write))
            self._alone.append(task)
            task.add_done_callback(self._alone.remove)
        else:
            self._ends.setdefault(phone_id, []).append((end, may_write))
            self._opened(session_id, phone_id, now)

    def _opened(self, session_id: str, phone_id: str, now: float) -> asyncio.Task[Link]:
        opening = self._opening.get(phone_id)
        if opening is None:
            opening = self._opening[phone_id] = asyncio.create_task(self._connect(session_id, phone_id, now))
            opening.add_done_callback(_read_exception)
        return opening

    async def _connect(self, session_id: str, phone_id: str, now: float) -> Link:
        ends: list[tuple[SpeechEnd, Callable[[], bool]]] = []
        try:
            link = await self._sink.connect(session_id, phone_id, self._wake)
            self._open[phone_id] = _Open(link, now)
            ends = self._ends.pop(phone_id, [])
            for end, may_write in ends:
                if may_write():
                    link.ended(end)
            return link
        finally:
            del self._opening[phone_id]
            self._ends.pop(phone_id, None)
            if ends:
                self._wake()  # nobody waits for this link: without a round it would not be closed as idle

    async def _end_alone(self, end: SpeechEnd, may_write: Callable[[], bool]) -> None:
        with contextlib.suppress(LinkLost, TimeoutError):
            link = await self._sink.connect(end.speech.session_id, end.speech.phone_id, _nothing)
            try:
                if may_write():
                    link.ended(end)
                async with asyncio.timeout(CONFIRM_S):
                    await link.confirm(may_write)
            finally:
                await link.close()

    async def close_idle(self, now: float, in_use: str | None) -> None:
        """Close links unused for the sink's `idle_s` seconds; remove lost ones. The phone `in_use` counts as used.

        Call it also when the use of a phone begins or ends.
        """
        for phone, opened in list(self._open.items()):
            if phone == in_use:
                opened.used_at = now
            if opened.link.lost is not None:
                del self._open[phone]
            elif now >= opened.used_at + self._sink.idle_s:
                del self._open[phone]
                await opened.link.close()

    def next_time(self, in_use: str | None) -> float | None:
        """When to call `close_idle` next (monotonic seconds), or None."""
        idle = (opened.used_at for phone, opened in self._open.items() if phone != in_use)
        return min((at + self._sink.idle_s for at in idle), default=None)

    async def close(self) -> None:
        """Close all links and cancel those that are being opened, also for end frames."""
        await tasks.end(*self._alone)
        await self.close_used()

    async def close_used(self) -> None:
        """Close the links of the utterances, and cancel those that are being opened."""
        await tasks.end(*self._opening.values())
        links, self._open = self._open, {}
        for opened in links.values():
            await opened.link.close()


def pass_answer(
    answer: Awaitable[None], background: Background, answered: Callable[[BaseException | None], Answered]
) -> None:
    """Have the session's loop get `answered(failure)` when a link's `confirm` has returned or failed."""
    if isinstance(answer, asyncio.Future):  # it needs no task
        answer.add_done_callback(lambda done: background.put(answered(done.exception())))
    else:
        background.start(_outcome_of(answer, answered))


async def _outcome_of(answer: Awaitable[None], answered: Callable[[BaseException | None], Answered]) -> Answered:
    try:
        await answer
    except LinkLost as exc:
        return answered(exc)
    return answered(None)


def _nothing() -> None:
    """Wake nobody."""


def _read_exception(opening: asyncio.Task[Link]) -> None:
    """Read the exception: else asyncio would log an error if no caller waits for the task any more."""
    if not opening.cancelled():
        opening.exception()
