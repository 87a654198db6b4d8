"""What changes the state of the store of protocol v2. Pure.

Only events change that state, and an event is stored before it is applied. So a restart finds everything that was
acknowledged. Times are unix seconds unless a field says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orastream.contract.oraserver.from_bridge import StreamEndStatus
from services.oraserver.violations import Violation

SessionKey = tuple[str, str]
"""Node and session."""

FinalState = Literal["whole", "cancelled"]


@dataclass(frozen=True, slots=True)
class FenceRaised:
    """The highest fence of a session."""

    node: str
    session: str
    epoch: int
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelKept:
    """A cancel of the session: of all utterances below `before`, or of `seq`."""

    node: str
    session: str
    before: int | None
    seq: int | None


@dataclass(frozen=True, slots=True)
class UtteranceBegun:
    """The first `open` of utterance `number`, at `at`."""

    number: int
    node: str
    session: str
    seq: int
    request: str
    phone: str
    format: str
    rate: int
    channels: int
    engine: str
    language: str
    at: float


@dataclass(frozen=True, slots=True)
class UtteranceReopened:
    """An `open` was accepted: on connection `connection`, by bridge `bridge`."""

    number: int
    connection: int
    bridge: str


@dataclass(frozen=True, slots=True)
class BytesStored:
    """`size` bytes from offset `at` on were stored. `data` is empty in an event that is read from disk."""

    number: int
    at: int
    size: int
    ms: int | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class BytesRepeated:
    """Bytes came again: `again` that had come before, and of these `stored` that were stored already."""

    number: int
    again: int
    stored: int


Word = tuple[int, int, int, int]
"""Its first code point in the request's text, its length, and when it begins and ends (ms)."""


@dataclass(frozen=True, slots=True)
class SentenceKept:
    """A sentence of the utterance: text, when it begins (ms), its code points in the request's text, and its words."""

    number: int
    n: int
    ms: int
    text: str
    first: int | None
    past: int | None
    words: tuple[Word, ...] | None


@dataclass(frozen=True, slots=True)
class WordsKept:
    """Further words of sentence `n`, in order."""

    number: int
    n: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class StreamEndKept:
    """The `end` of an utterance."""

    number: int
    status: StreamEndStatus
    size: int
    ms: int
    code: str | None


@dataclass(frozen=True, slots=True)
class BytesSkipped:
    """A gap whose play time has passed is given up: bytes from `first` up to `past`."""

    number: int
    first: int
    past: int


@dataclass(frozen=True, slots=True)
class BytesGiven:
    """The application gets all bytes before `upto` that were not skipped. Stored before it gets them."""

    number: int
    upto: int


@dataclass(frozen=True, slots=True)
class UtteranceFinal:
    """Nothing more is stored of the utterance; `size` is that of its file, `ms` what was played if it is cancelled.

    `by` is the cancel, as (`before` or `seq`, sequence).
    """

    number: int
    state: FinalState
    size: int
    at: float
    ms: int = 0
    by: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """The phone has played it: `ms` in all."""

    number: int
    ms: int
    complete: bool


@dataclass(frozen=True, slots=True)
class StreamRuleBroken:
    """A rule of v2 was broken: by utterance `number`, or (None) by a connection, perhaps for a session."""

    number: int | None
    session: str | None
    violation: Violation


StreamEvent = (
    FenceRaised
    | CancelKept
    | UtteranceBegun
    | UtteranceReopened
    | BytesStored
    | BytesRepeated
    | SentenceKept
    | WordsKept
    | StreamEndKept
    | BytesSkipped
    | BytesGiven
    | UtteranceFinal
    | PlayEnded
    | StreamRuleBroken
)
