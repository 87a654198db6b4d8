"""The permissions of callers in docs/guide/security.md are enough for `Client`, and allow no more than it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import nats
import pytest
from nats.aio.msg import Msg

from orastream.broker import Broker
from orastream.client import voices
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.voices import Voice
from orastream.contract import stream_names, subjects
from orastream.contract.errors import NodeUnavailable
from orastream.contract.messages import Report
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.api import JetStream
from orastream.jetstream.report_store import ReportStore
from orastream.jetstream.topology import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

pytestmark = pytest.mark.integration

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guide" / "security.md"
VOICE = Voice("ko", "ko", 22_050, "espeak", "1")


@pytest.fixture
async def guarded(tmp_path: Path, logs: Logs) -> AsyncIterator[NatsServer]:
    """A server with two users: `services`, with all permissions, and `callers`, with those in the document."""
    block = re.search(r"```text\ncallers: (\{.*?\n\})\n```", PAGE.read_text(), re.DOTALL)
    assert block is not None
    config = tmp_path / "nats.conf"
    config.write_text(
        "authorization { users: [\n"
        "  { user: services, password: s }\n"
        f"  {{ user: callers, password: c, permissions: {block[1]} }}\n"
        f"  {{ user: shop, password: s, permissions: {block[1].replace('_INBOX.>', '_INBOX.shop.>')} }}\n"
        "] }\n"
    )
    server = NatsServer(tmp_path, logs, "-c", str(config))
    try:
        await server.start()
        yield server
    finally:
        server.kill()


def url(server: NatsServer, user: str) -> str:
    return server.url.replace("//", f"//{user}:{user[0]}@")


async def test_permissions_of_callers_are_enough_for_the_client(guarded: NatsServer) -> None:
    async with Broker(url(guarded, "services"), name="services") as node, Client(url(guarded, "callers")) as client:
        js = JetStream(node)
        await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20)).ensure()
        await voices.serve(node, [VOICE], engine="espeak", version="1")
        await node.round_trip()

        assert await client.voices() == [VOICE]
        accepted = await client.say("안녕하세요", session_id="s", phone_id="p", transport="none")
        assert isinstance(accepted, Acceptance)
        async with client.utterance(session_id="s", phone_id="p", transport="none", request_id="u") as utterance:
            await utterance.write("안녕")
        piece = await js.after(stream_names.TEXTS, subjects.script("s", "u"), 0)
        assert piece is not None and TextPiece.decode(piece.data) == TextPiece(0, "안녕")
        assert await client.cancel("s") > accepted.request_seq
        report = Report(request_id=accepted.request_id, session_id="s", request_seq=1, status="cancelled")
        await js.store(f"tts.put.report.s.{accepted.request_id}", report.encode("json"))
        assert (await client.wait("s", accepted.request_id, 10)).status == "cancelled"
        assert (await ReportStore(js).read("s", accepted.request_id)) is not None
        found = await client.report("s", accepted.request_id)
        assert found is not None and found.status == "cancelled"
        async for one in client.reports("s", history=True):
            assert one.request_id == accepted.request_id
            break


async def test_callers_cannot_read_stored_requests(guarded: NatsServer) -> None:
    async with Broker(url(guarded, "services"), name="services") as node, Client(url(guarded, "callers")) as client:
        await StreamKeeper(JetStream(node), StreamLimits(audio_max_bytes=64 << 20)).ensure()
        with pytest.raises(NodeUnavailable):
            await JetStream(client.broker).api("STREAM.INFO.TTS_SESSIONS", patience_s=0.5)


async def test_caller_with_its_own_inbox_prefix_gets_answers_and_no_foreign_messages(guarded: NatsServer) -> None:
    """As the document says for callers who do not trust each other: it works, and shows them no others' messages."""
    async with Broker(url(guarded, "services"), name="services", inbox_prefix="_INBOX_node") as node:
        await StreamKeeper(JetStream(node), StreamLimits(audio_max_bytes=64 << 20)).ensure()
        await voices.serve(node, [VOICE], engine="espeak", version="1")
        await node.round_trip()
        received: list[str] = []
        stranger = await nats.connect(url(guarded, "shop"), error_cb=_ignore, allow_reconnect=False)
        for subject in ("_INBOX.>", "_INBOX_node.>"):
            await stranger.subscribe(subject, cb=_noting(received))
        await stranger.flush(5)
        async with Client(url(guarded, "callers")) as client:
            assert await client.voices() == [VOICE]
        async with Client(url(guarded, "shop"), inbox_prefix="_INBOX.shop") as client:
            assert await client.voices() == [VOICE]
            accepted = await client.say("안녕하세요", session_id="s", phone_id="p", transport="none")
            assert isinstance(accepted, Acceptance)
        await stranger.flush(5)
        await stranger.close()
        assert received == []


def _noting(received: list[str]) -> Callable[[Msg], Awaitable[None]]:
    async def note(message: Msg) -> None:
        received.append(message.subject)

    return note


async def _ignore(_exc: Exception) -> None:
    pass
