"""What a gain and a cut of edges cost, how long eSpeak's voices take to measure, and what differs between them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import aclosing

import numpy as np
import structlog

from services.synth.audio.edge_silence import SILENT, EdgeTrim
from services.synth.audio.gain import amplified
from services.synth.audio.loudness import loudness_of
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.calibration import measured_levels
from services.synth.speech.calibration_texts import TEXTS
from tests.bench.measure import median, number, table

RATE_HZ = 24_000
QUIET_LUFS = -40.0
"""A target below all voices: no gain is limited by peaks."""
ROUNDS, TIMES = 7, 300


def measure() -> str:
    """The tables."""
    second = os.urandom(2 * RATE_HZ)
    rows = [
        ["a gain", number(_us(lambda: amplified(second, 3.0)), 0)],
        ["a cut of the edges", number(_us(lambda: _cut(second)), 0)],
        ["loudness and true peak (at the start only)", number(_us(lambda: loudness_of(second, RATE_HZ)), 0)],
    ]
    seconds, gains, edges = asyncio.run(_espeak())
    spread = max(gains) - min(gains)
    voices = [[str(len(gains)), number(seconds, 1), number(spread, 1)]]
    return "\n\n".join(
        [
            table(["for 1 s of audio at 24 kHz", "us"], rows),
            table(["voices of espeak", "measured in s", "loudest - quietest, dB"], voices),
            table(["silence of espeak's sentences, ms", "least", "median", "most"], edges),
        ]
    )


def _cut(pcm: bytes) -> bytes:
    trim = EdgeTrim(RATE_HZ, 50)
    return trim.push(pcm) + trim.finish()


async def _espeak() -> tuple[float, list[float], list[list[str]]]:
    slots = os.cpu_count() or 1
    async with EnginePool("espeak", slots, log=structlog.get_logger()) as pool:
        began = time.monotonic()
        levels = await measured_levels(pool, QUIET_LUFS, at_once=slots)
        seconds = time.monotonic() - began
        leads, tails = [], []
        for language, text in TEXTS.items():
            async with pool.acquire() as slot:
                async with aclosing(slot.speak(text, voice=None, language=language)) as speech:
                    samples = np.frombuffer(b"".join([piece async for piece in speech]), "<i2").astype(int)
            loud = np.flatnonzero(abs(samples) > SILENT)
            ms = 1000 / pool.info.sample_rate_hz(None)
            leads.append(float(loud[0] * ms))
            tails.append(float((len(samples) - 1 - loud[-1]) * ms))
    edges = [_row("at the begin", leads), _row("at the end", tails)]
    return seconds, list(levels.voices.values()), edges


def _row(name: str, values: list[float]) -> list[str]:
    return [name, number(min(values), 0), number(median(values), 0), number(max(values), 0)]


def _us(step: Callable[[], object]) -> float:
    step()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            step()
        rounds.append((time.perf_counter() - began) / TIMES * 1e6)
    return median(rounds)
