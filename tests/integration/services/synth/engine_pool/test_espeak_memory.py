"""eSpeak NG leaks memory when it changes the language in a sentence: its processes are replaced in time."""

from __future__ import annotations

import asyncio

import pytest

from orastream.service import memory
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.espeak import EspeakEngine
from tests.support.engines import LOG, eventually, spoken

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not memory.SUPPORTED, reason="this system does not report the memory of a process"),
]

MIB = 1 << 20
SENTENCES = 600
"""With a Latin word each, about 0.18 MiB: 105 MiB in one process."""
SLACK_MIB = 24
"""What the old process may take while the new one starts, and what a sentence needs."""
PAUSE_S = 0.1
"""Between two sentences while the new process starts: at full speed its growth would measure the machine."""


async def test_processes_are_replaced_before_they_are_large_and_none_counts_as_a_restart() -> None:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        after_start = memory.resident_bytes(pool.pids[0])
        largest = 0
        for _ in range(SENTENCES):
            async with pool.acquire() as slot:
                assert await spoken(slot, "오늘은 Monday 입니다.")
                held = memory.resident_bytes(slot.pid)
            largest = max(largest, held)
            if held > after_start + EspeakEngine.max_growth_mb * MIB:
                await asyncio.sleep(PAUSE_S)
        assert pool.replaced > 0, "does eSpeak NG not leak any more? Then remove `max_growth_mb`"
        assert largest < after_start + (EspeakEngine.max_growth_mb + SLACK_MIB) * MIB
        assert pool.restarts == 0
        await eventually(lambda: pool.alive == 1)
