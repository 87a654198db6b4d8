"""What becomes of a request at a `FakeNode`: the script that a test writes. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from orastream.contract.errors import RETRYABLE, Code

End = Literal["delivered", "failed", "expired", "cancelled"]
Refusal = Literal["overloaded", "unavailable"]
ASKED = "the test has asked for this failure"


@dataclass(frozen=True, slots=True)
class FakeOutcome:
    """How one request ends. Raises ValueError for a value that no node can give, which it names."""

    status: End = "delivered"
    """Status of the final report."""
    code: Code = "engine_error"
    """The error code of `failed`."""
    message: str = ASKED
    delay_s: float = 0.0
    """Seconds between the audio and the final report."""
    held: bool = False
    """No final report comes before `FakeNode.release`, a cancel, or the end of the text stream's `idle_seconds`."""
    heard_ms: int = 0
    """What the listener has heard, in ms, when a cancel ends it. At most the length of the audio."""
    refused: Refusal | None = None
    """The request is not stored: `overloaded` raises Overloaded, `unavailable` NodeUnavailable."""

    def __post_init__(self) -> None:
        if self.status not in get_args(End):
            raise ValueError(f"status: {self.status!r} is not one of {', '.join(get_args(End))}")
        if self.code not in RETRYABLE:
            raise ValueError(f"code: {self.code!r} is not one of {', '.join(RETRYABLE)}")
        if self.refused is not None and self.refused not in get_args(Refusal):
            raise ValueError(f"refused: {self.refused!r} is not one of {', '.join(get_args(Refusal))}")
        if not 0 <= self.delay_s < float("inf"):
            raise ValueError(f"delay_s: {self.delay_s} is not a number of seconds, 0 or more")
        if self.heard_ms < 0:
            raise ValueError(f"heard_ms: {self.heard_ms} is not a number of milliseconds, 0 or more")


class Which(TypedDict, total=False):
    """Which requests have an outcome; see `FakeNode.next`."""

    session_id: str | None
    times: int


class Delayed(Which, total=False):
    """The same, and `FakeOutcome.delay_s`."""

    delay_s: float


class Script:
    """The outcomes of the next requests, in order; then each request is delivered at once."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str | None, FakeOutcome]] = deque()

    def add(self, outcome: FakeOutcome, *, session_id: str | None, times: int) -> None:
        """The next `times` requests, of that session or of any, have this outcome. Raises ValueError."""
        if times < 1:
            raise ValueError(f"times: {times} is not 1 or more")
        self._waiting.extend([(session_id, outcome)] * times)

    def take(self, session_id: str | None) -> FakeOutcome:
        """The outcome of a request of this session that comes now."""
        for at, (wanted, outcome) in enumerate(self._waiting):
            if wanted is None or wanted == session_id:
                del self._waiting[at]
                return outcome
        return FakeOutcome()

    def clear(self) -> None:
        """Forget the outcomes that no request has taken."""
        self._waiting.clear()
