"""Reads the stored audio of one request, from its first message on, as far as is asked for."""

from __future__ import annotations

import contextlib

from orastream.contract import stream_names, subjects
from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioStart, unpack
from orastream.contract.errors import Undecodable
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream


class AudioReader:
    """`progress` is what counts of the messages read so far; `read` goes on where it stopped. For one task."""

    def __init__(self, js: JetStream, stored: StoredRequest) -> None:
        self._js = js
        self._subject = subjects.audio(stored.session, stored.token)
        self.progress = Assembly(stored.sequence)
        self.first = 0
        """Sequence of the first message read; 0: none yet."""
        self.last = 0
        """Sequence of the last one."""
        self.count = 0
        """Messages read."""

    def begins_with(self, sequence: int, start: AudioStart) -> None:
        """The subject's first message is known without reading: this start, stored at `sequence`."""
        self._note(sequence)
        self.progress.receive(sequence, start)

    async def read(self, until: int | None = None) -> None:
        """Read up to the message stored at `until`, or all there is. Raises NodeUnavailable. Cancel-safe."""
        while until is None or self.last < until:
            page = await self._js.read(stream_names.AUDIO, self._subject, self.last)
            if not page:
                # An empty answer of a replica proves nothing: only the leader is believed.
                message = await self._js.after(stream_names.AUDIO, self._subject, self.last)
                if message is None:
                    return
                page = [message]
            for message in page:
                self._note(message.sequence)
                with contextlib.suppress(Undecodable):  # a later version's message: passed over
                    self.progress.receive(message.sequence, unpack(message.data))
                if message.sequence == until:
                    return

    def _note(self, sequence: int) -> None:
        self.first = self.first or sequence
        self.last = sequence
        self.count += 1
