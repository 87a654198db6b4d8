"""Every error that orastream raises, and the codes that reports carry.

    OrastreamError
    ├── InvalidRequest        a request breaks the contract; names the field (code invalid_request)
    ├── Undecodable           bytes are neither JSON nor msgpack of the contract (code invalid_request)
    ├── Overloaded            the node has no room for the request now (code overloaded)
    ├── NodeUnavailable       NATS does not answer, or no stream stores the subject
    │   └── NotConnected      the connection is closed for good
    ├── WaitTimeout           no final report within the caller's time; the report still comes
    ├── UtteranceEnded        its report became final while its text was still being written
    ├── PublishRefused        a stream refused a message
    │   ├── SequenceConflict  an expected sequence was not the last one
    │   └── StreamFull        a limit of the stream is reached
    ├── ObjectTooLarge        an object would take too large a share of its bucket
    └── SettingsError         the environment does not make sense; names the variable and the mend

Whether a caller may try again is a property of the type (`retryable`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

Code = Literal[
    "invalid_request",
    "overloaded",
    "expired",
    "engine_error",
    "synth_stalled",
    "text_stalled",
    "oraserver_unreachable",
    "oraserver_refused",
    "audio_expired",
    "internal",
]

RETRYABLE: dict[Code, bool] = {
    "invalid_request": False,
    "overloaded": True,
    "expired": True,
    "engine_error": True,
    "synth_stalled": True,
    "text_stalled": True,
    "oraserver_unreachable": True,
    "oraserver_refused": False,
    "audio_expired": True,
    "internal": True,
}


def known_code(code: object) -> object:
    """`code`, or `internal` for one of a later version: codes are only ever added, and what they end still counts."""
    return "internal" if isinstance(code, str) and code not in RETRYABLE else code


class OrastreamError(Exception):
    """Root of all errors of this library."""

    code: ClassVar[Code] = "internal"

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return RETRYABLE[self.code]


class InvalidRequest(OrastreamError):
    """A request breaks the contract: `field` is the name on the wire, `problem` says what is wrong and the mend."""

    code: ClassVar[Code] = "invalid_request"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Undecodable(InvalidRequest):
    """Bytes that are neither a JSON object nor a msgpack map."""

    def __init__(self, problem: str) -> None:
        super().__init__("payload", problem)


class Overloaded(OrastreamError):
    """The session already has as many stored requests as it may have."""

    code: ClassVar[Code] = "overloaded"


class NodeUnavailable(OrastreamError):
    """NATS or the stream behind a subject did not answer in time."""


class NotConnected(NodeUnavailable):
    """The NATS connection is closed and will not come back by itself."""


class WaitTimeout(OrastreamError):
    """No final report came within the time the caller gave; it still comes, and can be asked for."""

    def __init__(self, session_id: str, request_id: str, waited_s: float) -> None:
        super().__init__(f"no final report of {session_id}/{request_id} after {waited_s:g} s; ask again with report()")
        self.session_id = session_id
        self.request_id = request_id
        self.waited_s = waited_s


class UtteranceEnded(OrastreamError):
    """An utterance whose text was still being written is final: cancelled, say. Nothing more of it is spoken.

    `status` is that of its report.
    """

    def __init__(self, session_id: str, request_id: str, status: str) -> None:
        super().__init__(f"{session_id}/{request_id} is {status}: what is written now is not spoken; see its report")
        self.session_id = session_id
        self.request_id = request_id
        self.status = status


class PublishRefused(OrastreamError):
    """A stream refused a message; `err_code` is the JetStream error code."""

    def __init__(self, subject: str, err_code: int, description: str) -> None:
        super().__init__(f"{subject}: {description} ({err_code})")
        self.subject = subject
        self.err_code = err_code
        self.description = description


class SequenceConflict(PublishRefused):
    """Compare-and-set failed: another message of the subject came first."""


class StreamFull(PublishRefused):
    """The stream or the subject has no room (`discard: new`)."""


class ObjectTooLarge(OrastreamError):
    """An object of `size` bytes has no place in a bucket that takes objects of `most` bytes; nothing was stored."""

    def __init__(self, bucket: str, size: int, most: int) -> None:
        super().__init__(f"{bucket}: an object of {size} bytes is too large for this bucket, which takes up to {most}")
        self.bucket = bucket
        self.size = size
        self.most = most


class SettingsError(OrastreamError):
    """A setting is missing or wrong; the message names the variable and the mend."""
