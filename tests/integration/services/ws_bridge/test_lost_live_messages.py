"""A live message that is lost without a trace is found soon: a request by its wake-up, a report and audio by silence.

A route of a cluster can drop one. Here the feed drops it, when it comes from the connection.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from orastream.broker import Headers
from orastream.client.async_client import Client
from orastream.jetstream.feed import Feed
from tests.support.inprocess import running_node
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

TEXT = "네, 알겠습니다."
FOUND_S = 10.0
"""Several times what is expected; the requests of a session at rest are read every minute only."""


class Losses:
    """Loses the first message of a subject that begins with `prefix`, in each feed that gets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prefix: str | None = None
        self.lost: list[str] = []
        has_lost: set[int] = set()
        on_live = Feed._on_live

        def drops(feed: Feed, subject: str, reply: str, data: bytes, headers: Headers) -> None:
            if self.prefix is not None and subject.startswith(self.prefix) and id(feed) not in has_lost:
                has_lost.add(id(feed))
                self.lost.append(subject)
                return
            on_live(feed, subject, reply, data, headers)

        monkeypatch.setattr(Feed, "_on_live", drops)


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Losses:
    return Losses(monkeypatch)


@pytest.fixture
async def node(losses: Losses, stack: Stack, client: Client) -> AsyncIterator[None]:
    del losses, client  # what feeds call is replaced, and the streams exist
    try:
        await stack.start("oraserver")
        async with running_node(stack.nats_server.url, stack.oraserver_url, ("synth", "ws_bridge")):
            yield
    finally:
        stack.kill()


async def spoken(client: Client, request: str) -> float:
    """Seconds until the request is delivered."""
    began = time.monotonic()
    await client.say(TEXT, session_id="s", phone_id="p", request_id=request, fire_and_forget=True, use_websocket=True)
    report = await client.wait("s", request, 60)
    assert report.status == "delivered", report
    return time.monotonic() - began


@pytest.mark.parametrize("prefix", ["tts.session.s.request", "tts.report.s.lost", "tts.audio.s.lost"])
async def test_what_was_lost_is_found(node: None, client: Client, losses: Losses, prefix: str) -> None:
    await spoken(client, "first")
    await spoken(client, "second")
    losses.prefix = prefix
    assert await spoken(client, "lost") < FOUND_S
    assert losses.lost, "nothing was lost, so this test shows nothing"


async def test_a_lost_cancel_is_found(node: None, client: Client, losses: Losses) -> None:
    await spoken(client, "first")
    await client.say(TEXT * 200, session_id="s", phone_id="p", request_id="r", fire_and_forget=True, use_websocket=True)
    losses.prefix = "tts.session.s.cancel"
    began = time.monotonic()
    await client.cancel("s")
    report = await client.wait("s", "r", 60)
    assert report.status == "cancelled", report
    assert time.monotonic() - began < FOUND_S
    assert losses.lost, "nothing was lost, so this test shows nothing"
