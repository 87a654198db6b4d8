"""Nodes behind one front publish reports on the same subjects: a feed yields those of its own node's stream alone."""

from __future__ import annotations

import asyncio

import pytest

from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.nats_server import NatsServer

pytestmark = pytest.mark.integration


async def test_a_feed_ignores_reports_of_another_node(nats_server: NatsServer) -> None:
    async with (
        Broker(nats_server.url, name="a", prefix="tts.0", connect_timeout_s=5) as first,
        Broker(nats_server.url, name="b", prefix="tts.1", connect_timeout_s=5) as second,
    ):
        own, other = JetStream(first), JetStream(second)
        for js in (own, other):
            await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20)).ensure()
        woken, live = asyncio.Event(), asyncio.Event()
        await first.subscribe("tts.report.s.*", lambda *_: live.set())  # as a caller listens
        await first.round_trip()
        async with Feed(own, own.names.reports_stream, own.names.reports("s"), wake=woken.set) as feed:
            await other.store(other.names.put_report("s", "theirs"), b"{}")
            async with asyncio.timeout(5):
                await live.wait()
            await own.store(own.names.put_report("s", "mine"), b"{}")
            async with asyncio.timeout(5):
                while not feed.buffered:
                    woken.clear()
                    await woken.wait()
            message = feed.pop()
            assert message is not None and message.subject == "tts.report.s.mine"
            assert feed.pop() is None
