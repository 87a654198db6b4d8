"""The gateway's copy of the voices: how often the synths are asked, and what callers get when they do not answer."""

from __future__ import annotations

import asyncio

import pytest

from orastream.client.voices import Voice
from orastream.contract.errors import NodeUnavailable
from services.gateway import known_voices
from services.gateway.known_voices import KnownVoices

pytestmark = pytest.mark.unit

VOICE = Voice("ko", "ko", 22_050, "espeak", "1")


class Synths:
    """Counts how often it is asked; answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.failure: NodeUnavailable | None = None

    async def ask(self) -> list[Voice]:
        self.asked += 1
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return [VOICE]


async def test_synths_are_asked_once_for_all_who_ask_at_the_same_time() -> None:
    synths = Synths()
    known = KnownVoices(synths.ask)
    several = [asyncio.create_task(known.get()) for _ in range(50)]
    await asyncio.sleep(0)
    synths.may_answer.set()
    assert await asyncio.gather(*several) == [[VOICE]] * 50
    assert synths.asked == 1


async def test_synths_are_asked_again_when_their_answer_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_voices, "KEPT_S", 0.0)
    synths = Synths()
    synths.may_answer.set()
    known = KnownVoices(synths.ask)
    await known.get()
    await known.get()
    assert synths.asked == 2


async def test_failure_is_kept_as_long_as_an_answer() -> None:
    """Else each caller would wait for its own time-out, one after the other."""
    synths = Synths()
    synths.may_answer.set()
    synths.failure = NodeUnavailable("no answer")
    known = KnownVoices(synths.ask)
    for _ in range(3):
        with pytest.raises(NodeUnavailable, match="no answer"):
            await known.get()
    assert synths.asked == 1


async def test_caller_who_gives_up_takes_the_answer_from_nobody() -> None:
    synths = Synths()
    known = KnownVoices(synths.ask)
    first, second = (asyncio.create_task(known.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    synths.may_answer.set()
    assert await second == [VOICE]
