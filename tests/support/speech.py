"""The audio that the engine makes from a text, without NATS, bridges or OraServer. Tests compare deliveries with it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import structlog

from orastream.contract.audio import with_true_sizes
from services.synth.audio.pcm_chunker import AudioPiece, Cutting
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import PoolSpeaker
from services.synth.text.script import script_of
from services.synth.text.text_rules import TextRules


def spoken(
    pool: EnginePool,
    text: str,
    utterance: SpokenUtterance,
    *,
    chunk_bytes: int = 32_768,
    rtf: float | None = None,
    resume: Resume = FIRST_ATTEMPT,
    ssml: bool = False,
    reads: bool = True,
) -> AsyncGenerator[AudioPiece, None]:
    """The audio pieces of a text, made by the pool."""
    lines = script_of(text, utterance.language, utterance.speed, ssml=ssml, rules=TextRules(reads=reads))
    return speak_utterance(PoolSpeaker(pool, rtf=rtf), utterance, lines, Cutting(chunk_bytes), resume=resume)


async def spoken_file(text: str, *, language: str = "ko-KR", voice: str | None = None) -> bytes:
    """The WAV of a text as espeak makes it, with correct sizes in the header."""
    audio = bytearray()
    async with EnginePool("espeak", 1, log=structlog.get_logger()) as pool:
        async with aclosing(spoken(pool, text, SpokenUtterance(voice, language, 1.0, "wav"))) as pieces:
            async for piece in pieces:
                audio += piece.audio
    return bytes(with_true_sizes(audio))


def sha256(data: bytes) -> str:
    """The SHA-256 in the format of OraServer's lists."""
    return hashlib.sha256(data).hexdigest()


def utterance_of(received: dict[str, Any], request_id: str) -> dict[str, Any] | None:
    """OraServer's entry for a request, or None."""
    found = [u for u in received["utterances"] if u["requestId"] == request_id]
    assert len(found) <= 1
    return found[0] if found else None


def files(received: dict[str, Any]) -> list[Path]:
    """The paths of all received files."""
    return [Path(received["dataDir"]) / u["file"] for u in received["utterances"]]
