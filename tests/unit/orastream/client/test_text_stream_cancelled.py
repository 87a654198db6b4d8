"""A text whose task is cancelled is cancelled on the node, however often its task is."""

from __future__ import annotations

import asyncio

import pytest

from orastream.testing import FakeNode

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("again", [0, 1, 2, 3, 5])
async def test_a_text_is_cancelled_on_the_node_when_its_task_is_cancelled_twice(again: int) -> None:
    """`again` is the number of rounds of the event loop between the two."""
    fake = FakeNode()
    async with fake.client() as tts:
        begun = asyncio.Event()

        async def speak() -> None:
            async with tts.utterance(session_id="s", phone_id="p", request_id="r") as u:
                await u.write("안녕하세요.")
                begun.set()
                await asyncio.Event().wait()

        speaking = asyncio.create_task(speak())
        await begun.wait()
        speaking.cancel()
        for _ in range(again):
            await asyncio.sleep(0)
        speaking.cancel()
        await asyncio.wait({speaking}, timeout=5)
        assert speaking.cancelled()
        assert (await tts.wait("s", "r", 5)).status == "cancelled"
