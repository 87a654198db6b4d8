"""`GET /api/audio/{sessionId}/{requestId}`: the audio of a request, while it is made or as long as it is stored."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from fastapi import Response

from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import OrastreamError, WaitTimeout
from services.gateway.audio_stream import SpeechFailed, request_audio, silence_of
from services.gateway.http.responses import Answer, Refused, error
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.request_service import RequestService

MEDIA = {
    "wav": "audio/wav",
    "pcm16": "audio/pcm",
    "mulaw": "audio/basic",
    "opus": "audio/ogg",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
}
_STATUS = {"invalid_request": 422, "audio_expired": 410}

Messages = AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]


async def audio(request_service: RequestService, session_id: str, request_id: str) -> Response | Answer:
    """The file, complete and in order, as a streamed answer that begins with the first audio.

    Raises Refused, Overloaded, NodeUnavailable and WaitTimeout.
    """
    report = await request_service.client.report(session_id, request_id)
    if report is None:
        return error(404, "not_found", "no such request within the last hour")
    if report.final:  # all its audio is stored: if the stream has none, waiting for some would be in vain
        if not await request_service.client.reads.has_audio(*subjects.tokens(session_id, request_id)):
            return _no_audio(silence_of(report))
    messages = request_audio(request_service, session_id, request_id, report.request_seq)
    start: AudioStart | None = None
    try:
        while isinstance(first := await anext(messages), AudioStart):
            start = first
    except BaseException as exc:
        await messages.aclose()
        if isinstance(exc, SpeechFailed):
            raise Refused(_no_audio(exc)) from exc
        if isinstance(exc, WaitTimeout):
            text = f"no audio within {exc.waited_s:g} s; is a synth running?"
            raise Refused(error(504, "wait_timeout", text, retryable=True)) from exc
        raise
    assert start is not None, "a start comes before chunks and the end"
    headers = {
        "X-Audio-Format": start.format,
        "X-Sample-Rate": str(start.sample_rate_hz),
        "X-Request-Seq": str(report.request_seq),
    }
    media = MEDIA.get(start.format, "application/octet-stream")
    return LiveResponse(_pieces(first, messages), media, headers)


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


def _no_audio(exc: SpeechFailed) -> Answer:
    if exc.cancelled:
        return error(409, "cancelled", "the request was cancelled before it had any audio")
    return error(_STATUS.get(exc.error.code, 502), exc.error.code, exc.error.message, retryable=exc.error.retryable)
