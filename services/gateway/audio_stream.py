"""Audio for a caller of the gateway: of its own new request (`transport: none`), or of any stored request."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator

import structlog

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.complete_audio import complete_audio
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.caller import UNKNOWN
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError
from orastream.traces import Parent
from services.gateway.request_service import RequestService

AFTER_FAILURE_S = 0.5
"""The audio that a failed request has made is stored too: how long to wait for the rest of it."""

log = structlog.get_logger()


async def listen(
    request_service: RequestService, fields: Map, *, trace: Parent, caller: str = UNKNOWN
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """Submit a request, given by its wire fields without ids, and yield its audio as `Client.audio` does.

    The request gets a session of its own, continues `trace` and is counted for `caller`. Closing the generator early
    cancels the request.
    Raises InvalidRequest and Overloaded (nothing was stored), NodeUnavailable, SpeechFailed, and WaitTimeout when no
    audio came for `request_service.wait_s` seconds.
    """
    session = f"listen-{uuid.uuid4().hex}"
    given: Map = {**fields, "sessionId": session, "phoneId": session, "transport": "none", "fire_and_forget": True}
    with request_service.place():
        acceptance, _ = await request_service.client.submit(given, trace=trace, caller=caller)
        ended = False
        try:
            async with contextlib.aclosing(_audio(request_service, acceptance)) as messages:
                async for message in messages:
                    ended = isinstance(message, AudioEnd)
                    yield message
        finally:
            if not ended:
                await _cancel(request_service.client, session)


async def request_audio(
    request_service: RequestService, session_id: str, request_id: str, request_seq: int
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """Yield the audio of a stored request as `Client.audio` does, while it is made or as long as it is stored.

    Neither this nor closing the generator early affects the delivery. Of a failed request it yields what was made.
    Raises Overloaded, SpeechFailed (`audio_expired` when it is no longer stored), and WaitTimeout when no audio came
    for `request_service.wait_s` seconds.
    """
    acceptance = Acceptance(request_id, session_id, request_seq)
    with request_service.place():
        async with contextlib.aclosing(
            _audio(request_service, acceptance, after_failure_s=AFTER_FAILURE_S)
        ) as messages:
            async for message in messages:
                yield message


def _audio(
    request_service: RequestService, acceptance: Acceptance, *, after_failure_s: float = 0.0
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    return complete_audio(
        request_service.client, acceptance, wait_s=request_service.wait_s, after_failure_s=after_failure_s
    )


async def _cancel(client: Client, session: str) -> None:
    try:
        async with asyncio.timeout(2):
            await client.cancel(session)
    except (OrastreamError, TimeoutError) as exc:
        log.warning("speech that nobody hears could not be cancelled", error=str(exc))
