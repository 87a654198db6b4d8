"""Milliseconds that a canary takes in an engine process: `python -m tests.bench.canary espeak`, or another engine.

The interpreter must have the engine; its settings come from the environment. The canary is the first warm-up text with
a sound, in the first voice.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

import structlog

from services.synth.engine_pool.canary import warm_up_texts
from services.synth.engine_pool.pool import EnginePool

ROUNDS = 50


async def measure(engine: str) -> tuple[str, list[float]]:
    """Returns the text that has a sound, and the milliseconds of each round."""
    async with EnginePool(engine, 1, log=structlog.get_logger()) as pool, pool.acquire() as slot:
        voice = next(iter(pool.info.voices.values()))
        for text in warm_up_texts(voice.language):
            spent: list[float] = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                speech = slot.speak(text, voice=voice.name, language=voice.language)
                async for _ in speech:
                    pass
                spent.append((time.perf_counter() - began) * 1000)
            if speech.sounded:
                return text, spent
    raise SystemExit(f"engine {engine} has no sound for {warm_up_texts(voice.language)}")


def main() -> None:
    """Print the median and the slowest of ROUNDS canaries."""
    text, spent = asyncio.run(measure(sys.argv[1] if sys.argv[1:] else "espeak"))
    print(f"{text!r}: median {statistics.median(spent):.1f} ms, slowest of {ROUNDS} {max(spent):.1f} ms")


if __name__ == "__main__":
    main()
