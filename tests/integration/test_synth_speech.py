"""Whole utterances with real engines: the file, resuming, cancelling, crashing."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orastream.audio import with_true_sizes
from services.synth.engine_host import EnginePool
from services.synth.engines.base import EngineCrashed, EngineError
from services.synth.speech import Resume, Utterance, speak_utterance
from tests.support.engines import LOG, TEXT, install_strange_engine

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
    return partial(EnginePool, "strange", processes=1, log=LOG)


def utterance(**changes: Any) -> Utterance:
    return Utterance(**{"text": TEXT, "voice": None, "language": "ko-KR", "speed": 1.0, "format": "wav", **changes})


@pytest.mark.parametrize("changes", [{}, {"sample_rate_hz": 16_000}, {"format": "pcm16"}, {"sample_rate_hz": 48_000}])
async def test_a_resumed_utterance_is_the_same_file(pool: EnginePool, changes: dict[str, Any]) -> None:
    async with pool.acquire() as engine:
        pieces = [piece async for piece in speak_utterance(engine, utterance(**changes), chunk_bytes=16_384)]
        file = b"".join(piece.audio for piece in pieces)
        assert [piece.index for piece in pieces] == list(range(len(pieces)))
        assert [piece.sentence for piece in pieces] == sorted(piece.sentence for piece in pieces)
        assert pieces[-1].sentence == 2
        if changes.get("format") != "pcm16":
            assert with_true_sizes(bytearray(file))[:4] == b"RIFF"
        for stored in (1, 3, len(pieces) // 2, len(pieces) - 1, len(pieces)):
            head = b"".join(piece.audio for piece in pieces[:stored])
            resume = Resume(stored, len(head), pieces[stored - 1].sentence)
            rest = [
                piece
                async for piece in speak_utterance(
                    engine, utterance(**changes), chunk_bytes=16_384, rtf=0.02, resume=resume
                )
            ]
            assert head + b"".join(piece.audio for piece in rest) == file
            if rest:
                assert (rest[0].index, rest[0].pts_ms) == (stored, pieces[stored].pts_ms)


async def test_resuming_does_not_wait_for_what_is_stored(pool: EnginePool) -> None:
    for changes in ({}, {"sample_rate_hz": 16_000}):
        async with pool.acquire() as engine:
            pieces = [piece async for piece in speak_utterance(engine, utterance(**changes), chunk_bytes=4_096)]
            stored = len(pieces) - 1
            resume = Resume(stored, sum(len(piece.audio) for piece in pieces[:-1]), pieces[-2].sentence)
            started = time.monotonic()
            async with aclosing(
                speak_utterance(engine, utterance(**changes), chunk_bytes=4_096, rtf=1.0, resume=resume)
            ) as rest:
                assert (await anext(rest)).index == stored
            assert time.monotonic() - started < 1.0, "the utterance lasts over four seconds"


async def test_an_engine_that_is_not_deterministic_repeats_the_sentence(strange: Callable[..., EnginePool]) -> None:
    async with strange() as pool, pool.acquire() as engine:
        spoken = utterance(text="One here. Two is here. Three.", voice="calm", language="en", format="wav")
        pieces = [piece async for piece in speak_utterance(engine, spoken, chunk_bytes=32_768)]
        stored = [piece for piece in pieces if piece.sentence < 1]
        resume = Resume(len(stored), sum(len(piece.audio) for piece in stored), 1)
        rest = [piece async for piece in speak_utterance(engine, spoken, chunk_bytes=32_768, resume=resume)]
        assert rest[0].index == len(stored)
        assert rest[0].pts_ms == (resume.stored_bytes - 44) * 1000 // 16_000
        assert rest[0].sentence == 1
        assert b"RIFF" not in b"".join(piece.audio for piece in rest)
        assert sum(len(piece.audio) for piece in rest) == 2 * 9_600


async def test_an_utterance_cancelled_in_the_middle(pool: EnginePool) -> None:
    begun = asyncio.Event()

    async def speak() -> None:
        async with (
            pool.acquire() as engine,
            aclosing(speak_utterance(engine, utterance(), chunk_bytes=4_096, rtf=1.0)) as pieces,
        ):
            async for _ in pieces:
                begun.set()

    task = asyncio.create_task(speak())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with pool.acquire() as engine:
        assert [piece async for piece in speak_utterance(engine, utterance(), chunk_bytes=4_096)]
    assert pool.restarts == 0


async def test_a_crash_in_mid_utterance_keeps_what_was_yielded(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        pieces = []
        with pytest.raises(EngineCrashed):
            async for piece in speak_utterance(engine, utterance(), chunk_bytes=4_096, rtf=0.5):
                pieces.append(piece)
                os.kill(engine.pid, signal.SIGKILL)
        stored = b"".join(piece.audio for piece in pieces)
    async with pool.acquire() as engine:
        resume = Resume(len(pieces), len(stored), pieces[-1].sentence)
        rest = [piece async for piece in speak_utterance(engine, utterance(), chunk_bytes=4_096, resume=resume)]
        whole = [piece async for piece in speak_utterance(engine, utterance(), chunk_bytes=4_096)]
        assert stored + b"".join(piece.audio for piece in rest) == b"".join(piece.audio for piece in whole)


async def test_no_audio_is_an_error(pool: EnginePool) -> None:
    async with pool.acquire() as engine:
        with pytest.raises(EngineError, match="gave no audio"):
            async for _ in speak_utterance(engine, utterance(text="…!"), chunk_bytes=4_096):
                pass
