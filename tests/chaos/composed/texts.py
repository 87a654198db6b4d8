"""The texts and formats of the workload, and the files that the engine makes of them undisturbed."""

from __future__ import annotations

from contextlib import aclosing

import structlog

from orastream.contract.audio import Format
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.speak import SpokenUtterance
from tests.support.speech import spoken

TEXTS = (
    "Good morning.",
    "One two three four five.",
    "The train leaves at noon. Please hurry.",
    "It rains. Take the umbrella. The bus is late again.",
    "Red and green and blue are colours. So are black and white. I like all of them, more or less.",
    "Ten sailors sat around the fire and told a story. The first one slept. The second one listened. The third one "
    "asked what had become of the ship. Nobody knew. Then the rain began, and all of them went home.",
)
LANGUAGE = "en-US"
FORMATS: tuple[Format, ...] = ("wav", "pcm16", "mulaw", "alaw", "opus", "flac", "mp3", "aac")


class References:
    """The file of each text in each format, as it is streamed."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], bytes] = {}

    async def make(self) -> None:
        """Speak all texts in all formats with the engine, without a node."""
        async with EnginePool("espeak", 2, log=structlog.get_logger()) as pool:
            for text in TEXTS:
                for fmt in FORMATS:
                    audio = bytearray()
                    async with aclosing(spoken(pool, text, SpokenUtterance(None, LANGUAGE, 1.0, fmt))) as pieces:
                        async for piece in pieces:
                            audio += piece.audio
                    self._files[text, fmt] = bytes(audio)

    def __call__(self, text: str, fmt: str) -> bytes:
        """The file. Raises KeyError for another text."""
        return self._files[text, fmt]
