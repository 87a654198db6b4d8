"""PCM into the chunks of a coded file. Like `pcm_chunker`, but what is cut is what an encoder makes of the samples."""

from __future__ import annotations

from collections import deque

from orastream.contract.audio import PcmSpec
from services.synth.audio.encoder import Encoder
from services.synth.audio.pcm_chunker import FIRST_CHUNK_MS, AudioPiece


class CodedChunker:
    """Cuts the output of one encoder into pieces. Not thread-safe.

    A piece ends when it holds FIRST_CHUNK_MS of speech, the next one at twice that and so on (`ramp`), or when it has
    `chunk_bytes`; with `by_sentence` also when a sentence does, but for what the encoder holds. `pts_ms` is the time at
    which the encoder was given what came out first in the piece: the encoder's own delay, some 10 ms (FLAC 0.1 s), is
    not in it.

    `skip_bytes` of the file are stored by earlier attempts as `first_index` chunks: the encoder gets all samples from
    the first on, and these bytes are left out. `offset_s` instead: the file goes on after so many seconds.
    """

    def __init__(
        self,
        spec: PcmSpec,
        encoder: Encoder,
        *,
        chunk_bytes: int,
        ramp: bool,
        by_sentence: bool = False,
        first_index: int = 0,
        skip_bytes: int = 0,
        offset_s: float = 0.0,
    ) -> None:
        self._spec = spec
        self._encoder = encoder
        self._chunk_bytes = chunk_bytes
        self._ramp = ramp
        self._by_sentence = by_sentence
        self._index = first_index
        self._skip = skip_bytes
        self._offset_s = offset_s
        self._target_s = FIRST_CHUNK_MS / 1000
        self._given = 0  # PCM bytes that the encoder has
        self._begin_s = offset_s  # where the piece that is being filled begins
        self._pending = bytearray()
        self._sentences: deque[tuple[float, int]] = deque()  # (time, sentence from there)

    @property
    def seconds(self) -> float:
        """Duration of the file with all samples that were pushed."""
        return self._offset_s + self._spec.seconds(self._given)

    def push(self, pcm: bytes, sentence: int) -> list[AudioPiece]:
        """The pieces that these whole samples of that sentence complete."""
        if not pcm:
            return []
        if not self._sentences or self._sentences[-1][1] != sentence:
            self._sentences.append((self.seconds, sentence))
        since_s = self.seconds
        self._given += len(pcm)
        self._take(self._encoder.push(pcm), since_s)
        return self._cut_full()

    def end_sentence(self) -> list[AudioPiece]:
        """What there is, if it is worth a chunk. Nothing without `ramp`, where sizes are fixed, or `by_sentence`."""
        worth_s = 0.0 if self._by_sentence else FIRST_CHUNK_MS / 1000
        if not (self._ramp or self._by_sentence) or not self._pending or self.seconds - self._begin_s < worth_s:
            return []
        return [self._cut(len(self._pending))]

    def flush(self) -> list[AudioPiece]:
        """The rest, when the utterance is complete."""
        self._take(self._encoder.finish(), self.seconds)
        pieces = self._cut_full()
        if self._pending:
            pieces.append(self._cut(len(self._pending)))
        return pieces

    def _take(self, data: bytes, since_s: float) -> None:
        """More of the file, made of what was pushed from `since_s` on."""
        skipped = min(self._skip, len(data))
        if self._skip:
            self._begin_s = since_s if skipped < len(data) else self.seconds
        self._skip -= skipped
        self._pending += data[skipped:]

    def _cut_full(self) -> list[AudioPiece]:
        pieces = []
        while len(self._pending) >= self._chunk_bytes:
            pieces.append(self._cut(self._chunk_bytes))
        if self._ramp and self._pending and self.seconds - self._begin_s >= self._target_s:
            pieces.append(self._cut(len(self._pending)))
        return pieces

    def _cut(self, size: int) -> AudioPiece:
        while len(self._sentences) > 1 and self._sentences[1][0] <= self._begin_s:
            self._sentences.popleft()
        sentence = self._sentences[0][1] if self._sentences else 0
        piece = AudioPiece(self._index, int(self._begin_s * 1000), sentence, bytes(self._pending[:size]))
        self._begin_s += (self.seconds - self._begin_s) * size / len(self._pending)
        del self._pending[:size]
        self._index += 1
        self._target_s *= 2
        return piece
