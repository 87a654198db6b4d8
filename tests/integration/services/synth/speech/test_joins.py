"""Nothing clicks where two parts of a file meet: chunks, sentences, attempts, cached and fresh sentences.

With real eSpeak. Where the joined samples must be those of one engine in one go, the test compares all samples: then no
sample is missing, repeated or changed, which says more than the size of a step.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from orastream.contract.audio import Format
from services.synth.audio.encoder import encoder_of
from services.synth.audio.pcm_chunker import AudioPiece, Cutting
from services.synth.audio.resample import Resampler
from services.synth.audio.tempo import Stretcher
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.phrase_cache import CachingSpeaker, LookUp
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import PoolSpeaker, Speaker
from services.synth.text.script import script_of
from tests.support.clicks import Samples, clicks, largest_step, samples_of, steps
from tests.support.engines import LOG, RATE

pytestmark = pytest.mark.integration

TEXTS = {
    "ko": "안녕하세요, 오늘 회의는 세 시에 시작합니다. 반갑습니다! 우산을 꼭 챙기세요.",
    "en-us": "Six sheep sleep on the hill. It will rain tomorrow, so take an umbrella! Thank you.",
}
CUTTING = Cutting(4_096)


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


async def pieces_of(
    speaker: Speaker, language: str, resume: Resume = FIRST_ATTEMPT, **changes: Any
) -> list[AudioPiece]:
    utterance = SpokenUtterance(**{"voice": None, "language": language, "speed": 1.0, "format": "pcm16", **changes})
    lines = script_of(TEXTS[language], language, utterance.speed)
    async with aclosing(speak_utterance(speaker, utterance, lines, CUTTING, resume=resume)) as pieces:
        return [piece async for piece in pieces]


async def spoken_alone(pool: EnginePool, language: str) -> list[bytes]:
    """The PCM of each sentence as the engine process sends it, with the pause after it."""
    sentences = []
    async for line in script_of(TEXTS[language], language, 1.0):
        async with pool.acquire() as slot:
            async with aclosing(slot.speak(line.spoken, voice=None, language=language)) as speech:
                pcm = b"".join([piece async for piece in speech])
        sentences.append(pcm + bytes(2 * int(line.pause_s * RATE)))
    return sentences


def file(pieces: list[AudioPiece]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


def joins(parts: list[bytes]) -> list[int]:
    """The index of the first sample of each part but the first."""
    return [int(at) for at in np.cumsum([len(part) // 2 for part in parts])[:-1]]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("rate_hz", [RATE, 8_000, 16_000, 24_000, 48_000])
async def test_chunks_and_sentences_join_without_a_click(pool: EnginePool, language: str, rate_hz: int) -> None:
    pieces = await pieces_of(PoolSpeaker(pool), language, sample_rate_hz=rate_hz)
    sentences = await spoken_alone(pool, language)
    assert len(pieces) > 5 and len(sentences) == 3
    resampler = Resampler(RATE, rate_hz)
    assert file(pieces) == resampler.push(b"".join(sentences)) + resampler.flush(), "a sample is missing or repeated"
    samples = samples_of(file(pieces))
    at = joins([piece.audio for piece in pieces])
    at += [join * rate_hz // RATE for join in joins(sentences)]
    assert clicks(samples, at, largest_step(samples, at), rate_hz) == []


@pytest.mark.parametrize("language", TEXTS)
async def test_sentences_join_in_silence(pool: EnginePool, language: str) -> None:
    """So that a sentence of another engine, or of the phrase cache, can stand beside it."""
    sentences = await spoken_alone(pool, language)
    samples = samples_of(b"".join(sentences))
    for join in joins(sentences):
        assert not samples[join - 5 : join].any(), "the sentence does not end in silence"
        assert abs(int(samples[join])) <= largest_step(samples, [join]) // 20, "the next one begins with a step"


@pytest.mark.parametrize("rate_hz", [RATE, 16_000])
async def test_an_exact_resume_joins_without_a_click(pool: EnginePool, rate_hz: int) -> None:
    pieces = await pieces_of(PoolSpeaker(pool), "ko", sample_rate_hz=rate_hz)
    whole = samples_of(file(pieces))
    for stored in range(1, len(pieces), 2):
        head = file(pieces[:stored])
        resume = Resume(stored, len(head), pieces[stored - 1].sentence, tail=head[-2:])
        rest = await pieces_of(PoolSpeaker(pool), "ko", resume, sample_rate_hz=rate_hz)
        samples = samples_of(head + file(rest))
        assert np.array_equal(samples, whole)
        join = len(head) // 2
        assert clicks(samples, [join], largest_step(samples, [join]), rate_hz) == []


def decoded(fmt: Format, data: bytes, rate_hz: int) -> Samples:
    """The samples of a file in a format in which each sample is coded alone."""
    if fmt == "pcm16":
        return samples_of(data)
    every = np.arange(-32768, 32768).astype("<i2")
    codes = np.frombuffer(encoder_of(fmt, rate_hz).push(every.tobytes()), dtype=np.uint8)
    values = np.array([int(every[codes == code].mean()) for code in range(256)], dtype=np.int16)
    return values[np.frombuffer(data, dtype=np.uint8)]


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize(("fmt", "rate_hz"), [("pcm16", 48_000), ("pcm16", RATE), ("mulaw", 8_000), ("alaw", 48_000)])
async def test_a_sentence_that_is_repeated_joins_without_a_click(
    pool: EnginePool, language: str, fmt: Format, rate_hz: int
) -> None:
    """As after a take-over by another engine. The stored part ends in the middle of speech, at any sample."""
    changes: dict[str, Any] = {"format": fmt, "sample_rate_hz": rate_hz}
    pieces = await pieces_of(PoolSpeaker(pool), language, **changes)
    whole = decoded(fmt, file(pieces), rate_hz)
    usual = int(np.percentile(steps(whole)[steps(whole) > 0], 95))
    loud = 0
    ends = [(abs(int(decoded(fmt, piece.audio, rate_hz)[-1])), stored) for stored, piece in enumerate(pieces, 1)]
    for _, stored in sorted(ends)[-4:]:
        head = file(pieces[:stored])
        resume = Resume(stored, len(head), pieces[stored - 1].sentence, tail=head[-2:], same_engine=False)
        rest = file(await pieces_of(PoolSpeaker(pool), language, resume, **changes))
        samples = decoded(fmt, head + rest, rate_hz)
        join = len(decoded(fmt, head, rate_hz))
        last = abs(int(samples[join - 1]))
        most = max(usual, last // 10)
        assert steps(samples[join - 1 : join + rate_hz // 200 + 1]).max() <= most
        assert clicks(samples, [join], most, rate_hz) == []
        planted = np.concatenate([samples[:join], samples[join + rate_hz // 200 :]])  # as it was without the fade
        if last > most + 500:
            loud += 1
            assert clicks(planted, [join], most, rate_hz), "the test does not find a click"
    assert loud, "no stored part ends in loud speech, so this shows nothing"


class Shelf:
    """A store in memory."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def get(self, name: str) -> bytes | None:
        """See PhraseStore."""
        return self.objects.get(name)

    async def put(self, name: str, data: bytes) -> None:
        """See PhraseStore."""
        self.objects[name] = data


