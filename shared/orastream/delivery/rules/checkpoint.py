"""What the report of an utterance says while it is delivered, and when it is written as a checkpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orastream.contract.messages import Report
from orastream.delivery.rules.utterance_effects import Progress

CHECKPOINT_EVERY_S = 0.2


def report_of(base: Report, progress: Progress, figures: Mapping[str, Any], epoch: int) -> Report:
    """The report as it should stand now.

    `base` is the report that this owner went on from, with what earlier owners have counted; `figures` are those of
    `Timing`. The status is `delivering` from the first write on. Never less is reported than an earlier owner did.
    """
    return base.with_(
        epoch=epoch,
        status="delivering" if figures["first_audio_ms"] is not None else base.status,
        total_chunks=progress.total_chunks if progress.total_chunks is not None else base.total_chunks,
        delivered_chunks=progress.chunks,
        bytes=max(base.bytes, progress.bytes),
        audio_seconds=max(base.audio_seconds, progress.audio_seconds),
        rtf=progress.rtf if progress.rtf is not None else base.rtf,
        **figures,
        reconnects=base.reconnects + progress.reconnects,
        retransmitted=base.retransmitted + progress.retransmitted,
    )


@dataclass(slots=True)
class CheckpointClock:
    """When progress is written: at most every CHECKPOINT_EVERY_S, and only what is new."""

    _written_version: int = 0
    _next_at: float = 0.0

    def due(self, version: int, now: float) -> bool:
        """Whether the checkpoint of that version of the progress is to be written now (monotonic seconds)."""
        return version > self._written_version and now >= self._next_at

    def taken(self, version: int, now: float) -> None:
        """It is being written."""
        self._written_version, self._next_at = version, now + CHECKPOINT_EVERY_S
