"""Times of a delivery for its report, in monotonic seconds of one process. Pure."""

from __future__ import annotations

from typing import Any

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from orastream.contract.playback import Playback


class Timing:
    """First write, last confirmation, and the underruns that a listener would have heard, of one utterance."""

    def __init__(self, asked_at: float, *, piecewise: bool) -> None:
        """`asked_at` is when the request was stored; the other times are seconds of the same clock.

        `piecewise`: the listener receives chunks one by one.
        """
        self._asked_at = asked_at
        self._piecewise = piecewise
        self._first_write_at: float | None = None
        self._last_confirmed_at: float | None = None
        self._playback: Playback | None = None

    def wrote(self, chunk: AudioChunk, base: Report | None, now: float) -> None:
        """Record a chunk written at `now`. `base` is the report from which this owner resumed."""
        if self._first_write_at is None:
            self._first_write_at = now
        if self._piecewise:
            if self._playback is None:
                self._playback = self._playback_since(base)
            self._playback.chunk(chunk.index, chunk.pts_ms, now * 1000)

    def completed(self, now: float) -> None:
        """Record `complete`, written at `now`. If not `piecewise`, the listener receives the first audio then."""
        if self._first_write_at is None or not self._piecewise:
            self._first_write_at = now

    def confirmed(self, now: float) -> None:
        """Record an answer from OraServer at `now`."""
        self._last_confirmed_at = now

    def began_at(self, base: Report | None) -> float:
        """When the listener began to play, later by all its waits for chunks; without a chunk, the time of the request.

        The first chunk was written by this owner or by an earlier one, and is played at once. With the waits, which a
        slowly streamed text causes, the end of the audio is as late as it is heard. `base` is the report from which
        this owner resumed.
        """
        if base is None:
            return self._asked_at
        figures = self.figures(base)
        began_ms: float = (figures["first_audio_ms"] or 0.0) + figures["underrun_ms"]
        return self._asked_at + began_ms / 1000

    def marks(self) -> list[tuple[str, float]]:
        """Names and times of the first write and the last confirmation, if they have happened."""
        times = (("first write", self._first_write_at), ("last confirmation", self._last_confirmed_at))
        return [(name, at) for name, at in times if at is not None]

    def figures(self, base: Report) -> dict[str, Any]:
        """The timing fields of the report. Fields not measured here keep the value of `base`."""
        first = base.first_audio_ms
        if first is None and self._first_write_at is not None:
            first = round(max(0.0, self._first_write_at - self._asked_at) * 1000, 1)
        transfer = base.transfer_ms
        if first is not None and self._last_confirmed_at is not None:
            transfer = round(max(0.0, (self._last_confirmed_at - self._asked_at) * 1000 - first), 1)
        playback = self._playback
        return {
            "first_audio_ms": first,
            "transfer_ms": transfer,
            "underruns": base.underruns if playback is None else playback.underruns,
            "underrun_ms": base.underrun_ms if playback is None else round(playback.underrun_ms, 1),
        }

    def _playback_since(self, base: Report | None) -> Playback:
        """A model of the listener's playback, resumed from an earlier owner's checkpoint if there is one."""
        if base is None or base.first_audio_ms is None:
            return Playback()
        return Playback(
            self._asked_at * 1000 + base.first_audio_ms,
            chunks=base.delivered_chunks,
            underruns=base.underruns,
            underrun_ms=base.underrun_ms,
        )
