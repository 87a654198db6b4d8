"""The speech that the checks send: a tone that rises, whose parts all differ, cut into chunks. Pure."""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from orastream.contract import subjects
from orastream.contract.audio import EXTENSIONS, G711_RATE_HZ, Format, PcmSpec, wav_header, with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.sink import Speech

RATE_HZ = 22_050
CODED_RATE_HZ = 24_000
LOOP_S = 10
"""A longer tone repeats itself after so many seconds."""
AMPLITUDE = 3_000
"""About a tenth of full scale: a server under test may play what it gets."""
TEXT = "안녕하세요. 이것은 시험입니다."
ENGINE, LANGUAGE = "check-oraserver", "ko-KR"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance: its ids, its format, and its file as the chunks have it."""

    session: str
    phone: str
    request: str
    format: Format
    parts: tuple[bytes, ...]
    text: str = TEXT
    sample_rate_hz: int = RATE_HZ
    with_rate: bool = False
    """Whether its metadata have the sample rate (WEBSOCKET_METADATA=rate)."""
    sentences: tuple[str, ...] = ()
    """The text of each chunk, if the text came in pieces; then `text` is all of it."""

    @property
    def speech(self) -> Speech:
        """What a link needs to frame it."""
        token = subjects.token(self.request)
        return Speech(self.session, self.phone, self.request, token, self.text, self.with_rate)

    @property
    def start(self) -> AudioStart:
        """The begin of its audio."""
        return AudioStart(1, self.format, self.sample_rate_hz, 1, ENGINE, LANGUAGE)

    @property
    def end(self) -> AudioEnd:
        """The end of its audio."""
        return AudioEnd(1, "complete", len(self.parts), self.size(), 0.0)

    def chunks(self, first: int = 0, stop: int | None = None) -> Iterator[AudioChunk]:
        """Yield the chunks from index `first` up to but not including `stop`."""
        for index in range(first, len(self.parts) if stop is None else stop):
            text = self.sentences[index] if self.sentences else None
            yield AudioChunk(1, index, 0, 0, self.parts[index], text)

    def size(self, stop: int | None = None) -> int:
        """Bytes of audio in the chunks below `stop`."""
        return sum(map(len, self.parts[:stop]))

    def digests(self, stop: int | None = None) -> set[str]:
        """The SHA-256 that the file of the chunks below `stop` may have. A WAV's header may have got its true sizes."""
        file = b"".join(self.parts[:stop])
        made = [file, bytes(with_true_sizes(bytearray(file)))] if self.format == "wav" else [file]
        return {hashlib.sha256(each).hexdigest() for each in made}


def tone(seconds: float) -> bytes:
    """PCM16 of a rising tone, mono, RATE_HZ."""
    loops, rest = divmod(int(seconds * RATE_HZ), LOOP_S * RATE_HZ)
    return _loop() * loops + _loop()[: 2 * rest]


@cache
def _loop() -> bytes:
    step, phase = 2 * math.pi / RATE_HZ, 0.0
    samples = array("h")
    for number in range(LOOP_S * RATE_HZ):
        phase += step * (200 + 60 * number / RATE_HZ)
        samples.append(int(AMPLITUDE * math.sin(phase)))
    return samples.tobytes()


def cut(file: bytes, chunk_bytes: int) -> tuple[bytes, ...]:
    """The file in chunks of this size; the last one may be smaller."""
    return tuple(file[at : at + chunk_bytes] for at in range(0, len(file), chunk_bytes))


def utterance_in(fmt: Format, session: str, phone: str, request: str, chunk_bytes: int) -> Utterance:
    """Half a second of the tone in this format. The coded files were made by synth's encoders."""
    if fmt in ("wav", "pcm16"):
        header = wav_header(PcmSpec(RATE_HZ)) if fmt == "wav" else b""
        return Utterance(session, phone, request, fmt, cut(header + tone(0.5), chunk_bytes))
    file = resources.files(__package__).joinpath("samples", f"tone.{EXTENSIONS[fmt]}").read_bytes()
    rate_hz = G711_RATE_HZ if fmt in ("mulaw", "alaw") else CODED_RATE_HZ
    return Utterance(session, phone, request, fmt, cut(file, chunk_bytes), sample_rate_hz=rate_hz)
