"""Turns PCM into the chunks of a coded file. As `pcm_chunker`, but it cuts the output of an encoder."""

from __future__ import annotations

from collections import deque

from orastream.contract.audio import PcmSpec
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime
from services.synth.audio.encoder import Encoder
from services.synth.audio.marks import NOWHERE
from services.synth.audio.pcm_chunker import FIRST_CHUNK_MS, AudioPiece, Cutting
from services.synth.audio.piece_marks import PieceMarks


class CodedChunker:
    """Cuts the output of one encoder into pieces. Not thread-safe.

    With `cutting.by_sentence`, a piece ends with a sentence, except for audio that the encoder still holds. `pts_ms` is
    the time of the PCM whose encoding produced the first byte of the piece. It does not include the encoder's own delay
    of about 10 ms (FLAC: 0.1 s).

    A piece has the starts of the sentences whose first sample is in its time, and the words whose last sample is, from
    its `pts_ms` to that of the next piece; the bytes of that sample may come a little later. A piece also ends before a
    sentence or a word that would make its message too large (`PieceMarks`).

    To resume: `offset_bytes` of the file were stored by earlier attempts as `first_index` chunks. The encoder gets all
    samples again, and those bytes are left out. With `offset_s`, it gets only those after that many seconds.
    """

    def __init__(
        self,
        spec: PcmSpec,
        encoder: Encoder,
        cutting: Cutting,
        *,
        first_index: int = 0,
        offset_bytes: int = 0,
        offset_s: float | None = None,
    ) -> None:
        self._spec = spec
        self._encoder = encoder
        self._cutting = cutting
        self._index = first_index
        self._offset = offset_bytes
        self._skip = offset_bytes if offset_s is None else 0
        self._offset_s = offset_s = offset_s or 0.0
        self._target_s = FIRST_CHUNK_MS / 1000
        self._given = 0  # PCM bytes that the encoder got
        self._begin_s = offset_s  # begin of the piece that is being filled
        self._pending = bytearray()
        self._sentences: deque[tuple[float, int]] = deque()  # (begin in seconds, sentence)
        self._marks = PieceMarks()  # by seconds

    def begin(self, sample: int, start: SentenceStart) -> None:
        """A sentence begins at that sample of the file, which was not pushed yet."""
        self._marks.sentence(sample / self._spec.sample_rate_hz, start)

    def word(self, sample: int, word: WordTime) -> None:
        """A word ends with that sample of the file, which was not pushed yet."""
        self._marks.word(sample / self._spec.sample_rate_hz, word)

    @property
    def seconds(self) -> float:
        """Duration of the file with all pushed samples."""
        return self._offset_s + self._spec.seconds(self._given)

    @property
    def skipping(self) -> bool:
        """Whether samples are pushed again that are in stored pieces."""
        return self._skip > 0

    @property
    def held_s(self) -> float:
        """Duration of the pushed samples that are in no piece yet."""
        return max(self.seconds - self._begin_s, 0.0)

    def push(self, pcm: bytes, sentence: int) -> list[AudioPiece]:
        """Returns the pieces that these samples of that sentence complete. `pcm` is whole samples."""
        if not pcm:
            return []
        if not self._sentences or self._sentences[-1][1] != sentence:
            self._sentences.append((self.seconds, sentence))
        since_s = self.seconds
        self._given += len(pcm)
        self._take(self._encoder.push(pcm), since_s)
        return self._cut_full()

    def end_sentence(self) -> list[AudioPiece]:
        """Returns the pending audio if it is FIRST_CHUNK_MS or more; with `by_sentence`, any pending audio.

        Nothing if neither `ramp` nor `by_sentence` is set: sizes are fixed then.
        """
        worth_s = 0.0 if self._cutting.by_sentence else FIRST_CHUNK_MS / 1000
        if (
            not (self._cutting.ramp or self._cutting.by_sentence)
            or not self._pending
            or self.seconds - self._begin_s < worth_s
        ):
            return []
        return self._cut_all()

    def flush(self) -> list[AudioPiece]:
        """Returns the rest of the file, at the end of the utterance, with all sentences and words that are left."""
        self._take(self._encoder.finish(), self.seconds)
        pieces = []
        while len(self._pending) > self._cutting.chunk_bytes:
            pieces.append(self._cut(self._cutting.chunk_bytes))
        return pieces + self._cut_all(last=True)

    def _take(self, data: bytes, since_s: float) -> None:
        """Add output of the encoder, made of the PCM that was pushed from `since_s` on."""
        skipped = min(self._skip, len(data))
        if self._skip:
            self._begin_s = since_s if skipped < len(data) else self.seconds
        self._skip -= skipped
        self._pending += data[skipped:]

    def _cut_full(self) -> list[AudioPiece]:
        pieces = []
        while len(self._pending) >= self._cutting.chunk_bytes:
            pieces.append(self._cut(self._cutting.chunk_bytes))
        if self._cutting.ramp and self._pending and self.seconds - self._begin_s >= self._target_s:
            pieces += self._cut_all()
        return pieces

    def _cut_all(self, *, last: bool = False) -> list[AudioPiece]:
        """Returns all that is pending: one piece, or several if it has too many sentences or words for one."""
        pieces = []
        while self._pending:
            pieces.append(self._cut(len(self._pending), last=last))
        return pieces

    def _size_for_marks(self, size: int) -> int:
        """Returns `size`, or less if the next bytes would have too many sentences or words. At least 1."""
        left_s = self.seconds - self._begin_s
        before_s = self._marks.too_many_at - self._begin_s
        if before_s >= left_s * size / len(self._pending):
            return size
        return min(max(int(len(self._pending) * before_s / left_s), 1), size) if left_s > 0 else 1

    def _cut(self, size: int, *, last: bool = False) -> AudioPiece:
        """Returns a piece of at most `size` bytes. `last`: of the last bytes of the file."""
        size = self._size_for_marks(size)
        while len(self._sentences) > 1 and self._sentences[1][0] <= self._begin_s:
            self._sentences.popleft()
        sentence = self._sentences[0][1] if self._sentences else 0
        pts_ms, audio = int(self._begin_s * 1000), bytes(self._pending[:size])
        self._begin_s += (self.seconds - self._begin_s) * size / len(self._pending)
        starts, words = self._marks.take(NOWHERE if last and size == len(self._pending) else self._begin_s)
        piece = AudioPiece(self._index, pts_ms, sentence, audio, self._offset, starts, words)
        del self._pending[:size]
        self._offset += size
        self._index += 1
        self._target_s *= 2
        return piece
