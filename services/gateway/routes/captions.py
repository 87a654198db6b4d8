"""`GET /api/audio/{sessionId}/{requestId}?captions=vtt`, or `srt`: captions of a request when its audio is made."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Literal

from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from orastream.base import tasks
from orastream.client.complete_audio import SpeechFailed
from orastream.contract.audio import seconds_of
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import InvalidRequest, WaitTimeout
from orastream.contract.spoken_text import SpokenText
from services.gateway.captions.caption_files import CAPTION_FILES
from services.gateway.captions.captions import captions_of
from services.gateway.http.responses import RETRY_UNAVAILABLE_S, Refused, error
from services.gateway.request_service import RequestService
from services.gateway.routes.audio import opened, refusal, too_late

AudioStatus = Literal["complete", "cancelled", "failed"]

_NOTES: dict[AudioStatus, tuple[str, ...]] = {
    "complete": (),
    "cancelled": ("The request was cancelled. The captions end where its audio ends.",),
    "failed": ("The request failed. The captions end where its audio ends.",),
}
_NO_SENTENCES = "The stored audio has no sentences."


async def captions(
    request_service: RequestService, request: Request, session_id: str, request_id: str, kind: str
) -> Response:
    """The captions of the audio, when its end is stored; of a cancelled or failed request those of what was made.

    Keeps sentences and words in memory, no audio. Raises InvalidRequest for a `kind` that does not exist, and Refused,
    Overloaded and NodeUnavailable as `opened`; ClientDisconnect when the caller has left.
    """
    if kind not in CAPTION_FILES:
        raise InvalidRequest("captions", f"must be {' or '.join(CAPTION_FILES)}")
    spoken = await _unless_gone(request_service, request, session_id, request_id)
    media_type, write = CAPTION_FILES[kind]
    made = captions_of(spoken.text.sentences(spoken.audio_ms, complete=spoken.complete, source=spoken.source))
    notes = _NOTES[spoken.status] if made.cues else (*_NOTES[spoken.status], _NO_SENTENCES)
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Request-Seq": str(spoken.request_seq),
        "X-Audio-Status": spoken.status,
        "X-Caption-Times": "estimated" if made.estimated else "words",
    }
    return Response(write(made, notes), headers=headers, media_type=media_type)


@dataclass(slots=True)
class _Spoken:
    """What is kept of the audio of a request."""

    request_seq: int
    start: AudioStart
    text: SpokenText = field(default_factory=SpokenText)
    size: int = 0
    end: AudioEnd | None = None
    status: AudioStatus = "complete"

    def add(self, message: AudioStart | AudioChunk | AudioEnd) -> None:
        if isinstance(message, AudioStart):
            self.start = message
        elif isinstance(message, AudioChunk):
            self.text.add(message)
            self.size += len(message.audio)
        else:
            self.end = message

    @property
    def complete(self) -> bool:
        return self.status == "complete"

    @property
    def audio_ms(self) -> int | None:
        """The length of the audio. None: a part of a file in a coded format."""
        seconds = seconds_of(self.start.format, self.start.spec, self.size)
        if self.end is not None:
            seconds = self.end.audio_seconds
        return None if seconds is None else int(seconds * 1000)

    @property
    def source(self) -> str | None:
        """The text of the request, if it is stored with the audio."""
        return self.end.text if self.end is not None and self.end.text is not None else self.start.text


async def _unless_gone(request_service: RequestService, request: Request, session_id: str, request_id: str) -> _Spoken:
    """Read all audio. Stops when the caller has left, or when the gateway ends: the audio may last for an hour."""
    closing = asyncio.Event()
    reading = asyncio.create_task(_read(request_service, session_id, request_id))
    gone = asyncio.create_task(_gone(request))
    closes = asyncio.create_task(closing.wait())
    try:
        with request_service.calling_on_close(closing.set):
            await asyncio.wait({reading, gone, closes}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            return reading.result()
    finally:
        await tasks.end(reading, gone, closes)
    if gone.done() and not gone.cancelled():
        raise ClientDisconnect
    retry = {"Retry-After": str(RETRY_UNAVAILABLE_S)}
    raise Refused(error(503, "unavailable", "the gateway ends; try again", retryable=True, headers=retry))


async def _gone(request: Request) -> None:
    """Wait until the caller has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _read(request_service: RequestService, session_id: str, request_id: str) -> _Spoken:
    audio = await opened(request_service, session_id, request_id)
    spoken = _Spoken(audio.report.request_seq, audio.start)
    spoken.add(audio.first)
    try:
        async with contextlib.aclosing(audio.messages) as messages:
            async for message in messages:
                spoken.add(message)
    except WaitTimeout as exc:
        raise Refused(too_late(exc)) from exc
    except SpeechFailed as exc:
        if exc.error.code == "audio_expired":
            raise Refused(refusal(exc)) from exc
        spoken.status = "cancelled" if exc.cancelled else "failed"
    return spoken
