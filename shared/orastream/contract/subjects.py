"""The subjects of the contract, and the one function that turns an id into a subject token.

A token is the id itself when it matches `[A-Za-z0-9_-]{1,128}`; any other id is `~` followed by the unpadded
base64url of its UTF-8 bytes (at most 343 characters for an id of 256 bytes). `~` never begins a plain token, so the
mapping is one to one.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

from orastream.contract.errors import InvalidRequest

MAX_ID_BYTES = 256
MAX_TOKEN_CHARS = 343
"""Of the token of an id of MAX_ID_BYTES."""

INBOX = "_INBOX"
"""What inboxes begin with unless it is set: NATS' own default."""

_INBOX_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RESERVED_REQUEST_ID = re.compile(r"seq-\d+")

# Ingest subjects: written by anyone, stored under the names below by each stream's subject transform.
SPEAK = "tts.speak"
VOICES = "tts.voices"
REQUESTS = "tts.request.*"
CANCELS = "tts.cancel.*"
PUT_AUDIO = "tts.put.audio.*.*"
PUT_REPORT = "tts.put.report.*.*"
TEXTS = "tts.text.*.*"


def check_id(value: str, field: str) -> str:
    """The id itself when it is usable: 1…256 bytes of UTF-8 without control characters.

    Raises InvalidRequest naming `field` otherwise.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRequest(field, "contains a lone surrogate; send valid Unicode") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidRequest(field, f"must be 1 to {MAX_ID_BYTES} bytes of UTF-8, got {size}")
    if any(unicodedata.category(ch) == "Cc" for ch in value):
        raise InvalidRequest(field, "must not contain control characters")
    return value


def check_request_id(value: str) -> str:
    """A caller's requestId when it is usable; ids that look like `seq-<n>` are the node's own."""
    check_id(value, "requestId")
    if _RESERVED_REQUEST_ID.fullmatch(value):
        raise InvalidRequest("requestId", "ids of the form seq-<number> are given by the node; choose another")
    return value


def token(value: str, field: str = "id") -> str:
    """The subject token of a session or request id (see the module's text).

    Raises InvalidRequest for unusable ids, naming `field`.
    """
    check_id(value, field)
    if _PLAIN.fullmatch(value):
        return value
    return "~" + base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()


def untoken(tok: str) -> str | None:
    """The id behind a token, or None when no id has that token."""
    if _PLAIN.fullmatch(tok):
        return tok
    if not tok.startswith("~"):
        return None
    body = tok[1:]
    try:
        value = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        return value if token(value) == tok else None
    except (binascii.Error, ValueError, InvalidRequest):
        return None


def tokens(session_id: str, request_id: str) -> tuple[str, str]:
    """The tokens of a request's two ids. Raises InvalidRequest naming the one that is unusable."""
    return token(session_id, "sessionId"), token(request_id, "requestId")


def sequence_id(sequence: int) -> str:
    """The id of a request that brought none: `seq-<n>`, n its stream sequence."""
    return f"seq-{sequence}"


def decoded(subject: bytes) -> str:
    """A subject, or a reply subject, as it came. Never raises: anybody may send any bytes but TAB, LF and space.

    What is not UTF-8 becomes lone surrogates (`surrogateescape`). So two subjects never become one string, as they
    would with replacement characters, and none is published by accident: such a string cannot be encoded.
    """
    return subject.decode("utf-8", "surrogateescape")


def legible(subject: str) -> bool:
    """Whether a subject can be shown, and published, as it came: no control character, and UTF-8 on the wire.

    JetStream's JSON has a replacement character for what is not.
    """
    return subject.isprintable() and "\ufffd" not in subject


def session_of(subject: str) -> str | None:
    """The session's token in a stored subject of TTS_SESSIONS; None for one that can be neither spoken to nor answered.

    None for a token longer than any id's: a control line of more than 4096 bytes ends the connection. None for one that
    is not legible, and for one with `*` or `>`: nobody can subscribe to the subjects that are built of it.
    """
    token = subject.split(".")[2] if subject.count(".") > 2 else ""
    usable = 1 <= len(token) <= MAX_TOKEN_CHARS and legible(token) and "*" not in token and ">" not in token
    return token if usable else None


def request(session: str) -> str:
    """Where a request of the session (a token) is published."""
    return f"tts.request.{session}"


def cancel(session: str) -> str:
    """Where a cancel of the session (a token) is published."""
    return f"tts.cancel.{session}"


def session_request(session: str) -> str:
    """Where requests of the session are stored and republished."""
    return f"tts.session.{session}.request"


def session_cancel(session: str) -> str:
    """Where cancels of the session are stored and republished."""
    return f"tts.session.{session}.cancel"


def session_events(session: str) -> str:
    """Requests and cancels of the session, in one order."""
    return f"tts.session.{session}.*"


def text(session: str, req: str) -> str:
    """Where the pieces of a request's text are published, if it comes in pieces."""
    return f"tts.text.{session}.{req}"


def script(session: str, req: str) -> str:
    """Where these pieces are stored and republished."""
    return f"tts.script.{session}.{req}"


def put_audio(session: str, req: str) -> str:
    """Where synth writes audio."""
    return f"tts.put.audio.{session}.{req}"


def audio(session: str, req: str) -> str:
    """Where audio is stored and republished."""
    return f"tts.audio.{session}.{req}"


def put_report(session: str, req: str) -> str:
    """Where reports are written."""
    return f"tts.put.report.{session}.{req}"


def report(session: str, req: str) -> str:
    """Where reports are stored and republished."""
    return f"tts.report.{session}.{req}"


def reports(session: str) -> str:
    """All reports of the session."""
    return f"tts.report.{session}.*"


def message_id(session: str, req: str) -> str:
    """The `Nats-Msg-Id` of a request sent by our own clients."""
    return f"{session}.{req}"


def check_inbox_prefix(prefix: str) -> str:
    """The prefix, when inboxes can begin with it: literal tokens, and none of the node's own. Raises ValueError."""
    if len(prefix) > 128 or not _INBOX_PREFIX.fullmatch(prefix) or prefix.partition(".")[0] == "tts":
        raise ValueError("must be literal subject tokens (A-Z a-z 0-9 _ -), not tts, as in _INBOX or _INBOX.shop")
    return prefix


def reply_allowed(subject: str) -> bool:
    """Whether a report may be sent to `subject`: only `_INBOX.>` or `tts.reply.>`, literal, no white space."""
    parts = subject.split(".")
    if len(subject) > 512 or not subject.isascii() or not subject.isprintable() or " " in subject:
        return False
    if any(not part or "*" in part or ">" in part for part in parts):
        return False
    return (parts[0] == "_INBOX" and len(parts) >= 2) or (parts[:2] == ["tts", "reply"] and len(parts) >= 3)
