"""Stores a request with `supersede` also in a session that has no room: first cancels what it supersedes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from orastream.client import publishing
from orastream.contract.errors import Overloaded, StreamFull
from orastream.jetstream.answers import Ack

TRY_AGAIN_AFTER_S = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Pauses before the tries after the cancel. The cancelled requests leave when their bridge has ended them."""


async def store_superseding(
    session_id: str, store: Callable[[], Awaitable[Ack]], cancel: Callable[[], Awaitable[int]]
) -> Ack:
    """Return the ack of `store`. If the session is full, cancel all of it, and try again for three seconds.

    Raises Overloaded if it is full then, too: the request is not stored, but the earlier ones are cancelled. Otherwise
    raises what `store` and `cancel` raise.
    """
    try:
        return await store()
    except StreamFull as exc:
        if not publishing.is_session_full(exc):
            raise
    await cancel()
    for pause_s in TRY_AGAIN_AFTER_S:
        await asyncio.sleep(pause_s)
        try:
            return await store()
        except StreamFull as exc:
            if not publishing.is_session_full(exc):
                raise
    raise Overloaded(f"session {session_id} has no room for the request; all that it had is being cancelled: try again")
