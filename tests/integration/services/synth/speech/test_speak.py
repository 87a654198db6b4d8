"""Whole utterances with real engines: the file, resuming, cancelling, crashing."""

import asyncio
import io
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from orastream.contract.audio import FORMATS, Format, with_true_sizes
from services.synth.audio.pcm_chunker import AudioPiece
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import CannotResume, EngineCrashed
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance
from tests.support.engines import LOG, TEXT, install_strange_engine
from tests.support.speech import spoken

pytestmark = pytest.mark.integration


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnginePool]:
    """Makes a pool of the strange engine."""
    install_strange_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return partial(EnginePool, "strange", slots=1, log=LOG)


def speak(
    pool: EnginePool,
    *,
    text: str = TEXT,
    chunk_bytes: int = 4_096,
    rtf: float | None = None,
    resume: Resume = FIRST_ATTEMPT,
    **changes: Any,
) -> AsyncGenerator[AudioPiece, None]:
    utterance = SpokenUtterance(**{"voice": None, "language": "ko-KR", "speed": 1.0, "format": "wav", **changes})
    return spoken(pool, text, utterance, chunk_bytes=chunk_bytes, rtf=rtf, resume=resume)


@pytest.mark.parametrize(
    "changes",
    [{}, {"sample_rate_hz": 16_000}, {"format": "pcm16"}, {"sample_rate_hz": 48_000}]
    + [{"format": fmt} for fmt in FORMATS if fmt not in ("wav", "pcm16")]
    + [
        {"format": "opus", "sample_rate_hz": 16_000},
        {"format": "mulaw", "sample_rate_hz": 22_050},
        {"format": "alaw", "sample_rate_hz": 8_000},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())) or "wav",
)
async def test_resumed_utterance_has_the_same_bytes(pool: EnginePool, changes: dict[str, Any]) -> None:
    pieces = [piece async for piece in speak(pool, chunk_bytes=16_384, **changes)]
    file = b"".join(piece.audio for piece in pieces)
    assert [piece.index for piece in pieces] == list(range(len(pieces)))
    assert [piece.sentence for piece in pieces] == sorted(piece.sentence for piece in pieces)
    assert pieces[-1].sentence == 2
    if changes.get("format", "wav") == "wav":
        assert with_true_sizes(bytearray(file))[:4] == b"RIFF"
    for stored in (1, 3, len(pieces) // 2, len(pieces) - 1, len(pieces)):
        head = b"".join(piece.audio for piece in pieces[:stored])
        resume = Resume(stored, len(head), pieces[stored - 1].sentence)
        rest = [piece async for piece in speak(pool, chunk_bytes=16_384, rtf=0.02, resume=resume, **changes)]
        assert head + b"".join(piece.audio for piece in rest) == file
        if rest:
            assert rest[0].index == stored
            # The time of an encoder's output is known only to the size of its frame.
            within_ms = 0 if changes.get("format", "wav") in ("wav", "pcm16") else 300
            assert abs(rest[0].pts_ms - pieces[stored].pts_ms) <= within_ms


@pytest.mark.parametrize("fmt", ["opus", "flac", "mp3"])
async def test_a_coded_file_says_which_engine_made_it(pool: EnginePool, fmt: Format) -> None:
    file = b"".join([piece.audio async for piece in speak(pool, text="안녕하세요.", format=fmt)])
    with av.open(io.BytesIO(file)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    tags = {name.lower(): value for name, value in found.items()}
    assert tags["encoded_by"] == f"espeak {pool.info.version}" and tags["comment"] == "Synthetic speech"
    assert tags["digital_source_type"].endswith("/algorithmicMedia"), "eSpeak has learned from no recordings"


async def test_resumed_utterance_skips_stored_audio_without_delay(pool: EnginePool) -> None:
    changes: dict[str, Any]
    for changes in ({}, {"sample_rate_hz": 16_000}):
        pieces = [piece async for piece in speak(pool, **changes)]
        stored = len(pieces) - 1
        resume = Resume(stored, sum(len(piece.audio) for piece in pieces[:-1]), pieces[-2].sentence)
        started = time.monotonic()
        async with aclosing(speak(pool, rtf=3.0, resume=resume, **changes)) as rest:
            assert (await anext(rest)).index == stored
        assert time.monotonic() - started < 4.0, "the stored audio was spoken again, which takes over twelve seconds"


async def test_resume_repeats_the_sentence_when_the_engine_is_not_deterministic(
    strange: Callable[..., EnginePool],
) -> None:
    async with strange() as pool:
        text = "One here. Two is here. Three."
        pieces = [piece async for piece in speak(pool, text=text, voice="calm", language="en", chunk_bytes=32_768)]
        stored = [piece for piece in pieces if piece.sentence < 1]
        resume = Resume(len(stored), sum(len(piece.audio) for piece in stored), 1)
        again = speak(pool, text=text, voice="calm", language="en", chunk_bytes=32_768, resume=resume)
        rest = [piece async for piece in again]
        assert rest[0].index == len(stored)
        assert rest[0].pts_ms == (resume.stored_bytes - 44) * 1000 // 16_000
        assert rest[0].sentence == 1
        assert b"RIFF" not in b"".join(piece.audio for piece in rest)
        assert sum(len(piece.audio) for piece in rest) == 2 * 9_600


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt not in ("wav", "pcm16")])
async def test_only_g711_is_resumed_among_coded_formats_when_the_engine_is_not_deterministic(
    strange: Callable[..., EnginePool], fmt: Format
) -> None:
    """A stateless format (mulaw, alaw) continues after the stored part; another one could not be decoded from there."""
    async with strange() as pool:
        fields: dict[str, Any] = {"text": "One here. Two is here.", "voice": "calm", "language": "en", "format": fmt}
        pieces = [piece async for piece in speak(pool, **fields)]
        resume = Resume(1, len(pieces[0].audio), 0)
        if fmt in ("mulaw", "alaw"):
            rest = [piece async for piece in speak(pool, resume=resume, **fields)]
            assert (rest[0].index, rest[0].pts_ms) == (1, len(pieces[0].audio) // 8)
            assert sum(len(piece.audio) for piece in rest) == sum(len(piece.audio) for piece in pieces)
        else:
            with pytest.raises(CannotResume, match=fmt):
                async for _ in speak(pool, resume=resume, **fields):
                    pass


async def test_slot_is_free_after_an_utterance_is_cancelled(pool: EnginePool) -> None:
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(speak(pool, rtf=1.0)) as pieces:
            async for _ in pieces:
                begun.set()

    task = asyncio.create_task(listen())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [piece async for piece in speak(pool)]
    assert pool.restarts == 0


async def test_utterance_is_continued_after_a_crash_of_the_engine(pool: EnginePool) -> None:
    pieces = []
    with pytest.raises(EngineCrashed):
        async for piece in speak(pool, rtf=0.5):
            pieces.append(piece)
            for pid in pool.pids:
                os.kill(pid, signal.SIGKILL)
    stored = b"".join(piece.audio for piece in pieces)
    resume = Resume(len(pieces), len(stored), pieces[-1].sentence)
    rest = [piece async for piece in speak(pool, resume=resume)]
    whole = [piece async for piece in speak(pool)]
    assert stored + b"".join(piece.audio for piece in rest) == b"".join(piece.audio for piece in whole)


async def test_text_with_nothing_to_say_gives_no_audio(pool: EnginePool) -> None:
    for fmt in FORMATS:
        assert [piece async for piece in speak(pool, text="…!", format=fmt)] == []
