"""Message ids of what a client publishes, and the errors for a request, cancel or piece that a stream refuses. Pure.

The server stores a message id once in a stream, whoever sends it first. If others could guess an id, another caller
could send it earlier, and the server would drop this caller's request as a repeat. So ids are keyed with a secret of
this process. A call that this process repeats has the same id (docs/decisions/019-message-ids.md).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from orastream.contract.errors import (
    InvalidRequest,
    NodeUnavailable,
    OrastreamError,
    Overloaded,
    PublishRefused,
    StreamFull,
)

_KEY = secrets.token_bytes(32)
_TOO_LARGE = 10054
"""`err_code` of nats-server for a message above the stream's `max_msg_size`."""
_PER_SUBJECT = "per subject"
"""Only the server's description tells a full session from a full stream: both are `err_code` 10077."""


def message_id(*parts: object) -> str:
    """The `Nats-Msg-Id` of a message: the same for the same parts in this process and its forks, unknown to others."""
    text = ".".join(map(str, parts))
    return hmac.digest(_KEY, text.encode(), hashlib.sha256).hex()[:32]


def renew_key() -> None:
    """Take a new secret: what this process publishes again after it is no repeat for the server.

    For tests that use the same request ids one after the other on one node (`orastream.testing`).
    """
    global _KEY
    _KEY = secrets.token_bytes(32)


def is_session_full(exc: StreamFull) -> bool:
    """Whether the session has no room, and not the node."""
    return _PER_SUBJECT in exc.description


def refusal(what: str, session_id: str, exc: PublishRefused) -> OrastreamError:
    """The error for a caller whose `what` (a request, a cancel, a piece of text) was refused and is not stored."""
    if isinstance(exc, StreamFull):
        whose = f"session {session_id}" if is_session_full(exc) else "the node"
        return Overloaded(f"{whose} has no room for {what} ({exc.description})")
    if exc.err_code == _TOO_LARGE:
        problem = f"{what} has more bytes than the node stores for TTS_MAX_TEXT_CHARS; send a shorter text, or split it"
        return InvalidRequest("text", problem)
    return NodeUnavailable(f"{what} was not stored: {exc}")
