"""Cuts PCM into the chunks of an utterance: small ones first, so that speech starts early, then larger ones. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from orastream.contract.audio import PcmSpec
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from services.synth.audio.marks import NOWHERE
from services.synth.audio.piece_marks import PieceMarks

FIRST_CHUNK_MS = 80
"""Duration of the first chunk, and the minimum of a chunk that is cut at the end of a sentence."""


@dataclass(frozen=True, slots=True)
class AudioPiece:
    """One chunk of the file: the fields of `AudioChunk`, without the attempt."""

    index: int
    """Number of the chunk in the utterance, from 0; it continues over all attempts."""
    pts_ms: int
    """Time of its first sample in the utterance, in whole milliseconds, rounded down."""
    sentence: int
    """Number of the sentence that its first sample belongs to, from 0."""
    audio: bytes
    """Bytes of the file: whole samples, in the first chunk after the file's header. Never empty."""
    offset: int
    """Bytes of the file before it, header included, over all attempts."""
    sentences: tuple[SentenceStart, ...] = ()
    """The sentences whose first sample is in it, in order; in a coded format see `CodedChunker`."""
    words: tuple[WordTime, ...] = ()
    """The words whose last sample is in it, in order; in a coded format see `CodedChunker`."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """Where a chunk ends."""

    chunk_bytes: int
    """Maximum size of a chunk, the file's header included."""
    ramp: bool = True
    """The first chunk lasts FIRST_CHUNK_MS and each next one twice as long, up to `chunk_bytes`. Else every chunk but
    the last has that size, rounded down to whole samples."""
    by_sentence: bool = False
    """A chunk also ends at the end of a sentence."""


class PcmChunker:
    """Cuts the PCM of one attempt into pieces. Not thread-safe. `header` comes before the first sample.

    To resume: `offset_bytes` of the file, header included, were stored by earlier attempts as `first_index` chunks.
    Times continue from there, the header is not repeated, and the ramp starts again.

    A piece also ends before a sentence or a word that would make its message too large (`PieceMarks`).

    Raises ValueError if the header and one sample do not fit into a chunk, or if the offset is inside the header or
    inside a sample.
    """

    def __init__(
        self,
        spec: PcmSpec,
        cutting: Cutting,
        *,
        header: bytes = b"",
        first_index: int = 0,
        offset_bytes: int = 0,
    ) -> None:
        if cutting.chunk_bytes < len(header) + spec.frame_bytes:
            raise ValueError(f"chunk_bytes is {cutting.chunk_bytes}, less than the header and one sample")
        stored_pcm = offset_bytes - len(header) if offset_bytes else 0
        if stored_pcm < 0 or stored_pcm % spec.frame_bytes:
            raise ValueError(f"offset_bytes is {offset_bytes}, which is not the end of a sample")
        self._spec = spec
        self._cutting = cutting
        self._header = b"" if offset_bytes else header
        self._index = first_index
        self._offset = offset_bytes
        self._emitted_pcm = stored_pcm
        self._sentence_cut = max(spec.bytes_for_ms(FIRST_CHUNK_MS), spec.frame_bytes)
        self._target = self._sentence_cut  # PCM bytes of the next piece while ramping
        self._pending = bytearray()
        self._sentences: deque[tuple[int, int]] = deque()  # (PCM offset of its begin, sentence)
        self._marks = PieceMarks()  # by PCM offset

    def begin(self, sample: int, start: SentenceStart) -> None:
        """A sentence begins at that sample of the file, which was not pushed yet."""
        self._marks.sentence(sample * self._spec.frame_bytes, start)

    def word(self, sample: int, word: WordTime) -> None:
        """A word ends with that sample of the file, which was not pushed yet."""
        self._marks.word(sample * self._spec.frame_bytes, word)

    @property
    def seconds(self) -> float:
        """Duration of the file with all pushed samples."""
        return self._spec.seconds(self._emitted_pcm + len(self._pending))

    @property
    def skipping(self) -> bool:
        """Whether samples are pushed again that are in stored pieces: never, its caller leaves them out."""
        return False

    @property
    def held_s(self) -> float:
        """Duration of the pushed samples that are in no piece yet."""
        return self._spec.seconds(len(self._pending))

    def push(self, pcm: bytes, sentence: int) -> list[AudioPiece]:
        """Returns the pieces that these samples of that sentence complete. A sample may be split between calls."""
        if not pcm:
            return []
        if not self._sentences or self._sentences[-1][1] != sentence:
            self._sentences.append((self._emitted_pcm + len(self._pending), sentence))
        self._pending += pcm
        pieces = []
        while len(self._pending) >= (size := self._next_size()):
            pieces.append(self._cut(size))
        return pieces

    def end_sentence(self) -> list[AudioPiece]:
        """Returns the pending audio if it is FIRST_CHUNK_MS or more; else it would wait for the next sentence.

        With `by_sentence`, any pending audio. Nothing if neither `ramp` nor `by_sentence` is set: sizes are fixed then.
        """
        worth = self._spec.frame_bytes if self._cutting.by_sentence else self._sentence_cut
        if not (self._cutting.ramp or self._cutting.by_sentence) or len(self._pending) < worth:
            return []
        return [self._cut(self._whole_samples(len(self._pending)))]

    def flush(self) -> list[AudioPiece]:
        """Returns the rest, at the end of the utterance. Raises ValueError if it ends inside a sample."""
        if len(self._pending) % self._spec.frame_bytes:
            raise ValueError("the audio ends inside a sample")
        return [self._cut(len(self._pending), last=True)] if self._pending else []

    def _next_size(self) -> int:
        """Size of the next piece in PCM bytes."""
        room = self._whole_samples(self._cutting.chunk_bytes - len(self._header))
        size = min(self._target, room) if self._cutting.ramp else room
        if (place := self._marks.too_many_at) < self._emitted_pcm + size:
            return max(int(place) - self._emitted_pcm, self._spec.frame_bytes)
        return size

    def _whole_samples(self, size: int) -> int:
        return size - size % self._spec.frame_bytes

    def _cut(self, size: int, *, last: bool = False) -> AudioPiece:
        frames = self._emitted_pcm // self._spec.frame_bytes
        while len(self._sentences) > 1 and self._sentences[1][0] <= self._emitted_pcm:
            self._sentences.popleft()
        sentences, words = self._marks.take(NOWHERE if last else self._emitted_pcm + size)
        piece = AudioPiece(
            index=self._index,
            pts_ms=frames * 1000 // self._spec.sample_rate_hz,
            sentence=self._sentences[0][1],
            audio=self._header + self._pending[:size],
            offset=self._offset,
            sentences=sentences,
            words=words,
        )
        del self._pending[:size]
        self._offset += len(piece.audio)
        self._header = b""
        self._index += 1
        self._emitted_pcm += size
        self._target = min(self._target * 2, self._cutting.chunk_bytes)
        return piece
