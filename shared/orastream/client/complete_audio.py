"""The audio of a request together with its report: complete audio, or why there is none.

`Client.audio` alone waits for ever when a request fails before a synth has claimed it, or when its audio was deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Protocol

from orastream.base import tasks
from orastream.client.acceptance import Acceptance
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import WaitTimeout
from orastream.contract.messages import Report, ReportError

AFTER_DELIVERED_S = 10.0
"""Once the report is `delivered`, all audio is stored: if none comes for so long, the stream has deleted it."""
AUDIO_EXPIRED = ReportError.of("audio_expired", "the request's audio is no longer stored; send the request again")


class RequestReader(Protocol):
    """The part of `Client` that reads a request."""

    def audio(
        self, session_id: str, request_id: str, request_seq: int
    ) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
        """See `Client.audio`."""
        ...

    async def wait(self, session_id: str, request_id: str, wait_s: float) -> Report:
        """See `Client.wait`."""
        ...


class SpeechFailed(Exception):
    """The request has no audio, or no complete audio. `cancelled`: because it was cancelled. `error`: the reason."""

    def __init__(self, error: ReportError, *, cancelled: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.cancelled = cancelled


async def complete_audio(
    client: RequestReader, acceptance: Acceptance, *, wait_s: float | None, after_failure_s: float = 0.0
) -> AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]:
    """Yield the audio as `Client.audio` does, up to an end that is `complete`. Closing it early cancels nothing.

    `after_failure_s`: for how many seconds it yields the stored audio of a request that has failed. Raises
    SpeechFailed when the final report is there and no more audio comes (`audio_expired`: it is no longer stored),
    WaitTimeout when none came for `wait_s` seconds (None: it waits without limit), NodeUnavailable.
    """
    session, request = acceptance.session_id, acceptance.request_id
    audio = client.audio(session, request, acceptance.request_seq)
    final: asyncio.Task[Report] = asyncio.create_task(_final(client, session, request))
    message: asyncio.Task[AudioStart | AudioChunk | AudioEnd] | None = None
    try:
        while True:
            message = message or asyncio.create_task(_next(audio))
            report = final.result() if final.done() else None
            patience_s = wait_s
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
                assert wait_s is not None
                raise WaitTimeout(session, request, wait_s)
    finally:
        await tasks.finish(_close(audio, final, message))


def silence_of(report: Report) -> SpeechFailed:
    """Why a request with this final report has no audio, or no more audio."""
    if report.status == "delivered":
        return SpeechFailed(AUDIO_EXPIRED)
    error = report.error or ReportError.of("internal", f"the request ended with status {report.status}")
    return SpeechFailed(error, cancelled=report.status == "cancelled")


async def _next(
    audio: AsyncIterator[AudioStart | AudioChunk | AudioEnd],
) -> AudioStart | AudioChunk | AudioEnd:
    return await anext(audio)


async def _close(audio: AsyncGenerator[Any, None], *reading: asyncio.Task[Any] | None) -> None:
    await tasks.end(*filter(None, reading))
    await audio.aclose()


async def _final(client: RequestReader, session: str, request: str) -> Report:
    while True:
        with contextlib.suppress(WaitTimeout):
            return await client.wait(session, request, 3600)


def _why(end: AudioEnd) -> ReportError:
    if end.status == "cancelled":
        return ReportError.of("internal", "the request was cancelled")
    if end.error is None:
        return ReportError.of("engine_error", "synthesis failed; see synth's log")
    return ReportError.of(end.error.code, end.error.message)
