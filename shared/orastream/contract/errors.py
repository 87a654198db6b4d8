"""The errors that orastream raises, and the error codes in reports.

    OrastreamError
    ├── InvalidRequest        a request breaks the contract; names the field (code invalid_request)
    ├── Undecodable           bytes are neither JSON nor msgpack of the contract (code invalid_request)
    ├── Overloaded            the node has no room for the request now (code overloaded)
    ├── NodeUnavailable       NATS does not answer, or no stream stores the subject
    │   ├── NotConnected      the connection is closed for good
    │   └── NoResponders      nobody subscribes to the subject of a request
    ├── WaitTimeout           no final report within the caller's time limit; the report still comes
    ├── UtteranceEnded        the report became final before the text was complete
    ├── PublishRefused        a stream refused a message
    │   ├── MessageTooLarge   a message is larger than the server's max_payload
    │   ├── SequenceConflict  an expected sequence was not the last one
    │   └── StreamFull        a limit of the stream is reached
    ├── ObjectTooLarge        an object is too large for its bucket
    └── SettingsError         a setting is missing or wrong; names the variable and what to set

`retryable` of an error says whether the caller may try again.
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
    "audio_too_long",
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
    "audio_too_long": False,
    "internal": True,
}


def known_code(code: object) -> object:
    """Return `code`, or `internal` for a code of a newer version, so that its report can still be read."""
    return "internal" if isinstance(code, str) and code not in RETRYABLE else code


class OrastreamError(Exception):
    """Base class of all errors of this library."""

    code: ClassVar[Code] = "internal"

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later."""
        return RETRYABLE[self.code]


class InvalidRequest(OrastreamError):
    """A request breaks the contract. `field` is its name on the wire, `problem` says what is wrong and what to send."""

    code: ClassVar[Code] = "invalid_request"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class Undecodable(InvalidRequest):
    """A payload is neither a JSON object nor a msgpack map of the contract."""

    def __init__(self, problem: str) -> None:
        super().__init__("payload", problem)


class Overloaded(OrastreamError):
    """A limit of the session, the gateway or the synths is reached. The request was not stored by this call."""

    code: ClassVar[Code] = "overloaded"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """Seconds after which another try may succeed."""


class NodeUnavailable(OrastreamError):
    """NATS, or the stream that stores a subject, did not answer in time."""


class NotConnected(NodeUnavailable):
    """The NATS connection is closed and will not reconnect."""


class NoResponders(NodeUnavailable):
    """The server has answered that nobody subscribes to the subject of a request."""


class WaitTimeout(OrastreamError):
    """No final report came within the caller's time limit. The request continues; ask for its report later."""

    def __init__(self, session_id: str, request_id: str, waited_s: float) -> None:
        super().__init__(f"no final report of {session_id}/{request_id} after {waited_s:g} s; ask again with report()")
        self.session_id = session_id
        self.request_id = request_id
        self.waited_s = waited_s


class UtteranceEnded(OrastreamError):
    """The report became final, e.g. cancelled, before the text was complete. No further text is spoken.

    `status` is the status of the report.
    """

    def __init__(self, session_id: str, request_id: str, status: str) -> None:
        super().__init__(f"{session_id}/{request_id} is {status}: further text is not spoken; see its report")
        self.session_id = session_id
        self.request_id = request_id
        self.status = status


class PublishRefused(OrastreamError):
    """A stream refused a message. `err_code` is the JetStream error code, 0 if the message was not sent."""

    def __init__(self, subject: str, err_code: int, description: str) -> None:
        super().__init__(f"{subject}: {description} ({err_code})")
        self.subject = subject
        self.err_code = err_code
        self.description = description


class MessageTooLarge(PublishRefused):
    """A message is larger than the server's max_payload, so it was not sent. `remedy` says what to set.

    The server would close the connection.
    """

    def __init__(self, subject: str, what: str, size: int, max_payload: int, remedy: str) -> None:
        super().__init__(
            subject,
            0,
            f"{what} has {size} bytes with headers, but max_payload of nats-server is {max_payload}; {remedy}",
        )


class SequenceConflict(PublishRefused):
    """The last sequence of the subject is not the expected one: another message was stored first."""


class StreamFull(PublishRefused):
    """The stream or the subject has reached a limit (`discard: new`)."""


class ObjectTooLarge(OrastreamError):
    """An object of `size` bytes is larger than `most`, its bucket's limit for one object. Nothing was stored."""

    def __init__(self, bucket: str, size: int, most: int) -> None:
        super().__init__(f"{bucket}: an object of {size} bytes is too large; the bucket's limit for one is {most}")
        self.bucket = bucket
        self.size = size
        self.most = most


class SettingsError(OrastreamError):
    """A setting is missing or wrong. The message names the variable and what to set."""

    @property
    def retryable(self) -> bool:
        """False: the same call fails until somebody corrects the setting."""
        return False
