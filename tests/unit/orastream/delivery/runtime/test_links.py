"""One link per phone, also if callers are cancelled while it opens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, cast

import pytest

from orastream.contract.audio_messages import AudioStart
from orastream.contract.bridge_record import BridgeRecord
from orastream.delivery.rules.utterance_effects import DeliveryRules
from orastream.delivery.runtime.links import Links
from orastream.delivery.sink import Link, LinkLost, Speech, SpeechEnd

pytestmark = pytest.mark.unit


class SlowLink:
    """A link that counts its `close` calls, and keeps the end frames and the pings that are written over it."""

    def __init__(self) -> None:
        self.lost: LinkLost | None = None
        self.closed = 0
        self.written: list[SpeechEnd | str] = []

    def ended(self, end: SpeechEnd) -> None:
        self.written.append(end)

    async def confirm(self, may_write: Callable[[], bool]) -> None:
        self.written.append("ping")

    async def close(self) -> None:
        self.closed += 1


class SlowSink:
    """Opens links once `ready` is set."""

    def __init__(self) -> None:
        self.transport: Literal["websocket"] = "websocket"
        self.rules = DeliveryRules()
        self.record = BridgeRecord()
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


# ---- end frames

END = SpeechEnd(Speech("s", "p", "r", "r", "x"), AudioStart(1, "wav", 8000, 1, "espeak", "ko-KR"), "cancelled")


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_end_frame_goes_over_the_open_link() -> None:
    sink = SlowSink()
    sink.ready.set()
    links = links_of(sink)
    await links.get("s", "p", 0.0)
    links.announce(END, 1.0, lambda: True)
    assert sink.links[0].written == [END] and len(sink.links) == 1


async def test_an_end_frame_opens_a_link_and_is_its_first_frame() -> None:
    """Also before what an utterance writes that waits for the same link. The link is kept, and closed when idle."""
    sink = SlowSink()
    woken = []
    links = Links(cast(Any, sink), lambda: woken.append(True))
    links.announce(END, 0.0, lambda: True)
    links.announce(END, 0.0, lambda: True)
    waiting = asyncio.create_task(links.get("s", "p", 0.0))
    await settled()
    sink.ready.set()
    link = cast(SlowLink, await waiting)
    assert link.written == [END, END] and sink.links == [link] and woken
    await links.close_idle(5.0, None)
    assert link.closed == 1 and not links


async def test_an_end_frame_gets_one_attempt() -> None:
    sink = SlowSink()
    sink.ready.set()
    sink.fails = True
    links = links_of(sink)
    links.announce(END, 0.0, lambda: True)
    await settled()
    sink.fails = False
    assert cast(SlowLink, await links.get("s", "p", 1.0)).written == []


async def test_without_the_lease_no_end_frame_is_written() -> None:
    sink = SlowSink()
    links = links_of(sink)
    lease = [True]
    links.announce(END, 0.0, lambda: lease[0])
    lease[0] = False
    sink.ready.set()
    assert cast(SlowLink, await links.get("s", "p", 1.0)).written == []


async def test_with_a_link_for_each_utterance_an_end_frame_has_its_own() -> None:
    """The end of the utterance, which closes the links, does not end it."""
    sink = SlowSink()
    sink.link_per_utterance = True
    links = links_of(sink)
    links.announce(END, 0.0, lambda: True)
    await links.close_used()
    sink.ready.set()
    await settled()
    assert [link.written for link in sink.links] == [[END, "ping"]] and sink.links[0].closed == 1 and not links


async def test_with_a_link_for_each_utterance_a_phone_never_has_two() -> None:
    """OraServer drops what the older one brings: else an end frame that comes late would cut the next utterance off."""
    sink = SlowSink()
    sink.link_per_utterance = True
    links = links_of(sink)
    links.announce(END, 0.0, lambda: True)
    links.announce(END, 0.0, lambda: True)
    following = asyncio.create_task(links.get("s", "p", 0.0))
    await settled()
    assert sink.waiting == 1
    sink.ready.set()
    link = cast(SlowLink, await following)
    await settled()
    assert link.written[:2] == [END, END] and not link.closed, "the next utterance uses it"
    assert await links.get("s", "p", 1.0) is cast(Link, link)
    await links.close_used()
    assert link.closed == 1 and not links


async def test_the_end_closes_a_link_that_is_opened_for_an_end_frame() -> None:
    for opens in (False, True):
        sink = SlowSink()
        sink.link_per_utterance = True
        links = links_of(sink)
        links.announce(END, 0.0, lambda: True)
        while not sink.waiting:
            await asyncio.sleep(0)
        if opens:
            sink.ready.set()
            while not sink.links:
                await asyncio.sleep(0)
        await links.close()
        assert not links and sink.ended == (not opens) and [link.closed for link in sink.links] == [1] * opens
