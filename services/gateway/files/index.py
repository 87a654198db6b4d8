"""Where the parts of a finished file are stored, found by reading its audio messages once. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, unpack
from orastream.contract.errors import Undecodable
from orastream.jetstream.api import Stored
from services.gateway.files.head import HEAD_BYTES, HEAD_VERSION, finished_head


@dataclass(frozen=True, slots=True)
class FinishedFile:
    """A file to which nothing is added any more. All gateways find the same one, as long as its audio is stored."""

    start: AudioStart
    head: bytes
    """The first bytes of the file, in place of the stored ones: with the true lengths (`head`)."""
    etag: str
    """A strong entity tag (RFC 9110, 8.8.3), with its quotes."""
    sequences: array[int]
    """The sequence in TTS_AUDIO of each chunk, in the order of the file."""
    ends: array[int]
    """The number of bytes of the file up to the end of each chunk."""

    @property
    def size(self) -> int:
        """Bytes of the file; at least 1."""
        return self.ends[-1]

    def chunks(self, first: int, last: int) -> range:
        """The numbers of the chunks with bytes from `first` to `last`, both included."""
        return range(bisect_right(self.ends, first), bisect_right(self.ends, last) + 1)

    def begin(self, number: int) -> int:
        """The number of bytes of the file before that chunk."""
        return self.ends[number - 1] if number else 0

    def finished(self, audio: bytes, begin: int) -> bytes:
        """The bytes of a chunk that begins at the byte `begin` of the file, as the finished file has them."""
        head = self.head[begin : begin + len(audio)]
        return head + audio[len(head) :]


class FileIndex:
    """Finds the file in the messages of its audio subject, added in stream order. `Assembly` says which count."""

    def __init__(self, request_seq: int) -> None:
        self._assembly = Assembly(request_seq)
        self._sequence_of: dict[int, int] = {}  # by id() of chunks that the assembly may hold
        self._sequences = array("Q")
        self._ends = array("Q")
        self._size = 0
        self._head = b""

    def add(self, stored: Stored) -> FinishedFile | None:
        """Add the next message. Returns the file when it is finished: all is there, or it was cut by a cancel.

        None also for an end that failed, and for one without audio: then there is no file.
        """
        try:
            message = unpack(stored.data)
        except Undecodable:  # such as a message kind of a later version
            return None
        if isinstance(message, AudioChunk):
            self._sequence_of[id(message)] = stored.sequence
        passed = self._assembly.receive(stored.sequence, message)
        if isinstance(message, AudioStart) and self._assembly.attempt == stored.sequence:
            self._sequence_of.clear()  # the assembly has dropped what it held; it keeps that at another request's start
        for chunk in passed:
            self._sequences.append(self._sequence_of.pop(id(chunk)))
            self._size += len(chunk.audio)
            self._ends.append(self._size)
            if len(self._head) < HEAD_BYTES:
                self._head += chunk.audio[: HEAD_BYTES - len(self._head)]
        end = self._assembly.finished
        return None if end is None else self._file(end, stored)

    def _file(self, end: AudioEnd, stored: Stored) -> FinishedFile | None:
        """`stored` is the message that made the file complete, the same for all who read the stream."""
        start = self._assembly.start
        if start is None or not self._size or end.status == "failed":
            return None
        etag = f'"{start.request_seq:x}-{stored.sequence:x}-{stored.time_ns:x}-{HEAD_VERSION}"'
        head = finished_head(self._head, self._size, start, end)
        return FinishedFile(start, head, etag, self._sequences, self._ends)
