"""The contents of an utterance's report during delivery, and when to write it as a checkpoint. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orastream.contract.messages import Report, ReportError, Status
from orastream.delivery.rules.progress import Progress

DELAY_S = 2.0
"""A checkpoint waits so long for further progress, but for the first one. Then the final report often replaces it."""
RETRY_S = 0.2


def report_of(base: Report, progress: Progress, figures: Mapping[str, Any], epoch: int) -> Report:
    """Return the report for the current progress.

    `base` is the report from which this owner resumed; it includes the counts of earlier owners. `figures` are the
    fields from `Timing.figures`. The status is `delivering` from the first write on. While the confirmed chunks are
    those of `base`, their bytes are not lower than there: they may not have been read again yet.
    """
    recounted = progress.chunks != base.delivered_chunks
    return base.with_(
        epoch=epoch,
        status="delivering" if figures["first_audio_ms"] is not None else base.status,
        total_chunks=progress.total_chunks if progress.total_chunks is not None else base.total_chunks,
        delivered_chunks=progress.chunks,
        bytes=progress.bytes if recounted else max(base.bytes, progress.bytes),
        audio_seconds=max(base.audio_seconds, progress.audio_seconds),
        sent_seconds=max(base.sent_seconds, progress.sent_seconds, progress.audio_seconds),
        rtf=progress.rtf if progress.rtf is not None else base.rtf,
        characters=progress.characters if progress.characters is not None else base.characters,
        **figures,
        reconnects=base.reconnects + progress.reconnects,
        retransmitted=base.retransmitted + progress.retransmitted,
    )


def final_of(current: Report, status: Status, error: ReportError | None, epoch: int) -> Report:
    """Return the final report of a delivery, whose report is `current` until now."""
    final = current.with_(status=status, error=error, epoch=epoch)
    # Over protocol v2 what was sent is estimated within a chunk; of a delivered utterance it is known.
    return final.with_(sent_seconds=final.audio_seconds) if status == "delivered" else final


@dataclass(slots=True)
class CheckpointClock:
    """When to write a checkpoint: the first progress at once, later progress after DELAY_S seconds."""

    _written_version: int = 0
    _changed_at: float | None = None
    """When progress was first seen that is not written."""
    _next_at: float = 0.0

    def due(self, version: int, now: float) -> bool:
        """Whether to write a checkpoint of progress `version` at `now` (monotonic seconds)."""
        if version <= self._written_version:
            return False
        if self._changed_at is None:
            self._changed_at = now
        return now >= (self._changed_at + DELAY_S if self._written_version else self._next_at)

    def taken(self, version: int, now: float) -> None:
        """Record that the checkpoint of `version` is being written at `now` (monotonic seconds)."""
        self._written_version, self._changed_at, self._next_at = version, None, now + RETRY_S

    def skipped(self) -> None:
        """Record that the checkpoint being written was not stored: it is due again RETRY_S after it was begun."""
        self._written_version = 0
