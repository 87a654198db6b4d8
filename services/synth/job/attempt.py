"""One attempt at a request: a `start` in its audio subject, what is stored after it, and whether it still counts."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

from orastream.contract import stream_names, subjects
from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioEnd, AudioStart, AudioWaiting, EndError, EndStatus
from orastream.contract.errors import NodeUnavailable, PublishRefused
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.tally import tally
from services.synth.job.audio_reader import AudioReader
from services.synth.job.standing import Evidence, Trail, weigh

WAITING_PATIENCE_S = 1.0
_CLOCKS_DIFFER_S = 5.0  # the server expires messages by its own clock, and not at once


class AudioLost(Exception):
    """The attempt's start is not stored any more, nor what came before the loss: the stream was lost and made anew."""


class Attempt:
    """An attempt that this process has opened. All that it stores is counted in `trail`."""

    def __init__(
        self, js: JetStream, stored: StoredRequest, reader: AudioReader, sequence: int, retention_s: float
    ) -> None:
        """`sequence` is that of its start, which is the last message that `reader` has read.

        `retention_s` is how long the stream keeps a message (TTS_AUDIO_RETENTION_SECONDS).
        """
        self._clock = asyncio.get_running_loop().time
        self._expires_at = self._clock() + retention_s - _CLOCKS_DIFFER_S
        self._js = js
        self._stored = stored
        self._reader = reader
        self._reading = asyncio.Lock()
        self._waiting_id = ""
        self.sequence = sequence
        self.trail = Trail(reader.first, reader.count)

    @property
    def progress(self) -> Assembly:
        """What counted when it was opened; later also what `counts` has read since."""
        return self._reader.progress

    def message_id(self, what: object) -> str:
        """The id of one message of this attempt: the stream drops a resend of it."""
        return f"{self._stored.session}.{self._stored.token}.{self.sequence}.{what}"

    async def counts(self, *, proven: bool) -> bool:
        """Whether readers follow it: no other synth has opened a later attempt before its end was complete.

        With `proven` this is certain up to the moment of asking; else one just opened may be overlooked while messages
        of this attempt are on their way. One count by the stream's leader, as a rule; what is stored after the start is
        read only if somebody else may have written. Raises AudioLost, NodeUnavailable. Cancel-safe.
        """
        asked = replace(self.trail)
        found = await tally(self._js, stream_names.AUDIO, subjects.audio(self._stored.session, self._stored.token))
        if found.first_seq > self.sequence and self._clock() < self._expires_at:
            raise AudioLost("the stream does not hold the start of this attempt, which cannot have expired")
        evidence = weigh(asked, self.trail, found)
        if evidence is Evidence.ALONE or (evidence is Evidence.OPEN and not proven):
            return True
        async with self._reading:
            await self._reader.read()
        return self.progress.attempt == self.sequence

    async def show_waiting(self) -> None:
        """Tell readers that this attempt waits for text; one that is not stored in time is sent again next time."""
        if not self._waiting_id:
            self.trail.on_sent()
            self._waiting_id = self.message_id(f"waiting.{uuid.uuid4().hex}")
        try:
            await self._js.store(
                subjects.put_audio(self._stored.session, self._stored.token),
                AudioWaiting(self.sequence).pack(),
                message_id=self._waiting_id,
                patience_s=WAITING_PATIENCE_S,
            )
        except (NodeUnavailable, PublishRefused):
            return
        self.trail.on_stored()
        self._waiting_id = ""

    async def end_early(self, error: EndError) -> AudioEnd:
        """Store its end as failed by `error`."""
        self.trail.on_sent()
        end = await _store_end(self._js, self._stored, self.progress, self.sequence, error)
        self.trail.on_stored()
        return end


def first_attempt(
    js: JetStream, stored: StoredRequest, start: AudioStart, sequence: int, retention_s: float
) -> Attempt:
    """The attempt whose start was stored at `sequence` as the first message of the subject."""
    reader = AudioReader(js, stored)
    reader.begins_with(sequence, start)
    return Attempt(js, stored, reader, sequence, retention_s)


async def open_attempt(
    js: JetStream, stored: StoredRequest, start: AudioStart, retention_s: float
) -> Attempt | AudioEnd:
    """Store a `start` after what there is, which supersedes every other attempt; or the end, when all is stored.

    Raises NodeUnavailable, PublishRefused.
    """
    reader = AudioReader(js, stored)
    progress = reader.progress
    await reader.read()
    if progress.finished is not None and progress.finished.status != "cancelled":
        return progress.finished
    start = start_after(progress, start)
    # With an id: a start that is stored twice, as its ack was lost, would count as an attempt without progress.
    message_id = f"{stored.session}.start.{uuid.uuid4().hex}"
    ack = await js.store(subjects.put_audio(stored.session, stored.token), start.pack(), message_id=message_id)
    await reader.read(ack.sequence)
    # Another attempt may have stored its end just before our start.
    return progress.finished or Attempt(js, stored, reader, ack.sequence, retention_s)


def start_after(progress: Assembly, start: AudioStart) -> AudioStart:
    """The `start` of another attempt: the file keeps its rate, also with an engine that declares another one."""
    before = progress.start
    return start if before is None else replace(start, sample_rate_hz=before.sample_rate_hz)


async def end_latest(js: JetStream, stored: StoredRequest, error: EndError | None) -> AudioEnd:
    """End the audio whoever speaks it: failed by `error`, or cancelled. Raises NodeUnavailable, PublishRefused.

    A cancel, and a final report, are about the request and not about an attempt: so the latest attempt is ended, and
    the next one too if another synth opens one meanwhile. Where the stream was lost there is none to end.
    """
    reader = AudioReader(js, stored)
    await reader.read()
    while True:
        if (attempt := reader.progress.attempt) is None:
            return _early_end(reader.progress, 0, error)
        end = await _store_end(js, stored, reader.progress, attempt, error)
        await reader.read()
        if reader.progress.finished is not None:
            return end


async def _store_end(
    js: JetStream, stored: StoredRequest, progress: Assembly, attempt: int, error: EndError | None
) -> AudioEnd:
    end = _early_end(progress, attempt, error)
    message_id = (
        f"{stored.session}.{stored.token}.{attempt}.early-end"  # one that is stored twice would be counted twice
    )
    await js.store(subjects.put_audio(stored.session, stored.token), end.pack(), message_id=message_id)
    return end


def _early_end(progress: Assembly, attempt: int, error: EndError | None) -> AudioEnd:
    status: EndStatus = "failed" if error is not None else "cancelled"
    return AudioEnd(attempt, status, progress.next_index, progress.bytes, 0.0, error)
