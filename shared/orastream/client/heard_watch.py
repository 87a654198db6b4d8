"""Follows the records of what was heard, of a session or of all of them, if this user may read them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator

from orastream.base import logger
from orastream.broker import Headers
from orastream.client import watch
from orastream.client.reads import Reads
from orastream.client.served_reads import read_page
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, NoResponders
from orastream.contract.heard import HeardState, heard_state_of
from orastream.contract.reads import ReadQuery
from orastream.jetstream.api import Stored
from orastream.jetstream.place import place_of

MAX_WAITING = 1_000
"""Live records that a slow reader has not taken yet; beyond that the oldest is dropped."""
ANY_SESSION = "any"
"""A session to ask for, where the question is only whether an answer comes."""

log = logger.named(__name__)


async def readable(reads: Reads, session_id: str | None) -> bool:
    """Whether this user may read what was heard in a session, or in all of them (None).

    False also if no gateway answers that question. Raises InvalidRequest, and NodeUnavailable.
    """
    names = reads.js.names
    if await reads.direct(names.heard_stream):
        return True
    session = ANY_SESSION if session_id is None else subjects.token(session_id, "sessionId")
    question = names.heards_read(session)
    try:
        async with contextlib.aclosing(read_page(reads.broker, question, ReadQuery())) as page:
            async for _ in page:
                break
    except NoResponders:
        return False
    except NodeUnavailable:
        if reads.broker.refused(question) is None:
            raise
        return False
    return True


async def records(reads: Reads, session_id: str | None, *, history: bool) -> AsyncGenerator[HeardState, None]:
    """Yield the records of a session, or of all (None), as they are stored; with `history` first those that are stored.

    A caller that may not read the stream gets those of all sessions live: without `history`, and not those of a time
    without a connection. An endless generator.
    """
    names = reads.js.names
    session = "*" if session_id is None else subjects.token(session_id, "sessionId")
    subject = names.heard(session, "*")
    if session_id is None and not await reads.direct(names.heard_stream):
        stored = _live(reads, subject)
    else:
        stored = watch.messages(reads, names.heard_stream, subject, after=0 if history else None)
    async with contextlib.aclosing(stored):
        async for message in stored:
            if (state := heard_state_of(message)) is not None:
                yield state


async def _live(reads: Reads, subject: str) -> AsyncGenerator[Stored, None]:
    waiting: deque[Stored] = deque(maxlen=MAX_WAITING)
    changed = asyncio.Event()

    def on_message(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        try:
            stored_subject, sequence, time, _ = place_of(headers)
        except (KeyError, ValueError):
            log.debug("a message of no stream is ignored", subject=_subject)
            return
        waiting.append(Stored(stored_subject, sequence, time, data, headers))
        changed.set()

    subscription = await reads.broker.subscribe(subject, on_message)
    try:
        while True:
            changed.clear()
            while waiting:
                yield waiting.popleft()
            await changed.wait()
    finally:
        await subscription.close()
