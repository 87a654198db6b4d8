"""Decides whether to try again after a failed attempt; builds the log line and the final report of `none`. Pure."""

from __future__ import annotations

from orastream.contract.audio_messages import AudioEnd, EndError
from orastream.contract.messages import Report, ReportError
from orastream.contract.playback import Playback
from services.synth.engines.base import CannotResume, EngineError

MAX_FAILED_ATTEMPTS = 3
"""A request fails when its failures, and its attempts that stored no chunk, together reach this number."""


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
        "took_s": round(max(0.0, took_s), 3),
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
        total_chunks=end.total_chunks,
        delivered_chunks=end.total_chunks,
        bytes=end.total_bytes,
        audio_seconds=round(end.audio_seconds, 3),
        rtf=end.rtf,
        underruns=playback.underruns,
        underrun_ms=round(playback.underrun_ms, 1),
    )
