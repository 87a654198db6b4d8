"""`GET /api/audio/{sessionId}/{requestId}`: the audio of a request, while it is made or as long as it is stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Response

from orastream.client.complete_audio import SpeechFailed, silence_of
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import OrastreamError, WaitTimeout
from orastream.contract.messages import Report
from services.gateway.audio_stream import request_audio
from services.gateway.http.responses import Answer, Refused, error
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.request_service import RequestService

MEDIA = {
    "wav": "audio/wav",
    "pcm16": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/PCMA",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
}
_STATUS = {"invalid_request": 422, "audio_expired": 410}

Messages = AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]


@dataclass(frozen=True, slots=True)
class OpenedAudio:
    """The audio of a request from its first chunk or its end on. `messages` go on after `first`; close them."""

    report: Report
    start: AudioStart
    first: AudioChunk | AudioEnd
    messages: Messages


async def audio(request_service: RequestService, session_id: str, request_id: str) -> Response:
    """The file, complete and in order, as a streamed answer that begins with the first audio. Raises as `opened`.

    204 if the text has nothing to say: there is no file, as a WAV file would need a header at least.
    """
    of = await opened(request_service, session_id, request_id)
    headers = {
        "X-Audio-Format": of.start.format,
        "X-Sample-Rate": str(of.start.sample_rate_hz),
        "X-Request-Seq": str(of.report.request_seq),
    }
    if isinstance(of.first, AudioEnd) and not of.first.total_chunks:
        await of.messages.aclose()
        return Response(status_code=204, headers=headers | {"Cache-Control": "no-store"})
    media = MEDIA.get(of.start.format, "application/octet-stream")
    return LiveResponse(_pieces(of.first, of.messages), media, headers)


async def opened(request_service: RequestService, session_id: str, request_id: str) -> OpenedAudio:
    """Wait for the first audio of a request.

    Raises Refused if the request is unknown or has no audio, or if none comes within `request_service.wait_s` seconds;
    Overloaded, NodeUnavailable.
    """
    report = await request_service.client.report(session_id, request_id)
    if report is None:
        raise Refused(error(404, "not_found", "no such request within the last hour"))
    if report.final:  # all its audio is stored: if the stream has none, waiting for some would be in vain
        if not await request_service.client.reads.has_audio(*subjects.tokens(session_id, request_id)):
            raise Refused(refusal(silence_of(report)))
    messages = request_audio(request_service, session_id, request_id, report.request_seq)
    start: AudioStart | None = None
    try:
        while isinstance(first := await anext(messages), AudioStart):
            start = first
    except BaseException as exc:
        await messages.aclose()
        if isinstance(exc, SpeechFailed):
            raise Refused(refusal(exc)) from exc
        if isinstance(exc, WaitTimeout):
            raise Refused(too_late(exc)) from exc
        raise
    assert start is not None, "a start comes before chunks and the end"
    return OpenedAudio(report, start, first, messages)


async def _pieces(first: AudioChunk | AudioEnd, messages: Messages) -> AsyncGenerator[bytes, None]:
    """Yield the file. Audio of a cancelled request ends where it was cut. Raises BrokenOff on a failure."""
    async with contextlib.aclosing(messages):
        if isinstance(first, AudioChunk):
            yield first.audio
        try:
            async for message in messages:
                if isinstance(message, AudioChunk):
                    yield message.audio
        except SpeechFailed as exc:
            if not exc.cancelled:
                raise BrokenOff(str(exc)) from exc
        except OrastreamError as exc:
            raise BrokenOff(str(exc)) from exc


def refusal(exc: SpeechFailed) -> Answer:
    """The answer for a request that has no audio."""
    if exc.cancelled:
        return error(409, "cancelled", "the request was cancelled before it had any audio")
    return error(_STATUS.get(exc.error.code, 502), exc.error.code, exc.error.message, retryable=exc.error.retryable)


def too_late(exc: WaitTimeout) -> Answer:
    """The answer when no audio has come for too long."""
    text = f"no audio within {exc.waited_s:g} s; is a synth running?"
    return error(504, "wait_timeout", text, retryable=True)
