"""Times of a delivery for its report. They compare several processes, so they are unix seconds. Pure."""

from __future__ import annotations

from typing import Any

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import Report
from orastream.contract.playback import Playback


class Timing:
    """First write, last confirmation, and the underruns that a listener would have heard, of one utterance."""

    def __init__(self, stored_at_s: float, *, piecewise: bool) -> None:
        """`stored_at_s` is when the request was stored. `piecewise`: the listener receives chunks one by one."""
        self._stored_at_s = stored_at_s
        self._piecewise = piecewise
        self._first_write_s: float | None = None
        self._last_confirmed_s: float | None = None
        self._playback: Playback | None = None

    def wrote(self, chunk: AudioChunk, base: Report | None, wall_s: float) -> None:
        """Record a chunk written at `wall_s`. `base` is the report from which this owner resumed."""
        if self._first_write_s is None:
            self._first_write_s = wall_s
        if self._piecewise:
            if self._playback is None:
                self._playback = self._playback_since(base)
            self._playback.chunk(chunk.index, chunk.pts_ms, wall_s * 1000)

    def completed(self, wall_s: float) -> None:
        """Record `complete`, written at `wall_s`. If not `piecewise`, the listener receives the first audio then."""
        if self._first_write_s is None or not self._piecewise:
            self._first_write_s = wall_s

    def confirmed(self, wall_s: float) -> None:
        """Record an answer from OraServer at `wall_s`."""
        self._last_confirmed_s = wall_s

    def marks(self) -> list[tuple[str, float]]:
        """Names and unix seconds of the first write and the last confirmation, if they have happened."""
        times = (("first write", self._first_write_s), ("last confirmation", self._last_confirmed_s))
        return [(name, at_s) for name, at_s in times if at_s is not None]

    def figures(self, base: Report) -> dict[str, Any]:
        """The timing fields of the report. Fields not measured here keep the value of `base`."""
        first = base.first_audio_ms
        if first is None and self._first_write_s is not None:
            first = round(max(0.0, self._first_write_s - self._stored_at_s) * 1000, 1)
        transfer = base.transfer_ms
        if first is not None and self._last_confirmed_s is not None:
            transfer = round(max(0.0, (self._last_confirmed_s - self._stored_at_s) * 1000 - first), 1)
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
            self._stored_at_s * 1000 + base.first_audio_ms,
            chunks=base.delivered_chunks,
            underruns=base.underruns,
            underrun_ms=base.underrun_ms,
        )
