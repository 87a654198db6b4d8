"""Audio that a caller of the gateway takes: of a text of his own (`transport: none`), or of anybody's request."""

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
from orastream.contract.codec import Map
from orastream.contract.errors import OrastreamError, WaitTimeout
from orastream.contract.messages import Report, ReportError
from orastream.traces import Parent
from services.gateway.request_service import RequestService

AFTER_DELIVERED_S = 10.0
"""After the final report all is stored: what is silent for so long has left the stream."""
AFTER_FAILURE_S = 0.5
"""What was made of a request that failed is stored too, and comes within this."""

log = structlog.get_logger()


class SpeechFailed(Exception):
    """The node could not speak it, or not to its end; `error` is the report's, `cancelled` whether that was asked."""

    def __init__(self, error: ReportError, *, cancelled: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.cancelled = cancelled


async def listen(
    request_service: RequestService, fields: Map, *, trace: Parent
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """Ask for speech by its wire fields, ids aside, and give its audio as `Client.audio` does.

    It has a session of its own, and continues `trace`. Leaving early cancels it: nobody would hear the rest. Raises
    InvalidRequest and Overloaded (nothing was stored), NodeUnavailable, SpeechFailed, and WaitTimeout when for
    `request_service.wait_s` nothing came.
    """
    session = f"listen-{uuid.uuid4().hex}"
    given: Map = {**fields, "sessionId": session, "phoneId": session, "transport": "none", "fire_and_forget": True}
    with request_service.place():
        acceptance, _ = await request_service.client.submit(given, trace=trace)
        ended = False
        try:
            async with contextlib.aclosing(_audio(request_service, acceptance)) as messages:
                async for message in messages:
                    ended = isinstance(message, AudioEnd)
                    yield message
        finally:
            if not ended:
                await _cancel(request_service.client, session)


async def overhear(
    request_service: RequestService, session_id: str, request_id: str, request_seq: int
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """The audio of somebody's request as `Client.audio` gives it, while it is made or as long as it is kept.

    Its delivery is not touched, and leaving early changes nothing. A failed request's audio comes as far as it was
    made. Raises Overloaded, SpeechFailed (`audio_expired` when it is not kept any more), WaitTimeout when nothing came
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
    """The audio, or SpeechFailed when the final report says that there is none to come."""
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
        return ReportError.of("internal", "it was cancelled")
    if end.error is None:
        return ReportError.of("engine_error", "synthesis failed; see synth's log")
    return ReportError.of(end.error.code, end.error.message)


def silence_of(report: Report) -> SpeechFailed:
    """Why there is no audio, or no more, of a request with that final report."""
    if report.status == "delivered":
        return SpeechFailed(ReportError.of("audio_expired", "its audio is not kept any more; ask for it again"))
    error = report.error or ReportError.of("internal", f"it was {report.status}")
    return SpeechFailed(error, cancelled=report.status == "cancelled")


async def _cancel(client: Client, session: str) -> None:
    try:
        async with asyncio.timeout(2):
            await client.cancel(session)
    except (OrastreamError, TimeoutError) as exc:
        log.warning("speech that nobody hears could not be cancelled", error=str(exc))
