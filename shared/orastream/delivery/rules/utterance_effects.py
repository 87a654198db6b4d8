"""What the machine of an utterance exchanges with its runner: delivery rules and effects to carry out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import Code
from orastream.contract.messages import ReportError, Status
from orastream.contract.sentence_start import SentenceStart

UNDELIVERABLE: frozenset[Code] = frozenset({"oraserver_unreachable", "oraserver_refused"})
"""Errors of a transport, with which an utterance may be delivered over another one."""


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How a kind of bridge delivers. With `confirm_every` None, OraServer confirms only whole utterances (HTTP).

    `confirm_every` counts chunks. `confirm_every_s`, `max_unconfirmed_s`, `quick_confirm_every_s` and
    `quick_max_unconfirmed_s` are seconds of speech; `confirmation` says when the quick limits apply. They are chosen
    so that a receiver that plays in real time still answers before a ping counts as unanswered. All other fields that
    end in `_s` are seconds of time; `stall_s` limits the wait for audio from synth, and `settle_s` the wait for the
    receiver to confirm the audio of a cancelled utterance.
    """

    confirm_every: int | None = 8
    confirm_every_s: float = 2.0
    max_unconfirmed_bytes: int | None = 512 << 10
    max_unconfirmed_s: float = 3.0
    quick_answer_s: float = 0.25
    quick_confirm_every_s: float = 4.0
    quick_max_unconfirmed_s: float = 5.0
    max_retries: int = 3
    first_retry_s: float = 0.5
    max_retry_s: float = 2.0
    settle_s: float = 0.25
    stall_s: float = 20.0
    audio_retention_s: float = 600.0
    end_frames: bool = False
    """Whether OraServer gets a frame when an utterance that it may have begun to play ends without `complete`."""
    falls_back: bool = False
    """Whether there is another transport for an utterance of which nothing could be written over this one."""
    heard_records: bool = False
    """Whether it is recorded what the listener has heard of each utterance."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the link or use an open one, then call `link_up` or `link_lost`."""


class WriteChunk(NamedTuple):
    """Write this chunk now. `began`: a sentence that began in an earlier chunk, and that a resuming link sends again.

    OraServer may not know it, or words of it end in this chunk.
    """

    start: AudioStart
    chunk: AudioChunk
    began: SentenceStart | None = None


@dataclass(frozen=True, slots=True)
class OpenUtterance:
    """Ask over a resuming link where to go on, then call `opened`. Chunks are written after that.

    `acked` are the bytes that OraServer has confirmed, as far as is known. `fresh`: nobody can have sent any.
    """

    start: AudioStart
    acked: int
    fresh: bool


@dataclass(frozen=True, slots=True)
class WriteComplete:
    """Write that the utterance is complete."""

    start: AudioStart
    end: AudioEnd


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """Write over a resuming link that the utterance has failed, and that the audio written so far is all there is."""

    code: Code


@dataclass(frozen=True, slots=True)
class WriteEnd:
    """Write that the utterance has ended without `complete`: over the link if it is up, else over a new one.

    A new link is tried once, and nobody waits for it. `start` None: the audio was not read; look it up. `text` is the
    text of a streamed text as far as it is known.
    """

    start: AudioStart | None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask OraServer to confirm everything written so far, then call `confirmed(chunks, complete)` or `link_lost`."""

    chunks: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Rewind:
    """Pass the audio to the machine again, from the first message of its subject."""


@dataclass(frozen=True, slots=True)
class Fence:
    """Write a checkpoint with this owner's epoch, so that an older owner can write no report; then call `fenced`."""


@dataclass(frozen=True, slots=True)
class AskAudioRoom:
    """Ask whether the stream of audio is full, then call `audio_room`: synth stores nothing while it is full."""


@dataclass(frozen=True, slots=True)
class DropUnsent:
    """The utterance has ended: drop its bytes that were not sent yet. If that ends the link, call `link_lost`."""


@dataclass(frozen=True, slots=True)
class CutLink:
    """End the link now, so that the receiver gets nothing of what it has not read yet. The machine counts it as down.

    It has not confirmed the audio of a cancelled utterance in time, which must not be heard after the next utterance
    begins. Or the lease of this bridge is over, and another bridge may deliver.
    """


@dataclass(frozen=True, slots=True)
class FallBack:
    """Drop what was not sent yet, and deliver the utterance over the fallback: this transport does not work."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The final status of the request. Write no more of it to OraServer, and drop its bytes that were not sent yet."""

    status: Status
    error: ReportError | None = None


Effect = (
    Connect
    | OpenUtterance
    | WriteChunk
    | WriteComplete
    | WriteFailed
    | WriteEnd
    | Confirm
    | Rewind
    | Fence
    | AskAudioRoom
    | DropUnsent
    | CutLink
    | FallBack
    | Finished
)
