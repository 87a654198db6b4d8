"""Reads the stored audio of one request, from its first message up to a given one or the last one."""

from __future__ import annotations

import contextlib

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioMessage, AudioStart, AudioWaiting, unpack
from orastream.contract.errors import Undecodable
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream


class AudioReader:
    """`read` continues where the last call stopped; `progress` is the audio that counts so far. For one task."""

    def __init__(self, js: JetStream, stored: StoredRequest) -> None:
        self._js = js
        self._subject = self._js.names.audio(stored.session, stored.token)
        self.progress = Assembly(stored.sequence)
        self.first = 0
        """Sequence of the first message read; 0 before that."""
        self.last = 0
        """Sequence of the last message read; 0 before that."""
        self.count = 0
        """Number of messages read."""
        self.without_progress = 0
        """Attempts in a row before the latest one that stored neither a new chunk nor `waiting`."""

    def begins_with(self, sequence: int, start: AudioStart) -> None:
        """Note the subject's first message without reading it: it is `start`, stored at `sequence`."""
        self._note(sequence)
        self.progress.receive(sequence, start)

    async def read(self, until: int | None = None) -> None:
        """Read up to the message with sequence `until`, or to the last one. Raises NodeUnavailable. Cancel-safe."""
        while until is None or self.last < until:
            page = await self._js.read(self._js.names.audio_stream, self._subject, self.last)
            if not page:
                # An empty answer can come from a replica that is behind. Only the leader knows that no message follows.
                message = await self._js.after(self._js.names.audio_stream, self._subject, self.last)
                if message is None:
                    return
                page = [message]
            for message in page:
                self._note(message.sequence)
                with contextlib.suppress(Undecodable):  # a message of a later protocol version is skipped
                    self._receive(message.sequence, unpack(message.data))
                if message.sequence == until:
                    return

    def _receive(self, sequence: int, message: AudioMessage) -> None:
        chunks, without_progress = self.progress.next_index, self.progress.without_progress
        self.progress.receive(sequence, message)
        waits = isinstance(message, AudioWaiting) and message.attempt == self.progress.attempt
        if self.progress.next_index > chunks or waits:
            self.without_progress = 0
        else:
            self.without_progress += self.progress.without_progress - without_progress

    def _note(self, sequence: int) -> None:
        self.first = self.first or sequence
        self.last = sequence
        self.count += 1
