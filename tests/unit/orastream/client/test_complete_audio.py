"""A reader of complete audio that is cancelled, once or several times, closes what it has opened."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator

import pytest

from orastream.client.async_client import Client
from orastream.client.complete_audio import complete_audio
from orastream.testing import FakeNode

pytestmark = pytest.mark.unit


@contextlib.contextmanager
def never_closed() -> Iterator[list[str]]:
    """The names of the asynchronous generators that nobody closes until the garbage collector finds them."""
    found: list[str] = []
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(hooks.firstiter, lambda generator: found.append(generator.__qualname__))
    try:
        yield found
    finally:
        sys.set_asyncgen_hooks(*hooks)


async def read(client: Client, begun: asyncio.Event) -> None:
    acceptance = await client.say("안녕하세요.", session_id="s", phone_id="p", fire_and_forget=True)
    async with contextlib.aclosing(complete_audio(client, acceptance, wait_s=None)) as messages:
        async for _ in messages:
            begun.set()
            await asyncio.sleep(60)


@pytest.mark.parametrize("again_after", [None, 1, 2, 3])
async def test_a_reader_that_is_cancelled_closes_its_feeds(again_after: int | None) -> None:
    """`again_after`: the passes of the event loop after which it is cancelled once more."""
    node, begun = FakeNode(), asyncio.Event()
    node.hold()
    with never_closed() as found:
        async with node.client() as client:
            before = asyncio.all_tasks()
            task = asyncio.create_task(read(client, begun))
            await asyncio.wait_for(begun.wait(), 5)
            task.cancel()
            for _ in range(again_after or 0):
                await asyncio.sleep(0)
            if again_after is not None:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                while asyncio.all_tasks() - before - {task}:
                    await asyncio.sleep(0.01)
        assert found == []
