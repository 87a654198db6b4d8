"""The words between the utterance's machine and whoever runs it: the rules, what is to be done, what was achieved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.messages import ReportError, Status


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How a kind of bridge delivers. `confirm_every` None: only the whole is confirmed (HTTP).

    Seconds are of speech: after how many an answer is asked for, and how many may be unconfirmed; `quick_…` as long as
    the last answer came within `quick_answer_s` of its question (see `confirmation`). Even one that begins to take
    speech as it is played then answers for it before a ping counts as unanswered.
    """

    confirm_every: int | None = 8
    confirm_every_s: float = 2.0
    max_unconfirmed_bytes: int | None = 512 << 10
    max_unconfirmed_s: float = 3.0
    quick_answer_s: float = 0.25
    quick_confirm_every_s: float = 4.0
    quick_most_unconfirmed_s: float = 5.0
    max_retries: int = 3
    first_retry_s: float = 0.5
    max_retry_s: float = 2.0
    stall_s: float = 20.0
    audio_retention_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the link (or find it open); answer with `link_up` or `link_lost`."""


class WriteChunk(NamedTuple):
    """Write this chunk now."""

    start: AudioStart
    chunk: AudioChunk


@dataclass(frozen=True, slots=True)
class WriteComplete:
    """Write that the utterance is complete. `text` is all of it, where the request does not have it."""

    start: AudioStart
    total_chunks: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask OraServer to answer for all written so far; answer with `confirmed(chunks, complete)` or `link_lost`."""

    chunks: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Rewind:
    """Feed the audio again from the beginning of its subject."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Write the checkpoint before anything else, so that an older owner cannot go on; answer with `fenced`."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more is written: the request's final status."""

    status: Status
    error: ReportError | None = None


Effect = Connect | WriteChunk | WriteComplete | Confirm | Rewind | Fence | Finished


@dataclass(slots=True)
class Progress:
    """What reports say of a delivery; times are monotonic seconds."""

    chunks: int = 0
    bytes: int = 0
    audio_seconds: float = 0.0
    total_chunks: int | None = None
    rtf: float | None = None
    reconnects: int = 0
    retransmitted: int = 0
    version: int = 0
    """Grows whenever a new checkpoint is worth writing."""
