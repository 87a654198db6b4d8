"""A request with `redeliverOf`: its audio is that of an earlier request of the session, copied from the stream."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator
from dataclasses import replace

from orastream.contract import subjects
from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, EndError, unpack
from orastream.contract.errors import Undecodable
from orastream.contract.messages import ReportError
from orastream.contract.playback import Playback
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.publish_window import PublishWindow
from services.synth.job.attempt import Attempt
from services.synth.job.audio_publisher import AudioPublisher
from services.synth.job.audio_reader import AudioReader
from services.synth.job.context import SynthContext

EXPIRED = "the audio of that request is not stored: it has expired (TTS_AUDIO_RETENTION_SECONDS), or none was made"


class StoredAudio:
    """The stored audio of the earlier request: complete when it was found."""

    def __init__(self, earlier: StoredRequest, start: AudioStart, end: AudioEnd) -> None:
        """`earlier` has the session, token and sequence of the earlier request."""
        self.start = start
        self._earlier = earlier
        self._end = end

    async def copy(
        self, context: SynthContext, stored: StoredRequest, attempt: Attempt, playback: Playback
    ) -> AudioEnd:
        """Store the chunks that the attempt does not have yet, and the `end`; return the `end`.

        It is `failed` with `audio_expired` if the earlier audio leaves the stream meanwhile. Raises NodeUnavailable,
        PublishRefused.
        """
        js, copied, size = context.js, attempt.progress.next_index, attempt.progress.bytes
        subject = js.names.put_audio(stored.session, stored.token)
        async with (
            PublishWindow(js.broker, on_stored=attempt.trail.on_stored) as window,
            AudioPublisher(js.broker, window, attempt, subject) as publisher,
        ):
            async with contextlib.aclosing(_chunks(js, self._earlier)) as chunks:
                async for chunk in chunks:
                    if chunk.index < copied:
                        continue
                    await publisher.chunk(replace(chunk, attempt=attempt.sequence, offset=size))
                    size += len(chunk.audio)
                    playback.chunk(chunk.index, chunk.pts_ms, time.monotonic() * 1000)
                    context.metrics.chunk_stored(len(chunk.audio))
                    copied = chunk.index + 1
            if copied == self._end.total_chunks:
                end = replace(self._end, attempt=attempt.sequence)
                await publisher.end(end)
                await window.flush()
                return end
            await window.flush()
        return await attempt.end_early(EndError("audio_expired", EXPIRED))


async def deliver_again(
    audio: StoredAudio | ReportError, context: SynthContext, stored: StoredRequest, attempt: Attempt, playback: Playback
) -> AudioEnd:
    """Store the audio with its `end`, or a failed `end` if there is none; returns the `end`. Raises as `copy`."""
    if isinstance(audio, ReportError):
        return await attempt.end_early(EndError(audio.code, audio.message))
    return await audio.copy(context, stored, attempt, playback)


async def find_source(context: SynthContext, stored: StoredRequest, request_id: str) -> StoredAudio | ReportError:
    """Returns the audio of the session's request `request_id`, or why it cannot be delivered again.

    Raises NodeUnavailable.
    """
    token = subjects.token(request_id)
    state = await context.reports.read(stored.session, token)
    if state is None:
        problem = f"redeliverOf: this session has no request {request_id!r} that was claimed in the last hour"
        return ReportError.of("invalid_request", problem)
    earlier = replace(stored, token=token, sequence=state.report.request_seq)
    reader = AudioReader(context.js, earlier)
    await reader.read()
    start, end = reader.progress.start, reader.progress.finished
    if start is None:
        return ReportError.of("audio_expired", EXPIRED)
    if end is None or end.status != "complete":
        problem = f"redeliverOf: the audio of request {request_id!r} is not complete; send the text again"
        return ReportError.of("invalid_request", problem)
    return StoredAudio(earlier, replace(start, request_seq=stored.sequence), end)


async def _chunks(js: JetStream, earlier: StoredRequest) -> AsyncGenerator[AudioChunk, None]:
    """The chunks of the earlier request that count, in order, as far as they are stored."""
    subject, after, audio = js.names.audio(earlier.session, earlier.token), 0, Assembly(earlier.sequence)
    while audio.finished is None:
        page = await js.read(js.names.audio_stream, subject, after)
        if not page:  # perhaps of a replica that is behind; the leader knows
            message = await js.after(js.names.audio_stream, subject, after)
            if message is None:
                return
            page = [message]
        for message in page:
            after = message.sequence
            with contextlib.suppress(Undecodable):
                for chunk in audio.receive(message.sequence, unpack(message.data)):
                    yield chunk
