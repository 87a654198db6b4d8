"""The mapping between ids and subject tokens, and what a subject may be. The subjects: `names.py`. Pure.

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


def is_cancel(subject: str) -> bool:
    """Whether a stored subject of the sessions stream is that of a cancel; else it is that of a request."""
    return subject.endswith(".cancel")


def literal(subject: str) -> bool:
    """Whether a report may be published on a subject as it is: at most 512 printable ASCII characters, no wildcards."""
    if len(subject) > 512 or not subject.isascii() or not subject.isprintable() or " " in subject:
        return False
    return all(part and "*" not in part and ">" not in part for part in subject.split("."))


def check_inbox_prefix(prefix: str, front: str) -> str:
    """Return the prefix if inboxes can use it: literal tokens, the first one not `front`. Else raises ValueError."""
    if len(prefix) > 128 or not _INBOX_PREFIX.fullmatch(prefix) or prefix.partition(".")[0] == front:
        raise ValueError(f"must be literal subject tokens (A-Z a-z 0-9 _ -), not {front}, as in _INBOX or _INBOX.shop")
    return prefix
