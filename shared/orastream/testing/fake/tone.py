"""The audio of a text at a `FakeNode`: a quiet tone whose length depends on the text alone. Pure.

The same text has the same bytes, on every machine. Times are whole milliseconds.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from orastream.contract.audio import PcmSpec, wav_header
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import WordTime

MS_PER_CHARACTER = 60
RATE_HZ = 24_000
CHUNK_MS = 400
TONE_HZ = 440
AMPLITUDE = 3_000
FORMATS = ("wav", "pcm16", "mulaw", "alaw")
"""What it can make: formats without a codec. In mulaw and alaw it is silence."""
SILENCE = {"mulaw": 0xFF, "alaw": 0xD5}
"""The byte of silence in ITU-T G.711."""

_SENTENCE = re.compile(r"\S.*?(?:[.!?。？！…]+(?=\s|$)|\n|$)", re.DOTALL)
_WORD = re.compile(r"\S+")


def sentences_of(text: str, offset: int, *, ended: bool) -> Iterator[tuple[int, str]]:
    """Yield `(place, text)` of each whole sentence of `text[offset:]`; if it has not ended, not of the last one."""
    found = [(match.start(), match[0].rstrip()) for match in _SENTENCE.finditer(text, offset)]
    yield from found if ended else found[:-1]


@dataclass(slots=True)
class ToneVoice:
    """Speaks the sentences of one utterance one after the other. The chunks follow each other without a gap."""

    attempt: int
    fmt: str
    rate_hz: int
    with_text: bool
    """Whether each chunk has the text of its sentence, as for text streams."""
    speed: float = 1.0
    chunks: int = 0
    size: int = 0
    """Bytes of all chunks."""
    _frames: int = 0
    _sentences: int = field(default=0)

    @property
    def ms(self) -> int:
        """The length of all audio so far."""
        return self._frames * 1000 // self.rate_hz

    @property
    def seconds(self) -> float:
        """The same in seconds."""
        return self._frames / self.rate_hz

    def speak(self, first: int, text: str) -> Iterator[AudioChunk]:
        """Yield the chunks of the next sentence, which stands at `first` in the text of the request."""
        number, begin_ms = self._sentences, self.ms
        self._sentences += 1
        length_ms = max(1, round(len(text) * MS_PER_CHARACTER / self.speed))
        until = self._frames + self.rate_hz * length_ms // 1000
        words = list(_words(number, first, text, begin_ms, length_ms))
        start: tuple[SentenceStart, ...] = (SentenceStart(number, begin_ms, text, first, first + len(text)),)
        while self._frames < until:
            begin, pts_ms = self._frames, self.ms
            self._frames = min(begin + self.rate_hz * CHUNK_MS // 1000, until)
            last = self._frames == until
            ended = [word for word in words if last or word.end_ms <= self.ms]
            del words[: len(ended)]
            audio = self._audio(begin)
            yield AudioChunk(
                self.attempt,
                self.chunks,
                pts_ms,
                number,
                audio,
                text if self.with_text else None,
                self.size,
                start,
                tuple(ended),
            )
            start = ()
            self.chunks += 1
            self.size += len(audio)

    def _audio(self, begin: int) -> bytes:
        if self.fmt in SILENCE:
            return bytes([SILENCE[self.fmt]]) * (self._frames - begin)
        header = wav_header(PcmSpec(self.rate_hz)) if self.fmt == "wav" and not self.chunks else b""
        return header + _tone(self.rate_hz, begin % self.rate_hz, self._frames - begin)


def _words(number: int, first: int, text: str, begin_ms: int, length_ms: int) -> Iterator[WordTime]:
    for match in _WORD.finditer(text):
        times = (begin_ms + length_ms * at // len(text) for at in match.span())
        yield WordTime(number, first + match.start(), first + match.end(), *times)


@lru_cache(maxsize=64)
def _tone(rate_hz: int, begin: int, frames: int) -> bytes:
    wave = (round(AMPLITUDE * math.sin(math.tau * TONE_HZ * (begin + n) / rate_hz)) for n in range(frames))
    samples = array("h", wave)
    if array("H", [1]).tobytes() != b"\x01\x00":
        samples.byteswap()
    return samples.tobytes()
