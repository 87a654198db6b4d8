"""The utterances that the checks of protocol v2 send. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orastream.cli.checks.oraserver.server import PHONE, ServerUnderTest
from orastream.cli.checks.oraserver.utterances import RATE_HZ, Utterance, cut, tone, utterance_in
from orastream.contract.audio import FORMATS, Format, PcmSpec, wav_header

FILE_BYTES = 4_000
"""Less than the least credit that a server may give."""
PART_BYTES = 500
BYTES_PER_MS = 2 * RATE_HZ / 1_000


@dataclass(frozen=True)
class StreamSpeech:
    """An utterance, and the sequence of its request."""

    said: Utterance
    seq: int
    file: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", b"".join(self.said.parts))

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.file)


def speech_in(
    server: ServerUnderTest, name: str, *, size: int = FILE_BYTES, request: str = "r1", part_bytes: int = PART_BYTES
) -> StreamSpeech:
    """An utterance of `size` bytes in a format that the server takes, in the session of a check.

    Each one has a higher sequence than those before. PCM is preferred. A coded file is one that is repeated and cut.
    """
    fmt = format_of(server.stream_formats)
    file = _file(fmt, size)
    said = Utterance(server.session(name), PHONE, request, fmt, cut(file, part_bytes))
    return StreamSpeech(said, next(server.numbers))


def format_of(formats: Sequence[str]) -> Format:
    """The format that the checks use with a server that lists these."""
    preferred: tuple[Format, ...] = ("pcm16", "wav", *FORMATS)
    return next((fmt for fmt in preferred if fmt in formats), "pcm16")


def _file(fmt: Format, size: int) -> bytes:
    if fmt in ("pcm16", "wav"):
        header = wav_header(PcmSpec(RATE_HZ)) if fmt == "wav" else b""
        return (header + tone(size / 2 / RATE_HZ + 0.1))[:size]
    coded = b"".join(utterance_in(fmt, "", "", "", size).parts)
    return (coded * (size // len(coded) + 1))[:size]
