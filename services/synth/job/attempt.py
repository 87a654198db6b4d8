"""One attempt at a request: its `start` in the audio subject, its messages after that, and whether it still counts."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace

import structlog

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioEnd, AudioStart, AudioWaiting, EndError, EndStatus
from orastream.contract.errors import NodeUnavailable, PublishRefused
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.tally import tally
from services.synth.job.audio_reader import AudioReader
from services.synth.job.outcome import MAX_FAILED_ATTEMPTS
from services.synth.job.standing import Evidence, Trail, evidence_of

WAITING_PATIENCE_S = 1.0
"""Timeout for the publish of one `waiting` message."""
_CLOCKS_DIFFER_S = 5.0  # the server expires messages by its own clock, and with a delay


log = structlog.get_logger()


class AudioLost(Exception):
    """The stream was deleted and created again: the attempt's `start` and its messages before that are gone."""


class AudioExpired(Exception):
    """The attempt's `start` left the stream before this synth could read it back: the process stood still for long."""


class Attempt:
    """An attempt that this process has opened. `trail` counts the messages that it stores. For one event loop."""

    def __init__(
        self, js: JetStream, stored: StoredRequest, reader: AudioReader, sequence: int, retention_s: float
    ) -> None:
        """`sequence` is the sequence of its `start`, which is the last message that `reader` has read.

        `retention_s` is how long the stream keeps a message (TTS_AUDIO_RETENTION_SECONDS).
        """
        self._clock = asyncio.get_running_loop().time
        self._expires_at = self._clock() + retention_s - _CLOCKS_DIFFER_S
        self._js = js
        self._stored = stored
        self._reader = reader
        self._reading = asyncio.Lock()
        self._waiting_id = ""
        self._showing = asyncio.Lock()
        self.sequence = sequence
        self.trail = Trail(reader.first, reader.count)

    @property
    def progress(self) -> Assembly:
        """The audio that counted when the attempt was opened. `counts` updates it when it reads the subject."""
        return self._reader.progress

    @property
    def without_progress(self) -> int:
        """Attempts in a row before the latest one that stored neither a new chunk nor `waiting`."""
        return self._reader.without_progress

    def message_id(self, what: object) -> str:
        """The message id of one message of this attempt. With it, the stream drops a resend."""
        return f"{self._stored.session}.{self._stored.token}.{self.sequence}.{what}"

    async def counts(self, *, proven: bool) -> bool:
        """Whether readers follow this attempt: no other synth has opened a later one before its complete `end`.

        With `proven` the answer is certain for the moment of the call. Without it, a later attempt can be missed while
        messages of this attempt are not acked yet. Usually this costs one message count by the stream's leader. The
        subject is read only if another synth may have written to it. Raises AudioLost, NodeUnavailable. Cancel-safe.
        """
        at_request = replace(self.trail)
        found = await tally(
            self._js, self._js.names.audio_stream, self._js.names.audio(self._stored.session, self._stored.token)
        )
        if found.first_seq > self.sequence and self._clock() < self._expires_at:
            raise AudioLost("the stream does not hold the start of this attempt, which cannot have expired")
        evidence = evidence_of(at_request, self.trail, found)
        if evidence is Evidence.ALONE or (evidence is Evidence.OPEN and not proven):
            return True
        async with self._reading:
            await self._reader.read()
        return self.progress.attempt == self.sequence

    async def show_waiting(self) -> None:
        """Store a `waiting` message for readers. Without an ack in WAITING_PATIENCE_S, the next call resends it.

        Does nothing while another call is not done.
        """
        if self._showing.locked():
            return
        async with self._showing:
            await self._store_waiting()

    async def _store_waiting(self) -> None:
        if not self._waiting_id:
            self.trail.on_sent()
            self._waiting_id = self.message_id(f"waiting.{uuid.uuid4().hex}")
        try:
            await self._js.store(
                self._js.names.put_audio(self._stored.session, self._stored.token),
                AudioWaiting(self.sequence).pack(),
                message_id=self._waiting_id,
                patience_s=WAITING_PATIENCE_S,
            )
        except (NodeUnavailable, PublishRefused):
            return
        self.trail.on_stored()
        self._waiting_id = ""

    async def end_early(self, error: EndError) -> AudioEnd:
        """Store the `end` of this attempt with status `failed` and `error`. Raises NodeUnavailable, PublishRefused."""
        self.trail.on_sent()
        end = await _store_end(self._js, self._stored, self.progress, self.sequence, error)
        self.trail.on_stored()
        return end


