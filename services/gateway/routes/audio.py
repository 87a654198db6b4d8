"""`GET /api/audio/{sessionId}/{requestId}`: the audio of a request, while it is made or as long as it is stored.

A finished file has a length and parts (RFC 9110, 14), and `HEAD` gives its headers.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from fastapi import Request, Response

from orastream.client.complete_audio import AUDIO_EXPIRED, SpeechFailed, silence_of
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import OrastreamError, WaitTimeout
from orastream.contract.messages import Report
from services.gateway.audio_stream import request_audio
from services.gateway.files.index import FinishedFile
from services.gateway.files.reader import AudioGone, FinishedFiles
from services.gateway.http.held import hold
from services.gateway.http.ranges import Selection, selection
from services.gateway.http.responses import Answer, Refused, error
from services.gateway.http.streaming import LIVE_HEADERS, BrokenOff, LiveResponse
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


class AudioRoute:
    """Answers GET and HEAD of audio files. For one event loop."""

    def __init__(self, request_service: RequestService) -> None:
        self._request_service = request_service
        self._files = FinishedFiles(request_service.client.reads)

    async def audio(self, request: Request, session_id: str, request_id: str) -> Response:
        """The file, or a part of it if it is finished; else a streamed answer that begins with the first audio.

        204 if the text has nothing to say: there is no file, as a WAV file would need a header at least.
        Raises as `opened`, and Refused (412, 416) for conditions and ranges that a finished file does not meet.
        """
        report = await stored_report(self._request_service, session_id, request_id)
        with self._request_service.place():
            file = await self._files.find(report)
        if file is not None:
            return await self._finished(request, report, file)
        of = await opened_of(self._request_service, report)
        headers = _headers(of.start, report)
        if isinstance(of.first, AudioEnd) and not of.first.total_chunks:
            await of.messages.aclose()
            return Response(status_code=204, headers=headers | {"Cache-Control": "no-store"})
        pieces = _pieces(of.first, of.messages)
        if request.method == "HEAD":
            await of.messages.aclose()
            pieces = _nothing()
        return LiveResponse(pieces, _media(of.start), headers)

    async def _finished(self, request: Request, report: Report, file: FinishedFile) -> Response:
        asked = selection(request.method, request.headers, file.etag, file.size)
        headers = _headers(file.start, report) | {"Accept-Ranges": "bytes", "ETag": file.etag}
        if asked.status in (412, 416):
            raise Refused(_not_met(asked, file, headers))
        if asked.status != 304:
            headers["Content-Length"] = str(asked.last + 1 - asked.first)
        hold(request, self._request_service.place())
        try:
            if request.method == "HEAD" or asked.status == 304:
                await self._files.check(report, file)
                media = None if asked.status == 304 else _media(file.start)
                return Response(status_code=asked.status, headers=LIVE_HEADERS | headers, media_type=media)
            pieces = self._files.read(report, file, asked.first, asked.last)
            first = await anext(pieces)
        except AudioGone:  # after a status could no longer be sent, it would be a connection that breaks off
            raise Refused(refusal(SpeechFailed(AUDIO_EXPIRED))) from None
        if asked.status == 206:
            headers["Content-Range"] = f"bytes {asked.first}-{asked.last}/{file.size}"
        return LiveResponse(_parts(first, pieces), _media(file.start), headers, status=asked.status)


def _headers(start: AudioStart, report: Report) -> dict[str, str]:
    return {
        "X-Audio-Format": start.format,
        "X-Sample-Rate": str(start.sample_rate_hz),
        "X-Request-Seq": str(report.request_seq),
    }


def _media(start: AudioStart) -> str:
    return MEDIA.get(start.format, "application/octet-stream")


def _not_met(asked: Selection, file: FinishedFile, headers: dict[str, str]) -> Answer:
    if asked.status == 412:
        return error(412, "precondition_failed", "If-Match names another file", headers=headers)
    text = f"Range begins behind the end of the file, which has {file.size} bytes"
    return error(416, "invalid_range", text, headers=headers | {"Content-Range": f"bytes */{file.size}"})


async def _parts(first: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with contextlib.aclosing(pieces):
        yield first
        try:
            async for piece in pieces:
                yield piece
        except AudioGone:
            raise BrokenOff("the audio was deleted while it was read") from None
        except OrastreamError as exc:
            raise BrokenOff(str(exc)) from exc


async def _nothing() -> AsyncGenerator[bytes, None]:
    """Yield no piece."""
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


async def stored_report(request_service: RequestService, session_id: str, request_id: str) -> Report:
    """The last report of a request. Raises Refused (404), NodeUnavailable."""
    report = await request_service.client.report(session_id, request_id)
    if report is None:
        raise Refused(error(404, "not_found", "no such request within the last hour"))
    return report


async def opened(request_service: RequestService, session_id: str, request_id: str) -> OpenedAudio:
    """Wait for the first audio of a request.

    Raises Refused if the request is unknown or has no audio, or if none comes within `request_service.wait_s` seconds;
    Overloaded, NodeUnavailable.
    """
    return await opened_of(request_service, await stored_report(request_service, session_id, request_id))


async def opened_of(request_service: RequestService, report: Report) -> OpenedAudio:
    """As `opened`, of the request of this report."""
    session_id, request_id = report.session_id, report.request_id
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
