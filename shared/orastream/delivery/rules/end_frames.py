"""When OraServer gets an end frame: the utterance ended without `complete`, or was cancelled while it played. Pure.

`EndFrameState` is the part of the machine of one utterance that is about its end frame. The rules for utterances that
are delivered and still play are in `play_time`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.messages import Report, ReportError, Status
from orastream.delivery.rules.speech import EndedStatus
from orastream.delivery.rules.utterance_effects import UNDELIVERABLE


def may_have_chunks(report: Report | None) -> bool:
    """Whether OraServer may have got a chunk of the utterance over WebSocket, as its stored report says."""
    written = report is not None and report.epoch > 0 and report.first_audio_ms is not None
    return written and report is not None and report.fallback is None


def ended_as(status: Status, error: ReportError | None = None) -> EndedStatus | None:
    """Return the status of the end frame for a final status; None if there is no end frame.

    Without a connection to OraServer there is none: it would need retries beyond those of the delivery.
    """
    if status == "cancelled":
        return "cancelled"
    return "failed" if status == "failed" and (error is None or error.code not in UNDELIVERABLE) else None


def found_ended(report: Report, epoch: int) -> EndedStatus | None:
    """Return the status of the end frame of an utterance that an earlier owner has ended, for the owner with `epoch`.

    None if there is none. That owner may have sent one before it died.
    """
    if not may_have_chunks(report) or report.epoch >= epoch:
        return None
    return ended_as(report.status, report.error)


def status_of(status: Status, error: ReportError | None, stored: Report | None) -> EndedStatus | None:
    """Return the status of the end frame of a delivery that ended with `status`. A stored final report counts more."""
    if stored is not None and stored.final:
        return ended_as(stored.status, stored.error)
    return ended_as(status, error)


@dataclass(slots=True)
class EndFrameState:
    """What the end frame of one utterance contains, and whether it is written."""

    sent_before: bool
    """An earlier owner may have written chunks of the utterance."""
    start: AudioStart | None = None
    """The last `start` that was read before the audio was read again."""
    written: bool = False
    """`WriteEnd` was returned, and the link over which it was written is not cut."""
    _texts: list[str] = field(default_factory=list)
    _sentence: int = -1
    """The last sentence whose text is known."""

    def read(self, chunks: Iterable[AudioChunk]) -> None:
        """Note the texts of these chunks. Chunks may be read again."""
        for chunk in chunks:
            if chunk.text is not None and chunk.sentence > self._sentence:
                self._sentence = chunk.sentence
                self._texts.append(chunk.text)

    @property
    def text(self) -> str | None:
        """The text as far as it is known; None if the request contains it."""
        return " ".join(self._texts) if self._texts else None