def first_attempt(
    js: JetStream, stored: StoredRequest, start: AudioStart, sequence: int, retention_s: float
) -> Attempt:
    """The attempt whose `start` is stored at `sequence` and is the subject's first message."""
    reader = AudioReader(js, stored)
    reader.begins_with(sequence, start)
    return Attempt(js, stored, reader, sequence, retention_s)


async def open_attempt(
    js: JetStream, stored: StoredRequest, start: AudioStart, retention_s: float
) -> Attempt | AudioEnd:
    """Store a `start`, which supersedes every other attempt, and return the attempt. If the request's audio is already
    complete or failed, or ends meanwhile, return its `end`.

    Raises AudioExpired, NodeUnavailable, PublishRefused.
    """
    reader = AudioReader(js, stored)
    progress = reader.progress
    await reader.read()
    if progress.finished is not None and progress.finished.status != "cancelled":
        return progress.finished
    copied = stored.request is not None and stored.request.redeliver_of is not None
    start = start_after(progress, start, copied=copied)
    # Without a message id, a resend after a lost ack would store a second start: one more attempt without progress.
    message_id = f"{stored.session}.start.{uuid.uuid4().hex}"
    ack = await js.store(js.names.put_audio(stored.session, stored.token), start.pack(), message_id=message_id)
    await reader.read(ack.sequence)
    if reader.last < ack.sequence:
        raise AudioExpired("the start of the attempt left the stream before it was read")
    # Another attempt may have stored its `end` just before our `start`.
    return progress.finished or Attempt(js, stored, reader, ack.sequence, retention_s)


async def open_or_expire(
    js: JetStream, stored: StoredRequest, start: AudioStart, retention_s: float
) -> Attempt | AudioEnd:
    """`open_attempt`, again if its `start` expires before it is read. Then a failed `end`, which is not stored."""
    for _ in range(MAX_FAILED_ATTEMPTS):
        try:
            return await open_attempt(js, stored, start, retention_s)
        except AudioExpired as exc:
            log.warning("the request is begun again", problem=str(exc))
    message = f"the audio left the stream (TTS_AUDIO_RETENTION_SECONDS, {retention_s:g}) while it was made"
    return AudioEnd(0, "failed", 0, 0, 0.0, EndError("audio_expired", message))


def start_after(progress: Assembly, start: AudioStart, *, copied: bool = False) -> AudioStart:
    """The `start` of a later attempt: format and sample rate stay those of the earlier one.

    So they do not change within a file when this synth has another engine, setting or OraServer than the earlier one.
    `copied`: no engine makes the audio (`redeliverOf`), and all of the earlier `start` stays.
    """
    before = progress.start
    if before is not None and copied:
        return before
    return start if before is None else replace(start, format=before.format, sample_rate_hz=before.sample_rate_hz)


async def end_latest(js: JetStream, stored: StoredRequest, error: EndError | None) -> AudioEnd:
    """Store an `end` for the latest attempt, of any synth: `failed` with `error`, or `cancelled` if it is None.

    A cancel or a final report applies to the request, not to one attempt. So if another synth opens an attempt
    meanwhile, that one is ended, too. If the stream was lost, there is no attempt, and nothing is stored. Raises
    NodeUnavailable, PublishRefused.
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
    # Without a message id a resend would be stored twice, and the count in `trail` would be wrong.
    message_id = f"{stored.session}.{stored.token}.{attempt}.early-end"
    await js.store(js.names.put_audio(stored.session, stored.token), end.pack(), message_id=message_id)
    return end


def _early_end(progress: Assembly, attempt: int, error: EndError | None) -> AudioEnd:
    status: EndStatus = "failed" if error is not None else "cancelled"
    return AudioEnd(attempt, status, progress.next_index, progress.bytes, 0.0, error)
