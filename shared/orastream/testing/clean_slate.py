"""Empties a node between two tests: what is still asked for is cancelled, and its streams are purged."""

from __future__ import annotations

import asyncio

from orastream.broker import Broker
from orastream.client.cancelling import store_cancel
from orastream.contract import subjects
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream

POLL_S = 0.02
IDLE_S = 0.2
"""WEBSOCKET_IDLE_SECONDS of a node for tests: how long a bridge owns a session that has no work."""
TIDY_S = 0.3
"""A request that is final is deleted within this time. A cancel before that would only keep its session at work."""
CANCEL_EVERY_S = 1.0
OWNER_POLL_S = 0.1
OWNED_S = 0.8
"""How long the owner of a session is waited for. Only ids that are used again need that."""


async def empty(nats_url: str, names: Names, within_s: float) -> bool:
    """Cancel all requests that are not final, then delete all requests, texts, audio, reports and heard records.

    Returns False if requests were still there after `within_s` seconds. Raises NodeUnavailable. Sequences go on: a
    request of the next test has a higher one, so nothing that a service remembers is taken for it. The server still
    knows the message ids of the last two minutes: see `publishing.renew_key`.
    """
    async with Broker(nats_url, name="orastream-testing", prefix=names.prefix, connect_timeout_s=within_s) as broker:
        js = JetStream(broker)
        if not await _cancelled(js, within_s):
            return False
        await asyncio.gather(*(js.purge(stream) for stream in _kept(names)))
        return True


def _kept(names: Names) -> tuple[str, ...]:
    return (names.sessions_stream, names.texts_stream, names.audio_stream, names.reports_stream, names.heard_stream)


async def _cancelled(js: JetStream, within_s: float) -> bool:
    """Cancel until no request is stored and no ws_bridge owns a session, which it remembers as long as it owns it."""
    clock = asyncio.get_running_loop().time
    began = clock()
    cancel_at, quiet = began + TIDY_S, False
    while True:
        asked, owned = await _sessions(js)
        waited_s = clock() - began
        if not asked and (not owned or waited_s > OWNED_S):
            return True
        if waited_s > within_s:
            return False
        if clock() > cancel_at or (not asked and not quiet):
            quiet, cancel_at = not asked, clock() + CANCEL_EVERY_S
            for session in asked | owned:
                session_id = subjects.untoken(session)
                if session_id is not None:
                    await store_cancel(js, session_id, None)
        await asyncio.sleep(POLL_S if asked else OWNER_POLL_S)


async def _sessions(js: JetStream) -> tuple[set[str], set[str]]:
    """The tokens of the sessions with stored requests, and of those that a ws_bridge owns."""
    names = js.names
    events = await js.read(names.sessions_stream, names.session_events("*"), 0, batch=256)
    keys = await js.read(names.owners_stream, names.owner_key("ws_bridge", "*"), 0, batch=256)
    asked = {names.session_of(event.subject) for event in events if not subjects.is_cancel(event.subject)}
    owned = {names.owner_session(key.subject) for key in keys}
    return {session for session in asked if session}, {session for session in owned if session}
