"""The subjects of the contract, and the mapping between ids and subject tokens. Pure.

A token is the id itself when it matches `[A-Za-z0-9_-]{1,128}`; any other id is `~` followed by the unpadded
base64url of its UTF-8 bytes (at most 343 characters for an id of 256 bytes). A plain token never begins with `~`, so
the mapping is one to one.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata

from orastream.contract.errors import InvalidRequest

MAX_ID_BYTES = 256
MAX_TOKEN_CHARS = 343
"""Length of the token of an id of MAX_ID_BYTES."""

INBOX = "_INBOX"
"""Default prefix of inboxes, as in all NATS clients."""

_INBOX_PREFIX = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_RESERVED_REQUEST_ID = re.compile(r"seq-\d+")

# Ingest subjects. Each stream's subject transform stores their messages under other subjects (functions below).
SPEAK = "tts.speak"
VOICES = "tts.voices"
LOAD = "tts.load"
REQUESTS = "tts.request.*"
CANCELS = "tts.cancel.*"
PUT_AUDIO = "tts.put.audio.*.*"
PUT_REPORT = "tts.put.report.*.*"
TEXTS = "tts.text.*.*"

# Requests and cancels of callers that the node does not trust, as the server maps them (services/gateway/relay).
RELAY_REQUESTS = "tts.relay.*.request.*"
RELAY_CANCELS = "tts.relay.*.cancel.*"

# Questions, answered by the gateway (services/gateway/reads).
REPORT_GET = "tts.report.get.*.*"
# None has the four tokens of a report or of audio: `tts.report.read.s` would be the report of a session `read`, too.
REPORTS_READ = "tts.reports.read"
REPORTS_READ_SESSION = "tts.reports.read.*"
REPORT_READ = "tts.report.read.*.*"
AUDIO_READ = "tts.audio.read.*.*"


def check_id(value: str, field: str) -> str:
    """Return the id if it is valid: 1…256 bytes of UTF-8 without control characters.

    Otherwise raises InvalidRequest, which names `field`.
    """
    if not isinstance(value, str):  # None, from a caller without a type checker
        raise InvalidRequest(field, f"has the wrong type: must be a string, got {type(value).__name__}")
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
    """Return a caller's requestId if it is valid. Raises InvalidRequest, also for `seq-<n>`, which the node assigns."""
    check_id(value, "requestId")
    if _RESERVED_REQUEST_ID.fullmatch(value):
        raise InvalidRequest("requestId", "ids of the form seq-<number> are assigned by the node; choose another")
    return value


def token(value: str, field: str = "id") -> str:
    """Return the subject token of a session or request id, as the module's docstring describes.

    Raises InvalidRequest for an invalid id, which names `field`.
    """
    check_id(value, field)
    if _PLAIN.fullmatch(value):
        return value
    return "~" + base64.urlsafe_b64encode(value.encode()).rstrip(b"=").decode()


def untoken(tok: str) -> str | None:
    """Return the id of a token, or None if no id has that token."""
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
    """Return the tokens of a request's two ids. Raises InvalidRequest, which names the invalid one."""
    return token(session_id, "sessionId"), token(request_id, "requestId")


def sequence_id(sequence: int) -> str:
    """Return the id of a request that was sent without one: `seq-<n>`, n its stream sequence."""
    return f"seq-{sequence}"


def decoded(subject: bytes) -> str:
    """Return a received subject or reply subject as str. Never raises: a sender may use any bytes but TAB, LF, space.

    Bytes that are not UTF-8 become lone surrogates (`surrogateescape`). With replacement characters two subjects could
    become the same string. A string with lone surrogates cannot be encoded, so it is never published by mistake.
    """
    return subject.decode("utf-8", "surrogateescape")


def legible(subject: str) -> bool:
    """Whether a subject can be printed and published as received: valid UTF-8 without control characters.

    U+FFFD also counts as not legible: JetStream's JSON has it in place of bytes that are not UTF-8.
    """
    return subject.isprintable() and "\ufffd" not in subject


def usable(token: str) -> bool:
    """Whether a token of a stored subject may be part of another subject.

    Not if it is longer than an id's: the server closes the connection at a control line over 4096 bytes. Not if it is
    not legible or contains `*` or `>`: as a filter it would match the messages of others.
    """
    return 1 <= len(token) <= MAX_TOKEN_CHARS and legible(token) and "*" not in token and ">" not in token


