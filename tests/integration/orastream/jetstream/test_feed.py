"""The feed against a real nats-server: it yields each stored message once, also if live copies are lost."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer

pytestmark = pytest.mark.integration

PUT, SUBJECT = NAMES.put_audio("s", "r"), NAMES.audio("s", "r")


class Reader:
    """Pops the feed's messages whenever it is woken."""

    def __init__(self, js: JetStream, subject: str = SUBJECT, stream: str = NAMES.audio_stream, **options: int) -> None:
        self.woken = asyncio.Event()
        self.feed = Feed(js, stream, subject, wake=self.woken.set, **options)
        self.got: list[Stored] = []

    async def until(self, count: int, within_s: float = 15.0) -> list[Stored]:
        """Read until there are `count` messages, and return all of them."""
        async with asyncio.timeout(within_s):
            while len(self.got) < count:
                self.woken.clear()
                while (message := self.feed.pop()) is not None:
                    self.got.append(message)
                if len(self.got) < count:
                    await self.woken.wait()
        return self.got


async def test_feed_yields_stored_and_live_messages_once_in_order(js: JetStream) -> None:
    """No message comes twice where live messages follow stored ones."""
    sequences = [(await js.store(PUT, b"%d" % n)).sequence for n in range(20)]
    reader = Reader(js)
    async with reader.feed:
        sequences += [(await js.store(PUT, b"%d" % n)).sequence for n in range(20, 40)]
        got = await reader.until(40)
    assert [m.sequence for m in got] == sequences
    assert [m.data for m in got] == [b"%d" % n for n in range(40)]
    assert all(m.time_s > 1_700_000_000 for m in got)


async def test_feed_loses_no_message_when_the_reader_stops_reading(js: JetStream) -> None:
    """When its buffer is full the feed drops the live copies and reads the stored messages later."""
    reader = Reader(js, max_buffered_bytes=64 << 10)
    async with reader.feed:
        await js.store(PUT, bytes(2))
        await reader.until(1)
        for number in range(1, 400):
            await js.store(PUT, number.to_bytes(2, "big") * 4096)
        while (message := reader.feed.pop()) is not None:
            reader.got.append(message)
        assert len(reader.got) < 400, "the feed buffered all messages, so this test proves nothing"
        got = await reader.until(400)
    assert [int.from_bytes(m.data[:2], "big") for m in got] == list(range(400))


async def test_feed_loses_no_message_when_its_limit_changes(js: JetStream) -> None:
    """A lower limit drops what is buffered beyond it, also in the middle of a read; the feed reads it again."""
    reader, random = Reader(js), Random(1)
    async with reader.feed:
        for number in range(300):
            await js.store(PUT, number.to_bytes(2, "big") * 4096)
            if number % 10 == 0:
                reader.feed.limit(random.choice((20 << 10, 64 << 10, 2 << 20)))
            if number % 50 == 0 and (message := reader.feed.pop()) is not None:
                reader.got.append(message)
        reader.feed.limit(20 << 10)
        read = len(reader.got)
        while (message := reader.feed.pop()) is not None:
            reader.got.append(message)
        assert sum(message.size for message in reader.got[read:]) <= 30 << 10
        got = await reader.until(200)
        reader.feed.limit(2 << 20)
        got = await reader.until(300)
    assert [int.from_bytes(m.data[:2], "big") for m in got] == list(range(300))


async def test_feed_continues_after_the_server_is_killed_and_restarted(js: JetStream, nats_server: NatsServer) -> None:
    """The feed reads what was stored while the reader was disconnected; `current` is false until then."""
    reader = Reader(js)
    async with reader.feed:
        await js.store(PUT, b"before")
        await reader.until(1)
        nats_server.kill()
        await nats_server.start()
        await js.store(PUT, b"after", message_id="after")
        got = await reader.until(2)
        async with asyncio.timeout(10):
            while not reader.feed.current:
                reader.woken.clear()
                await reader.woken.wait()
    assert [m.data for m in got] == [b"before", b"after"]


async def test_feed_continues_after_deleted_messages(js: JetStream) -> None:
    """Requests and cancels of a session, some of them deleted: the others come once, each kind in order."""
    reader = Reader(js, NAMES.session_events("s"), NAMES.sessions_stream)
    kept: list[int] = []
    async with reader.feed:
        for number in range(30):
            subject = NAMES.cancel("s") if number % 5 == 4 else NAMES.request("s")
            ack = await js.store(subject, b"%d" % number)
            if number % 3 == 0:
                await js.delete(NAMES.sessions_stream, ack.sequence)
            else:
                kept.append(ack.sequence)
        last = kept[-1]
        async with asyncio.timeout(15):
            while last not in {m.sequence for m in reader.got}:
                await reader.until(len(reader.got) + 1)
    got = [m.sequence for m in reader.got]
    assert len(got) == len(set(got))
    assert set(kept) <= set(got)
    requests = [m.sequence for m in reader.got if m.subject.endswith(".request")]
    assert requests == sorted(requests)


async def test_feed_ignores_a_message_that_no_stream_has_stored(js: JetStream) -> None:
    """A message that the stream has not stored could be forged."""
    reader = Reader(js)
    async with reader.feed:
        await js.broker.publish(SUBJECT, b"forged")
        sequence = (await js.store(PUT, b"true")).sequence
        got = await reader.until(1)
    assert [(m.sequence, m.data) for m in got] == [(sequence, b"true")]
