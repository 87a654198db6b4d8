"""Finds the stored requests of a session among its events, as the leader of TTS_SESSIONS has them."""

from __future__ import annotations

from orastream.contract import subjects
from orastream.jetstream.api import JetStream, Stored


async def next_request(js: JetStream, session: str, after: int, before: int | None = None) -> Stored | None:
    """Return the first request of the session stored above sequence `after`, and below `before`; or None.

    A session has a subject for its requests and one more for those of each account, hence no filter of the server finds
    them alone. Raises NodeUnavailable. Cancel-safe.
    """
    while (message := await js.after(js.names.sessions_stream, js.names.session_events(session), after)) is not None:
        if before is not None and message.sequence >= before:
            return None
        if not subjects.is_cancel(message.subject):
            return message
        after = message.sequence
    return None