def session_of(subject: str) -> str | None:
    """Return the session token in a stored subject of TTS_SESSIONS, or None if it is not `usable`."""
    token = subject.split(".")[2] if subject.count(".") > 2 else ""
    return token if usable(token) else None


def request(session: str) -> str:
    """Subject on which requests of a session are published. `session` and `req` are tokens, here and below."""
    return f"tts.request.{session}"


def cancel(session: str) -> str:
    """Subject on which cancels of a session are published."""
    return f"tts.cancel.{session}"


def session_request(session: str) -> str:
    """Subject under which requests of a session are stored, except those of an account (`contract/caller.py`)."""
    return f"tts.session.{session}.request"


def session_cancel(session: str) -> str:
    """Subject under which cancels of a session are stored and republished."""
    return f"tts.session.{session}.cancel"


def session_events(session: str) -> str:
    """Filter for the stored requests and cancels of a session, in one order."""
    return f"tts.session.{session}.*"


def is_cancel(subject: str) -> bool:
    """Whether a stored subject of TTS_SESSIONS is that of a cancel; else it is that of a request."""
    return subject.endswith(".cancel")


def text(session: str, req: str) -> str:
    """Subject on which the pieces of a request's text are published."""
    return f"tts.text.{session}.{req}"


def script(session: str, req: str) -> str:
    """Subject under which the pieces of a request's text are stored and republished."""
    return f"tts.script.{session}.{req}"


def put_audio(session: str, req: str) -> str:
    """Subject on which synth publishes audio."""
    return f"tts.put.audio.{session}.{req}"


def audio(session: str, req: str) -> str:
    """Subject under which audio is stored and republished."""
    return f"tts.audio.{session}.{req}"


def put_report(session: str, req: str) -> str:
    """Subject on which reports are published."""
    return f"tts.put.report.{session}.{req}"


def report(session: str, req: str) -> str:
    """Subject under which reports are stored and republished."""
    return f"tts.report.{session}.{req}"


def reports(session: str) -> str:
    """Filter for all stored reports of a session."""
    return f"tts.report.{session}.*"


def report_get(session: str, req: str) -> str:
    """Subject on which the gateway answers with the last report of a request."""
    return f"tts.report.get.{session}.{req}"


def reports_read(session: str) -> str:
    """Subject on which the gateway answers with the stored reports of a session; of all sessions: REPORTS_READ."""
    return f"{REPORTS_READ}.{session}"


def report_read(session: str, req: str) -> str:
    """Subject on which the gateway answers with the stored report of a request, and with those that replace it."""
    return f"tts.report.read.{session}.{req}"


def audio_read(session: str, req: str) -> str:
    """Subject on which the gateway answers with the stored audio of a request."""
    return f"tts.audio.read.{session}.{req}"


def peer(service: str, process: str) -> str:
    """Subject on which one process of a service answers probes: it is alive."""
    return f"tts.peer.{service}.{process}"


def peers(service: str) -> str:
    """Subject on which the processes of a service tell each other that they are alive, and what they hold."""
    return f"tts.peers.{service}"


def check_inbox_prefix(prefix: str) -> str:
    """Return the prefix if inboxes can use it: literal tokens, the first one not `tts`. Else raises ValueError."""
    if len(prefix) > 128 or not _INBOX_PREFIX.fullmatch(prefix) or prefix.partition(".")[0] == "tts":
        raise ValueError("must be literal subject tokens (A-Z a-z 0-9 _ -), not tts, as in _INBOX or _INBOX.shop")
    return prefix


def reply_prefix(account: str) -> str:
    """What begins each `replyTo` of callers in this account: only there NATS passes reports on to them."""
    return f"tts.reply.{account}."


def reply_allowed(subject: str) -> bool:
    """Whether a report may be sent to `subject`: only `_INBOX.>` or `tts.reply.>`, literal, no white space."""
    parts = subject.split(".")
    if len(subject) > 512 or not subject.isascii() or not subject.isprintable() or " " in subject:
        return False
    if any(not part or "*" in part or ">" in part for part in parts):
        return False
    return (parts[0] == "_INBOX" and len(parts) >= 2) or (parts[:2] == ["tts", "reply"] and len(parts) >= 3)
