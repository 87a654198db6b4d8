"""Finds finished files in TTS_AUDIO, and reads parts of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, unpack
from orastream.contract.errors import Undecodable
from orastream.contract.messages import Report
from orastream.jetstream.api import Stored
from services.gateway.files.index import FileIndex, FinishedFile
from services.gateway.files.kept import KeptFiles

PAGE_CHUNKS = 32


class AudioGone(Exception):
    """A chunk of the file is no longer stored."""


class FinishedFiles:
    """The finished files of all requests. For one event loop."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._stream = reads.js.names.audio_stream
        self._kept = KeptFiles()

    async def find(self, report: Report) -> FinishedFile | None:
        """The file of the request of this report; None if it is not finished, or not stored as a whole.

        Before its report is final, the file counts as finished only if its last message is the end, and not behind a
        front door. Raises NodeUnavailable. Cancel-safe.
        """
        subject = self._subject(report)
        key = subject, report.request_seq
        if (known := self._kept.get(key)) is not None:
            return known
        if not report.final and not await self._ended(subject):
            return None
        index, after = FileIndex(report.request_seq), 0
        while page := await self._reads.page(self._stream, subject, after):
            for stored in page:
                if (file := index.add(stored)) is not None:
                    self._kept.keep(key, file)
                    return file
            after = page[-1].sequence
        return None

    async def check(self, report: Report, file: FinishedFile) -> None:
        """Check that the file is still stored, by its first byte. Raises AudioGone and NodeUnavailable."""
        async for _ in self.read(report, file, 0, 0):
            pass

    async def read(self, report: Report, file: FinishedFile, first: int, last: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `first` to `last`, both included. Raises AudioGone and NodeUnavailable."""
        subject = self._subject(report)
        page: dict[int, Stored] = {}
        chunks = file.chunks(first, last)
        for number in chunks:
            sequence, begin = file.sequences[number], file.begin(number)
            if sequence not in page:
                most = min(chunks.stop - number, PAGE_CHUNKS)
                batch = await self._reads.page(self._stream, subject, sequence - 1, most=most)
                page = {stored.sequence: stored for stored in batch}
            audio = _audio_of(page.pop(sequence, None))
            if len(audio) != file.ends[number] - begin:
                self._kept.forget((subject, report.request_seq))
                raise AudioGone
            piece = file.finished(audio, begin)[max(first - begin, 0) : last + 1 - begin]
            if piece:
                yield piece

    def _subject(self, report: Report) -> str:
        return self._reads.js.names.audio(*subjects.tokens(report.session_id, report.request_id))

    async def _ended(self, subject: str) -> bool:
        if not await self._reads.direct(self._stream):
            return False
        last = await self._reads.js.last(self._stream, subject)
        try:
            return last is not None and isinstance(unpack(last.data), AudioEnd)
        except Undecodable:
            return False


def _audio_of(stored: Stored | None) -> bytes:
    if stored is None:
        return b""
    try:
        message = unpack(stored.data)
    except Undecodable:
        return b""
    return message.audio if isinstance(message, AudioChunk) else b""
