"""The phones of the sink: each plays what its session got, in real time, one utterance after the other. Pure.

Audio is assumed to come faster than it is played, as that of eSpeak does: a phone never waits in an utterance. Times
are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

REPORT_S = 0.5
"""Interval of `played` of an utterance that plays."""


@dataclass(slots=True)
class _Play:
    number: int
    session: str
    request: str
    seq: int
    bytes_per_s: float
    begins_at: float
    upto: int = 0
    whole: bool = False
    """Its end has come."""
    reported_at: float = 0.0

    def ends_at(self) -> float:
        return self.begins_at + self.upto / self.bytes_per_s

    def played_ms(self, now: float) -> int:
        return round(max(min(now, self.ends_at()) - self.begins_at, 0.0) * 1000)


class SinkPlayer:
    """What plays in each session, for the streams of one connection."""

    def __init__(self) -> None:
        self._sessions: dict[str, list[_Play]] = {}
        self._playing: dict[int, _Play] = {}
        """Those that are reported, by the number of their stream."""

    def opened(self, number: int, session: str, request: str, seq: int, bytes_per_s: float) -> None:
        """A stream begins: of this request, as PCM of so many bytes per second."""
        self._playing[number] = _Play(number, session, request, seq, bytes_per_s, float("inf"))
        self._sessions.setdefault(session, []).append(self._playing[number])

    def got(self, number: int, upto: int, now: float) -> None:
        """The phone has the bytes of a stream before `upto`."""
        play = self._playing.get(number)
        if play is None:
            return
        if not play.upto:
            before = (one.ends_at() for one in self._sessions[play.session] if one.upto)
            play.begins_at = max(now, max(before, default=now))
        play.upto = upto

    def ended(self, number: int) -> None:
        """The end of a stream has come."""
        if (play := self._playing.get(number)) is not None:
            play.whole = True

    def cancelled(self, session: str, before: int | None, seq: int | None, now: float) -> list[tuple[str, int, int]]:
        """End what a cancel covers and what is not played to its end: request, sequence, ms that were played."""
        cut = [
            one
            for one in self._sessions.get(session, ())
            if (one.seq == seq if before is None else one.seq < before) and not (one.whole and one.ends_at() <= now)
        ]
        for one in cut:
            self._forget(one)
        return [(one.request, one.seq, one.played_ms(now)) for one in cut]

    def reports(self, now: float) -> Iterator[tuple[int, int, bool]]:
        """What to report now: number of the stream, ms that were played, and whether it was played to its end."""
        for play in list(self._playing.values()):
            done = play.whole and play.ends_at() <= now
            if done or (play.begins_at <= now and now - play.reported_at >= REPORT_S):
                play.reported_at = now
                yield play.number, play.played_ms(now), done
            if done:
                self._forget(play)

    def _forget(self, play: _Play) -> None:
        del self._playing[play.number]
        plays = self._sessions[play.session]
        plays.remove(play)
        if not plays:
            del self._sessions[play.session]
