"""The phone of each session: which bytes the application gets, and when. Pure; times in seconds.

Without the fault `real_time` the application takes each byte at once, and counts as having played it. With it, bytes
are given at the speed of the audio, and the utterances of a session come one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.oraserver.v2.events import SessionKey
from services.oraserver.v2.utterance import StreamedUtterance

TICK_S = 0.1


class PlayEffects(Protocol):
    """What playing does to the store."""

    def give(self, utterance: StreamedUtterance, upto: int) -> None:
        """Give the application the bytes before `upto`."""

    def skip(self, utterance: StreamedUtterance, first: int, past: int) -> None:
        """Give up a gap."""

    def end_play(self, utterance: StreamedUtterance) -> None:
        """The phone plays no more of it."""


@dataclass(slots=True)
class _Phone:
    waiting: list[StreamedUtterance]
    since: float
    """When the play was last advanced."""
    stalled_at: float | None = None


class Player:
    """The phones of all sessions."""

    def __init__(self, store: PlayEffects, real_time: Callable[[], bool], skips: Callable[[], bool]) -> None:
        self._store, self._real_time, self._skips = store, real_time, skips
        self._phones: dict[SessionKey, _Phone] = {}

    def add(self, utterance: StreamedUtterance, now: float) -> None:
        """An utterance begins, or is known again after a restart."""
        phone = self._phones.setdefault(utterance.session, _Phone([], now))
        if utterance not in phone.waiting:
            phone.waiting.append(utterance)
            phone.waiting.sort(key=lambda one: one.seq)

    def advance(self, session: SessionKey, now: float) -> None:
        """Play what there is to play in this session."""
        phone = self._phones.get(session)
        while phone is not None and phone.waiting:
            utterance = phone.waiting[0]
            if utterance.play_ended or utterance.cancelled:
                ended = True
            elif self._real_time():
                ended = self._in_real_time(phone, utterance, now)
            else:
                ended = self._at_once(utterance)
            if not ended:
                phone.since = now
                return
            phone.waiting.pop(0)
            phone.stalled_at = None
        self._phones.pop(session, None)

    def advance_all(self, now: float) -> None:
        """Play in all sessions."""
        for session in list(self._phones):
            self.advance(session, now)

    def next_time(self, now: float) -> float | None:
        """When `advance_all` has something to do, if nothing comes before."""
        return now + TICK_S if self._phones and self._real_time() else None

    def clear(self) -> None:
        """Forget all phones."""
        self._phones.clear()

    def _at_once(self, utterance: StreamedUtterance) -> bool:
        self._store.give(utterance, utterance.upto)
        if utterance.final is not None:
            self._store.end_play(utterance)
        return utterance.final is not None

    def _in_real_time(self, phone: _Phone, utterance: StreamedUtterance, now: float) -> bool:
        upto = utterance.upto
        available = utterance.timeline.ms_of(upto)
        elapsed = max(now - phone.since, 0) * 1000
        if utterance.position_ms + elapsed < available:
            utterance.position_ms += elapsed
            self._store.give(utterance, min(max(utterance.timeline.offset_of(utterance.position_ms), 0), upto))
            phone.stalled_at = None
            return False
        used = max((available - utterance.position_ms) / 1000, 0)
        utterance.position_ms = max(utterance.position_ms, available)
        self._store.give(utterance, upto)
        if utterance.final is not None:
            self._store.end_play(utterance)
            phone.since += used  # the next utterance begins when this one ends, not at the tick after it
            return True
        if phone.stalled_at is None:
            phone.stalled_at = phone.since + used
        self._skip_gap(phone, utterance, upto, now)
        return False

    def _skip_gap(self, phone: _Phone, utterance: StreamedUtterance, upto: int, now: float) -> None:
        above = utterance.stored.above
        if not above or not self._skips() or phone.stalled_at is None:
            return
        past = above[0][0]
        if (now - phone.stalled_at) * 1000 >= utterance.timeline.ms_of(past) - utterance.timeline.ms_of(upto):
            self._store.skip(utterance, upto, past)
            phone.stalled_at = None