class Counted:
    """The results of the look-ups."""

    def __init__(self) -> None:
        self.results: list[LookUp] = []

    def phrase_looked_up(self, result: LookUp) -> None:
        """See PhraseCounts."""
        self.results.append(result)

    def phrase_kept(self, size_bytes: int) -> None:
        """See PhraseCounts."""


async def test_cached_sentences_join_fresh_ones_without_a_click(pool: EnginePool) -> None:
    """The first and the last sentence come from the cache, the one between them from the engine."""
    shelf, counted, now = Shelf(), Counted(), iter(range(100_000))
    async with contextlib.AsyncExitStack() as stack:
        speaker = CachingSpeaker(PoolSpeaker(pool), shelf, counted, clock=lambda: float(next(now)))
        await stack.enter_async_context(speaker)
        fresh = await pieces_of(speaker, "ko")
        while len(shelf.objects) < 3:
            await asyncio.sleep(0.01)
        del shelf.objects[list(shelf.objects)[1]]
        mixed = await pieces_of(speaker, "ko")
    assert counted.results[3:] == ["hit", "miss", "hit"]
    assert file(mixed) == file(fresh) == b"".join(await spoken_alone(pool, "ko"))


@pytest.mark.parametrize("speed", [0.8, 1.3])
async def test_a_changed_tempo_has_no_click_where_its_pieces_meet(pool: EnginePool, speed: float) -> None:
    pcm = b"".join(await spoken_alone(pool, "en-us"))
    stretcher, parts = Stretcher(RATE, speed), []
    for at in range(0, len(pcm), 3_000):
        parts.append(stretcher.push(pcm[at : at + 3_000]))
    parts.append(stretcher.flush())
    at_once = Stretcher(RATE, speed)
    assert b"".join(parts) == at_once.push(pcm) + at_once.flush()
    samples, at = samples_of(b"".join(parts)), joins([part for part in parts if part])
    assert largest_step(samples, ()) <= 1.5 * largest_step(samples_of(pcm), ()), "atempo itself makes a click"
    assert clicks(samples, at, largest_step(samples, at), RATE) == []


@pytest.mark.parametrize("what", ["step", "hole"])
async def test_a_planted_click_is_found(pool: EnginePool, what: str) -> None:
    """At joins of chunks in loud speech. Samples that are missing or repeated may make no step: the tests above find
    them because they compare all samples.
    """
    pieces = [replace(piece) for piece in await pieces_of(PoolSpeaker(pool), "en-us", sample_rate_hz=48_000)]
    whole = samples_of(file(pieces))
    at = joins([piece.audio for piece in pieces])
    most = largest_step(whole, at)
    join = max(at, key=lambda at: int(abs(whole[at - 48 : at + 48].astype(int)).min()))
    before, after = whole[:join], whole[join:]
    if what == "step":
        click = np.full(40, -np.sign(int(before[-1])) * 20_000, dtype=np.int16)
        samples = np.concatenate([before, click, after[40:]])
    else:
        samples = np.concatenate([before, np.zeros(96, dtype=np.int16), after[96:]])
    assert not clicks(whole, [join], most, 48_000) and clicks(samples, [join], most, 48_000)
