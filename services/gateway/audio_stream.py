"""Audio for a caller of the gateway: of its own new request (`transport: none`), or of any stored request."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, AsyncIterator

import structlog

from orastream.base import tasks
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.caller import UNKNOWN
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError, WaitTimeout
from orastream.contract.messages import Report, ReportError
from orastream.traces import Parent
from services.gateway.request_service import RequestService

AFTER_DELIVERED_S = 10.0
"""Once the report is `delivered`, all audio is stored: if none comes for so long, the stream has deleted it."""
AFTER_FAILURE_S = 0.5
"""The audio that a failed request has made is stored too: how long to wait for the rest of it."""

log = structlog.get_logger()


class SpeechFailed(Exception):
    """The request has no audio, or no complete audio. `cancelled`: because it was cancelled. `error`: the reason."""

    def __init__(self, error: ReportError, *, cancelled: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.cancelled = cancelled


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


async def _audio(
    request_service: RequestService, acceptance: Acceptance, *, after_failure_s: float = 0.0
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """Yield the audio. Raises SpeechFailed when the final report is there and no more audio comes."""
    client, session, request = request_service.client, acceptance.session_id, acceptance.request_id
    audio = client.audio(session, request, acceptance.request_seq)
    final: asyncio.Task[Report] = asyncio.create_task(_final(client, session, request))
    message: asyncio.Task[AudioStart | AudioChunk | AudioEnd] | None = None
    try:
        while True:
            message = message or asyncio.create_task(_next(audio))
            report = final.result() if final.done() else None
            patience_s = request_service.wait_s
            if report is not None:
                patience_s = AFTER_DELIVERED_S if report.status == "delivered" else after_failure_s
            waiting = {message} if report else {message, final}
            done, _ = await asyncio.wait(waiting, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            if message in done:
                got, message = message.result(), None
                if isinstance(got, AudioEnd) and got.status != "complete":
                    raise SpeechFailed(_why(got), cancelled=got.status == "cancelled")
                yield got
                if isinstance(got, AudioEnd):
                    return
            elif report is not None:
                raise silence_of(report)
            elif not done:
                raise WaitTimeout(session, request, request_service.wait_s)
    finally:
        await tasks.end(*filter(None, (final, message)))
        await audio.aclose()


async def _next(
    audio: AsyncIterator[AudioStart | AudioChunk | AudioEnd],
) -> AudioStart | AudioChunk | AudioEnd:
    return await anext(audio)


async def _final(client: Client, session: str, request: str) -> Report:
    while True:
        with contextlib.suppress(WaitTimeout):
            return await client.wait(session, request, 3600)


def _why(end: AudioEnd) -> ReportError:
    if end.status == "cancelled":
        return ReportError.of("internal", "the request was cancelled")
    if end.error is None:
        return ReportError.of("engine_error", "synthesis failed; see synth's log")
    return ReportError.of(end.error.code, end.error.message)


def silence_of(report: Report) -> SpeechFailed:
    """Why a request with this final report has no audio, or no more audio."""
    if report.status == "delivered":
        return SpeechFailed(
            ReportError.of("audio_expired", "the request's audio is no longer stored; send the request again")
        )
    error = report.error or ReportError.of("internal", f"the request ended with status {report.status}")
    return SpeechFailed(error, cancelled=report.status == "cancelled")


async def _cancel(client: Client, session: str) -> None:
    try:
        async with asyncio.timeout(2):
            await client.cancel(session)
    except (OrastreamError, TimeoutError) as exc:
        log.warning("speech that nobody hears could not be cancelled", error=str(exc))
