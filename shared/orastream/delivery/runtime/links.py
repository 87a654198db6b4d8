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
    taken: bool = False
    """`get` has asked for it."""


class Links:
    """Links by phone. Times are monotonic seconds. Not thread-safe: use from one event loop."""

    def __init__(self, sink: Sink, wake: Callable[[], None]) -> None:
        self._sink = sink
        self._wake = wake
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, asyncio.Task[Link]] = {}
        self._wanted: set[str] = set()
        """Phones of the links that are being opened and that `get` has asked for."""
        self._ends: dict[str, list[tuple[SpeechEnd, Callable[[], bool]]]] = {}
        """End frames to write by phone, before anything else, over the link that is being opened."""
        self._alone: dict[str, asyncio.Task[None]] = {}
        """With a link for each utterance: closes the link of this phone that was opened for end frames alone."""

    def __bool__(self) -> bool:
        return bool(self._open or self._opening or self._alone)

    async def get(self, session_id: str, phone_id: str, now: float) -> Link:
        """Return the open link of this phone, or open one. Raises LinkLost.

        Cancel-safe: if the caller is cancelled, the link still opens, and the next call for this phone returns it.
        """
        known = self._open.get(phone_id)
        if known is not None and known.link.lost is None:
            known.used_at, known.taken = now, True
            return known.link
        opening = self._opened(session_id, phone_id, now)
        self._wanted.add(phone_id)
        return await asyncio.shield(opening)

    def announce(self, end: SpeechEnd, now: float, may_write: Callable[[], bool]) -> None:
        """Write an end frame over the open link of its phone, or over a new one, before anything else.

        One attempt, which nobody waits for. The new link is kept for the next utterance. If each one has a link of its
        own, the link is closed soon, unless the next utterance takes it before: a phone never has two, because
        OraServer would drop what the older one brings. `may_write` is asked when the link is open.
        """
        session_id, phone_id = end.speech.session_id, end.speech.phone_id
        known = self._open.get(phone_id)
        if known is not None and known.link.lost is None:
            known.link.ended(end)
            return
        if self._sink.record.protocol == "v2":
            return  # `cancel` and `end` say it
        self._ends.setdefault(phone_id, []).append((end, may_write))
        opening = self._opened(session_id, phone_id, now)
        if self._sink.link_per_utterance and phone_id not in self._alone:
            self._alone[phone_id] = task = asyncio.create_task(self._close_unless_taken(phone_id, opening, may_write))
            task.add_done_callback(lambda _: self._alone.pop(phone_id, None))

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
            if (before := self._open.pop(phone_id, None)) is not None:
                await before.link.close()
            self._open[phone_id] = _Open(link, now, phone_id in self._wanted)
            ends = self._ends.pop(phone_id, [])
            for end, may_write in ends:
                if may_write():
                    link.ended(end)
            return link
        finally:
            del self._opening[phone_id]
            self._wanted.discard(phone_id)
            self._ends.pop(phone_id, None)
            if ends:
                self._wake()  # nobody waits for this link: without a round it would not be closed as idle

    async def _close_unless_taken(
        self, phone_id: str, opening: asyncio.Task[Link], may_write: Callable[[], bool]
    ) -> None:
        """Close the link when OraServer has answered a ping, or after CONFIRM_S, unless an utterance has taken it."""
        with contextlib.suppress(LinkLost):
            link = await asyncio.shield(opening)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIRM_S):
                    await link.confirm(may_write)
            opened = self._open.get(phone_id)
            if opened is not None and opened.link is link and not opened.taken:
                del self._open[phone_id]
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
                await opened.link.close()
            elif now >= opened.used_at + self._sink.idle_s:
                del self._open[phone]
                await opened.link.close()

    def next_time(self, in_use: str | None) -> float | None:
        """When to call `close_idle` next (monotonic seconds), or None."""
        idle = (opened.used_at for phone, opened in self._open.items() if phone != in_use)
        return min((at + self._sink.idle_s for at in idle), default=None)

    async def close(self) -> None:
        """Close all links and cancel those that are being opened, also for end frames."""
        await tasks.end(*self._alone.values())
        self._alone.clear()
        await self.close_used()

    async def close_used(self) -> None:
        """Close the links of the utterances, and cancel those that are being opened, but not for end frames alone."""
        await tasks.end(*(opening for phone, opening in self._opening.items() if phone not in self._alone))
        for phone, opened in list(self._open.items()):
            if opened.taken or phone not in self._alone:
                del self._open[phone]
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


def _read_exception(opening: asyncio.Task[Link]) -> None:
    """Read the exception: else asyncio would log an error if no caller waits for the task any more."""
    if not opening.cancelled():
        opening.exception()
