"""Decides whether to try again after a failed attempt; builds the log line and the final report of `none`. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from orastream.contract.audio_messages import AudioEnd, EndError
from orastream.contract.messages import Report, ReportError
from orastream.contract.playback import Playback
from services.synth.engines.base import CannotResume, EngineError

MAX_FAILED_ATTEMPTS = 3
"""A request fails after this many attempts in a row without progress."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the stored audio of a request reaches when an attempt is opened."""

    chunks: int
    """Number of chunks stored without a gap."""
    sentence: int
    """`sentence` of the last of these chunks; 0 if there is none."""
    exact: bool
    """Whether the attempt continues at the sample where the stored audio ends. Else it speaks `sentence` again."""


class FailedAttempts:
    """Counts the failed attempts in a row without progress, as the job of one request sees them.

    An attempt makes progress when it stores a new chunk. But if the next attempt speaks the last sentence again, a new
    chunk of that sentence is no progress: a sentence at which the engine always breaks off would never end. Progress
    sets the count back to 0. An attempt counts once, even if the job saw its failure and its lack of chunks is stored.
    """

    def __init__(self) -> None:
        self.in_a_row = 0
        self._reached = Reached(0, 0, exact=True)

    def on_opened(self, reached: Reached, without_progress: int) -> None:
        """An attempt was opened. `without_progress`: attempts in a row before it that stored nothing."""
        before, self._reached = self._reached, reached
        progress = reached.sentence > before.sentence or (reached.exact and reached.chunks > before.chunks)
        self.in_a_row = without_progress if progress else max(self.in_a_row, without_progress)

    def on_failed(self) -> None:
        """The attempt that was opened last has failed: by an error of the engine, or because its audio was lost."""
        self.in_a_row += 1

    @property
    def too_many(self) -> bool:
        """Whether the request fails now."""
        return self.in_a_row >= MAX_FAILED_ATTEMPTS


def worth_retrying(error: EngineError) -> bool:
    """Whether another attempt at the same request can help after this error.

    It cannot if the request is wrong, or if the stored part of the file cannot be continued: only a new request can.
    """
    return error.retryable and not isinstance(error, CannotResume)


def summary(end: AudioEnd, playback: Playback, took_s: float) -> dict[str, object]:
    """The fields of the log line about the utterance. `took_s` is the time in seconds since the request was stored."""
    return {
        "status": end.status,
        "chunks": end.total_chunks,
        "bytes": end.total_bytes,
        "audio_s": round(end.audio_seconds, 3),
        "rtf": end.rtf,
        "underruns": playback.underruns,
        "took_s": round(took_s, 3),
        "error": end.error.code if end.error is not None else None,
    }


def as_final(report: Report, end: AudioEnd, playback: Playback) -> Report:
    """The final report of a request with transport `none`: it is delivered when its `end` is stored."""
    if end.status == "failed":
        error = end.error or EndError("engine_error", "synthesis failed; see synth's log")
        return report.with_(status="failed", error=ReportError.of(error.code, error.message))
    if end.status == "cancelled":
        return report.with_(status="cancelled")
    return report.with_(
        status="delivered",
        characters=report.characters if end.text is None else len(end.text),
        total_chunks=end.total_chunks,
        delivered_chunks=end.total_chunks,
        bytes=end.total_bytes,
        audio_seconds=round(end.audio_seconds, 3),
        sent_seconds=round(end.audio_seconds, 3),
        rtf=end.rtf,
        underruns=playback.underruns,
        underrun_ms=round(playback.underrun_ms, 1),
    )
