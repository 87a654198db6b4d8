"""docs/guide/voice-agents.md: `AgentSession[None](`"""

import asyncio
from dataclasses import dataclass
from typing import Any

from livekit import rtc
from livekit.agents import NOT_GIVEN, NotGivenOr
from livekit.agents.llm import LLM
from livekit.agents.stt import STT


@dataclass
class Job:
    """A job of an agent. It has no room here."""

    room: NotGivenOr[rtc.Room] = NOT_GIVEN


async def sample(ctx: Job, stt: NotGivenOr[STT[Any]], llm: NotGivenOr[LLM[Any]]) -> None:
    SAMPLE
    assert session.tts is not None
    async with session.tts.synthesize("안녕하세요.") as spoken:
        frame = await spoken.collect()
    await session.aclose()
    await session.tts.aclose()
    assert frame.duration > 0.5 and frame.sample_rate == 24_000, frame


asyncio.run(sample(Job(), NOT_GIVEN, NOT_GIVEN))
