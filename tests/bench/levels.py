"""What a gain costs, how long the measurement of eSpeak's voices takes, and by how much they differ."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

import structlog

from services.synth.audio.gain import amplified
from services.synth.audio.loudness import loudness_of
from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.calibration import measured_levels
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
        ["loudness and true peak (at the start only)", number(_us(lambda: loudness_of(second, RATE_HZ)), 0)],
    ]
    seconds, gains = asyncio.run(_espeak())
    spread = max(gains) - min(gains)
    voices = [[str(len(gains)), number(seconds, 1), number(spread, 1)]]
    return "\n\n".join(
        [
            table(["for 1 s of audio at 24 kHz", "us"], rows),
            table(["voices of espeak", "measured in s", "loudest - quietest, dB"], voices),
        ]
    )


async def _espeak() -> tuple[float, list[float]]:
    slots = os.cpu_count() or 1
    async with EnginePool("espeak", slots, log=structlog.get_logger()) as pool:
        began = time.monotonic()
        levels = await measured_levels(pool, QUIET_LUFS, at_once=slots)
        return time.monotonic() - began, list(levels.voices.values())


def _us(step: Callable[[], object]) -> float:
    step()
    rounds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(TIMES):
            step()
        rounds.append((time.perf_counter() - began) / TIMES * 1e6)
    return median(rounds)
