"""Two nodes behind a mapping share the load of one front door; two prefixes on one server never meet."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator

import aiohttp
import pytest

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.client.load_watch import LoadWatch
from orastream.contract.errors import NoResponders
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream
from tests.support.front_door import node_of, requests_in, running_nodes
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

NODES = (Names("tts.0"), Names("tts.1"))
SESSIONS, UTTERANCES = 8, 3
TEXT = "안녕하세요."


@pytest.fixture(scope="module", params=[1, 3], ids=["one server", "three servers"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_nodes(tmp_path_factory.mktemp("nodes"), len(NODES), request.param) as stack:
        yield stack


def session_at(node: int, name: str) -> str:
    """A session id that belongs to a node."""
    return next(session for n in range(100) if node_of(session := f"{name}-{n}") == node)


async def test_each_session_is_spoken_in_order_by_the_node_that_it_belongs_to(stack: Stack) -> None:
    sessions = [f"s-{n}" for n in range(SESSIONS)]
    requests = {session: [f"{session}-{n}" for n in range(UTTERANCES)] for session in sessions}
    async with stack.client() as client, Broker(str(stack.settings["NATS_URL"]), name="test") as broker:

        async def speak(session: str) -> list[Report]:
            for n, request in enumerate(requests[session]):
                transport = "http" if n == 1 else "websocket"
                await client.say(TEXT, session_id=session, phone_id="p", request_id=request, transport=transport)
            return [await client.wait(session, request, 40) for request in requests[session]]

        reports = await asyncio.gather(*map(speak, sessions))
        assert all(report.status == "delivered" for several in reports for report in several), reports
        js = JetStream(broker)
        for number, node in enumerate(NODES):
            mine = {session: set(requests[session]) for session in sessions if node_of(session) == number}
            assert mine and mine == await requests_in(js, node)
    received = (await stack.received())["utterances"]
    for session in sessions:
        begun = [utterance for utterance in received if utterance["sessionId"] == session]
        assert [utterance["requestId"] for utterance in begun] == requests[session]
        assert all(one["completedAt"] <= other["firstChunkAt"] for one, other in itertools.pairwise(begun))


async def test_callers_of_the_front_cancel_stream_texts_and_read(stack: Stack) -> None:
    async with stack.client() as client:
        for node in range(len(NODES)):
            session = session_at(node, "call")
            long = await client.say(TEXT * 200, session_id=session, phone_id="p", transport="none")
            async with asyncio.timeout(20):
                async for report in client.reports(session, history=True):
                    if report.request_id == long.request_id and report.status != "queued":
                        break
            await client.cancel(session)
            assert (await client.wait(session, long.request_id, 20)).status == "cancelled"
            async with client.utterance(session_id=session, phone_id="p", transport="websocket") as u:
                for piece in ("안녕", "하세요. ", "Hello."):
                    await u.write(piece)
            report = await u.wait()
            assert report.status == "delivered"
            got = [message async for message in client.audio(session, u.request_id, report.request_seq)]
            assert got
        assert await client.voices()
        body = {"text": TEXT, "sessionId": session, "phoneId": "p", "fire_and_forget": False}
        answer, _ = await client.broker.request(NAMES.speak, json.dumps(body).encode(), timeout_s=20)
        assert json.loads(answer)["status"] == "delivered"


async def test_progress_has_the_name_of_the_front(stack: Stack) -> None:
    first = stack["gateway"][0].url
    async with stack.client() as client, aiohttp.ClientSession() as http:
        for node in range(len(NODES)):
            session = session_at(node, "progress")
            await client.say(TEXT * 8, session_id=session, phone_id="p", request_id="r", transport="websocket")
            async with http.get(f"{first}/api/reports/{session}/r/events") as answer:
                assert answer.status == 200
                async with asyncio.timeout(45):
                    got = [one async for one in client.progress(session, "r")]
                    events = (await answer.content.read()).decode()
            assert got and got[-1].done
            assert "event: progress" in events and events.endswith('event: end\ndata: {"played":true}\n\n')


async def test_any_gateway_serves_any_session(stack: Stack) -> None:
    first = stack["gateway"][0].url
    async with aiohttp.ClientSession() as http:
        for node in range(len(NODES)):
            session = session_at(node, "web")
            body = {"text": TEXT, "sessionId": session, "phoneId": "p", "requestId": "r", "fire_and_forget": False}
            async with http.post(f"{first}/api/convert-tts/", json=body) as answer:
                assert (await answer.json())["status"] == "delivered"
            async with http.get(f"{first}/api/reports/{session}/r") as answer:
                assert (answer.status, (await answer.json())["status"]) == (200, "delivered")
            async with http.get(f"{first}/api/audio/{session}/r") as answer:
                file = await answer.read()
                assert answer.status == 200 and len(file) > 1000
            async with http.get(f"{first}/api/audio/{session}/r", headers={"Range": "bytes=40-49"}) as answer:
                assert (answer.status, await answer.read()) == (206, file[40:50])
            async with http.post(f"{first}/api/cancel/{session}") as answer:
                assert answer.status == 202
        for _ in range(4):  # each in a session of its own, of either node
            body = {"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "wav"}
            async with http.post(f"{first}/v1/audio/speech", json=body) as answer:
                assert answer.status == 200 and (await answer.read())[:4] == b"RIFF"


async def test_the_front_hears_the_load_of_all_synths_and_has_no_list_of_all_sessions(stack: Stack) -> None:
    async with stack.client() as client:
        watch = LoadWatch(client.broker, client.names.load, 60.0)
        await watch.open()

        async def both() -> bool:
            return len(watch.load.known(time.monotonic())) == len(NODES)

        await until(both, "the load of both nodes", timeout_s=10)
        await watch.close()
        with pytest.raises(NoResponders, match="ask each node"):
            await client.reads.check_all()


async def test_another_prefix_on_the_same_server_is_another_node(stack: Stack) -> None:
    await stack.start("synth", "ws_bridge", TTS_PREFIX="staging")
    url, staging = str(stack.settings["NATS_URL"]), Names("staging")
    async with stack.client() as front, Client(url, prefix="staging") as client:
        report = await client.say(
            TEXT, session_id="x", phone_id="p", transport="websocket", fire_and_forget=False, wait_s=20
        )
        assert isinstance(report, Report) and report.status == "delivered"
        js = JetStream(front.broker)
        assert set(await requests_in(js, staging)) == {"x"}
        for node in NODES:
            assert "x" not in await requests_in(js, node)
        assert await front.report("x", report.request_id) is None
        with pytest.raises(NoResponders):  # it has no gateway
            await client.broker.request(staging.speak, b"{}", timeout_s=2)
