"""Finds the stored requests of a session among its events, as the leader of TTS_SESSIONS has them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from orastream.contract import subjects
from orastream.jetstream.api import JetStream, Stored

PAGE_BYTES = 256 << 10


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


async def later_requests(js: JetStream, session: str, after: int) -> AsyncGenerator[Stored, None]:
    """Yield the stored requests of the session above sequence `after`, in order, all that the leader has at the end.

    Reads pages, so that it needs few calls for many requests. Raises NodeUnavailable. Cancel-safe.
    """
    events, ended = js.names.session_events(session), False
    while True:
        page = [] if ended else await js.read(js.names.sessions_stream, events, after, max_bytes=PAGE_BYTES)
        if not page:  # perhaps of a replica that is behind; the leader knows
            message = await js.after(js.names.sessions_stream, events, after)
            if message is None:
                return
            page = [message]
        for message in page:
            if not subjects.is_cancel(message.subject):
                yield message
        after, ended = page[-1].sequence, page[-1].ends_read
