"""Live progress of a real bridge: what watchers get over both protocols, and that it costs nothing without one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from orastream.client.async_client import Client
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.jetstream.api import JetStream
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import StreamTerms
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = [pytest.mark.timeout(120)]

TEXT = "이 문장은 끝까지 들으면 몇 초가 걸리는 긴 문장입니다. "
WAIT_S = 60.0


@asynccontextmanager
async def node(js: JetStream, folder: Path, protocol: str) -> AsyncIterator[Client]:
    """A node in this process, with a reference OraServer that plays in real time if it speaks v2."""
    faults = Faults(real_time=protocol == "v2")
    async with (
        serve(OraServer(folder / "oraserver", terms=StreamTerms(played=True), faults=faults)) as oraserver,
        running_node(js.broker.url, oraserver.url, ("synth", "ws_bridge"), oraserver_protocol=protocol),
    ):
        yield Client(js.broker)


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_watcher_gets_all_progress_until_the_play_ends(
    js: JetStream, tmp_path: Path, nats_server: NatsServer, protocol: str
) -> None:
    got: list[DeliveryProgress] = []

    async def on_message(message: Msg) -> None:
        assert message.subject == "tts.progress.s.r", message.subject
        got.append(DeliveryProgress.decode(message.data))

    async with node(js, tmp_path, protocol) as client, nats_server.connect() as watcher:
        await watcher.subscribe("tts.progress.*.*", cb=on_message)
        await watcher.flush()
        loop = asyncio.get_running_loop()
        report = await client.say(
            TEXT, session_id="s", phone_id="p", request_id="r", fire_and_forget=False, wait_s=WAIT_S
        )
        final_at = loop.time()

        async def done() -> bool:
            return bool(got) and got[-1].done

        await until(done, "the play has ended", timeout_s=WAIT_S)
    total_ms = round(report.audio_seconds * 1000)
    last = got[-1]
    assert last.total_ms == last.sent_ms and abs(last.sent_ms - total_ms) <= 1
    assert last.acked_ms == last.sent_ms and abs(last.played_ms - last.sent_ms) <= 1
    assert {one.request_seq for one in got} == {report.request_seq}
    assert got[0].played_ms < total_ms / 2 and sum(one.done for one in got) == 1
    assert {one.played_by for one in got} == {"played" if protocol == "v2" else "sent"}
    played = [one.played_ms for one in got]
    assert len(set(played)) > 4, "it was seen while it played"
    assert all(one.played_ms <= one.sent_ms for one in got)
    if protocol == "v1":
        assert loop.time() - final_at > 1, "OraServer takes all at once, and the phone plays on"
