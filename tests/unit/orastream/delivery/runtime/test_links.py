"""One link per phone, also if callers are cancelled while it opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest

from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.runtime.links import Links
from orastream.delivery.sink import Link, LinkLost

pytestmark = pytest.mark.unit


class SlowLink:
    """A link that counts its `close` calls."""

    def __init__(self) -> None:
        self.lost: LinkLost | None = None
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


class SlowSink:
    """Opens links once `ready` is set."""

    def __init__(self) -> None:
        self.transport: Literal["websocket"] = "websocket"
        self.rules = DeliveryRules()
        self.idle_s = 5.0
        self.link_per_utterance = False
        self.ready = asyncio.Event()
        self.fails = False
        self.links: list[SlowLink] = []
        self.waiting = 0
        self.ended = 0

    async def connect(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> Link:
        self.waiting += 1
        try:
            await self.ready.wait()
        except asyncio.CancelledError:
            self.ended += 1
            raise
        if self.fails:
            raise LinkLost("nobody there")
        self.links.append(SlowLink())
        return cast(Link, self.links[-1])


def links_of(sink: SlowSink) -> Links:
    return Links(cast(Any, sink), lambda: None)


async def test_who_leaves_during_the_handshake_leaves_it_to_the_next() -> None:
    sink = SlowSink()
    links = links_of(sink)
    first = asyncio.create_task(links.get("s", "p", 0.0))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.create_task(links.get("s", "p", 1.0))
    other = asyncio.create_task(links.get("s", "q", 1.0))
    await asyncio.sleep(0)
    assert links, "one that is being opened counts"
    sink.ready.set()
    assert await second is not await other
    assert await links.get("s", "p", 2.0) is await second
    assert len(sink.links) == 2
    await links.close_idle(8.0, None)
    assert [link.closed for link in sink.links] == [1, 1] and not links


async def test_a_failure_is_everybodys_and_the_next_tries_again() -> None:
    sink = SlowSink()
    links = links_of(sink)
    sink.fails = True
    asking = [asyncio.create_task(links.get("s", "p", 0.0)) for _ in range(2)]
    await asyncio.sleep(0)
    sink.ready.set()
    assert [type(answer) for answer in await asyncio.gather(*asking, return_exceptions=True)] == [LinkLost] * 2
    sink.fails = False
    await links.get("s", "p", 1.0)
    assert len(sink.links) == 1


async def test_the_end_ends_what_is_being_opened() -> None:
    sink = SlowSink()
    links = links_of(sink)
    asking = asyncio.create_task(links.get("s", "p", 0.0))
    while not sink.waiting:
        await asyncio.sleep(0)
    await links.close()
    assert sink.ended == 1 and not links
    with pytest.raises(asyncio.CancelledError):
        await asking
