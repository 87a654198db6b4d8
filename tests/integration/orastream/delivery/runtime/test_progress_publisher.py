"""Live progress of a real bridge: what watchers get over both protocols, and that it costs nothing without one."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import WaitTimeout
from orastream.delivery.runtime.progress_publisher import ProgressPublisher
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import StreamTerms
from tests.support.denying_server import denying_server, violations
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until

pytestmark = [pytest.mark.timeout(120)]

TEXT = "이 문장은 끝까지 들으면 몇 초가 걸리는 긴 문장입니다. "
WAIT_S = 60.0


@asynccontextmanager
async def node(js: JetStream, folder: Path, protocol: str, **settings: Any) -> AsyncIterator[Client]:
    """A node in this process, with a reference OraServer that plays in real time if it speaks v2."""
    faults = Faults(real_time=protocol == "v2")
    async with (
        serve(OraServer(folder / "oraserver", terms=StreamTerms(played=True), faults=faults)) as oraserver,
        running_node(js.broker.url, oraserver.url, ("synth", "ws_bridge"), oraserver_protocol=protocol, **settings),
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


async def test_a_client_follows_a_request_until_its_play_ends(js: JetStream, tmp_path: Path) -> None:
    """Over v1: the report is final seconds before."""
    async with node(js, tmp_path, "v1") as client:
        accepted = await client.say(TEXT, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)
        assert accepted.request_id == "r"
        async with asyncio.timeout(WAIT_S):
            got = [one async for one in client.progress("s", "r")]
        report = await client.report("s", "r")
        assert report is not None and report.status == "delivered"
        assert got[-1].done and got[-1].played_ms == got[-1].sent_ms == round(report.audio_seconds * 1000)
        assert len(got) > 5 and not any(one.done for one in got[:-1])
        with pytest.raises(WaitTimeout):
            async for _ in client.progress("s", "unknown", wait_s=0.3):
                raise AssertionError("nothing can come")


@pytest.mark.parametrize("protocol", ["v1", "v2"])
async def test_a_cancel_while_it_plays_ends_the_progress(js: JetStream, tmp_path: Path, protocol: str) -> None:
    async with node(js, tmp_path, protocol) as client:
        await client.say(TEXT * 4, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)
        got: list[DeliveryProgress] = []
        async with asyncio.timeout(WAIT_S):
            async for one in client.progress("s", "r"):
                got.append(one)
                if (one.played_ms or 0) > 1_000 and len(got) > 3 and not any(before.done for before in got):
                    await client.cancel("s")
        last = got[-1]
        assert last.done and last.played_ms is not None and 1_000 < last.played_ms < 6_000
        assert last.played_ms < last.sent_ms


async def test_one_message_in_five_seconds_is_published_while_nobody_watches(tmp_path: Path, logs: Logs) -> None:
    """The server's trace counts them: a subscription of the test would be a watcher."""
    server = NatsServer(tmp_path, logs, "-V")
    await server.start()
    try:
        async with Broker(server.url, name="test", connect_timeout_s=5) as broker:
            js = JetStream(broker)
            await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
            async with node(js, tmp_path, "v1") as client:
                began = time.time()
                for number in range(4):  # the phone plays them one after the other, for 18 s
                    await client.say(TEXT, session_id="s", phone_id="p", request_id=f"r{number}", fire_and_forget=False)

                async def enough() -> bool:
                    return len(server.published("tts.progress.")) >= 3

                await until(enough, "it has looked for watchers again and again", timeout_s=WAIT_S)
                took_s = time.time() - began
                times = server.published("tts.progress.")
                assert took_s > 9.9 and len(times) == 3
                assert min(later - earlier for earlier, later in zip(times, times[1:], strict=False)) > 4.9
                assert server.published("tts.progress.other") == []
                # Who subscribes then gets messages with the next look.
                async with asyncio.timeout(WAIT_S):
                    async for one in client.progress("s", "r3"):
                        assert one.request_id == "r3"
                        break
                assert len(server.published("tts.progress.")) > 3
    finally:
        server.kill()


async def test_progress_goes_on_after_nats_was_lost(js: JetStream, tmp_path: Path, nats_server: NatsServer) -> None:
    async with node(js, tmp_path, "v1") as client:
        await client.say(TEXT * 6, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)
        got: list[DeliveryProgress] = []
        async with asyncio.timeout(WAIT_S):
            async for one in client.progress("s", "r"):
                got.append(one)
                if len(got) == 4:
                    nats_server.kill()
                    await nats_server.start()
        assert len(got) > 10 and got[-1].done


async def test_without_records_of_what_was_heard_it_is_published_too(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, "v1", heard_records=False) as client:
        await client.say(TEXT, session_id="s", phone_id="p", request_id="r", fire_and_forget=True)
        async with asyncio.timeout(WAIT_S):
            got = [one async for one in client.progress("s", "r")]
    assert got[-1].done and got[-1].played_ms == got[-1].sent_ms
    assert len({one.played_ms for one in got}) > 5


async def test_a_user_without_the_right_is_refused_once(tmp_path: Path, logs: Logs) -> None:
    """An older user of NATS: each further message would be a violation in the server's log."""
    async with denying_server(tmp_path, logs, "tts.progress.>") as (server, broker):
        js = JetStream(broker)
        await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
        url = f"nats://node:secret@127.0.0.1:{server.port}"
        async with (
            serve(OraServer(tmp_path / "oraserver")) as oraserver,
            running_node(url, oraserver.url, ("synth", "ws_bridge")),
        ):
            client = Client(js.broker)
            for number in range(4):
                session = f"s{number}"
                await client.say(TEXT, session_id=session, phone_id="p", request_id="r", fire_and_forget=False)

                async def refused() -> bool:
                    return bool(violations(server, "tts.progress"))

                await until(refused, "the server has refused a message")
    assert len(violations(server, "tts.progress")) == 1


async def test_a_refusal_is_seen_although_others_were_published_after_that_message(tmp_path: Path, logs: Logs) -> None:
    """As many sessions do: when the refusal of one message comes, others are on their way."""
    async with denying_server(tmp_path, logs, "tts.progress.>") as (_, broker):
        publisher = ProgressPublisher(broker, lambda: True)
        async with asyncio.timeout(10):
            while publisher.ready:
                await publisher.publish(broker.names.progress("s", uuid.uuid4().hex), b"{}", "_INBOX.x")
                await asyncio.sleep(0)  # the connection reads and writes
