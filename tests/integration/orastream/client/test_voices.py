"""The voices of real synths, listed by the library, the command line and the gateway."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest

from orastream.broker import Broker
from orastream.client import voices
from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.client.voices import Voice
from orastream.contract.errors import NodeUnavailable
from tests.integration.orastream.cli.test_cli import orastream
from tests.support.engines import install_choir_engine
from tests.support.nats_server import NatsServer
from tests.support.services import Stack

pytestmark = pytest.mark.integration

CHOIR = Voice("calm", "ko-KR", 8_000, "choir", "1")


async def got(url: str, **headers: str) -> tuple[int, Any]:
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:
        return answer.status, await answer.json()


@pytest.mark.timeout(120)
async def test_voices_lists_the_voices_of_all_running_synths(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two synths of one engine and one of another; the voices of a stopped synth are not listed."""
    packages = tmp_path / "packages"
    packages.mkdir()
    install_choir_engine(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    await stack.start("synth", replicas=2, SYNTH_SLOTS=1)
    (choir,) = await stack.start("synth", TTS_ENGINE="choir", SYNTH_SLOTS=1)
    (gateway,) = await stack.start("gateway", GATEWAY_API_KEYS="secret")
    async with Client(stack.nats_server.url) as client:
        there = await client.voices()
        assert there[0] == CHOIR
        assert {voice.engine for voice in there} == {"choir", "espeak"}
        assert len({(voice.engine, voice.name) for voice in there}) == len(there), "a voice is listed twice"
        assert {"ko", "en-us"} <= {voice.name for voice in there}

        key = {"Authorization": "Bearer secret"}
        status, body = await got(f"{gateway.url}/api/voices", **key)
        assert (status, body) == (200, {"voices": [voice.to_map() for voice in there]})
        assert (await got(f"{gateway.url}/api/voices"))[0] == 401
        status, body = await got(f"{gateway.url}/v1/models", **key)
        assert [model["id"] for model in body["data"]][-2:] == ["choir", "espeak"]
        assert (await got(f"{gateway.url}/v1/models/choir", **key))[0] == 200
        assert (await got(f"{gateway.url}/v1/models/nobody", **key))[0] == 404
        assert (await got(f"{gateway.url}/v1/models"))[0] == 401
        counted = {
            outcome: await gateway.metric("orastream_gateway_requests_total", route="openai-models", outcome=outcome)
            for outcome in ("found", "not_found", "unauthorized")
        }
        assert counted == {"found": 2, "not_found": 1, "unauthorized": 1}

        code, out, _ = await orastream(tmp_path, "voices", "--json", NATS_URL=stack.nats_server.url)
        assert (code, json.loads(out)) == (0, [voice.to_map() for voice in there])
        code, out, _ = await orastream(tmp_path, "voices", "--language", "ko", NATS_URL=stack.nats_server.url)
        assert code == 0 and "8 000 Hz" in out and "choir" in out and "en-us" not in out
        code, out, err = await orastream(tmp_path, "voices", "--language", "xx", NATS_URL=stack.nats_server.url)
        assert (code, out) == (1, "") and err.startswith("error: no voice speaks xx; there are: ") and "ko-KR" in err

        def ask() -> list[Voice]:
            with BlockingClient(stack.nats_server.url) as blocking:
                return blocking.voices()

        assert await asyncio.to_thread(ask) == there

        await choir.stop()
        assert {voice.engine for voice in await client.voices()} == {"espeak"}


async def test_voices_is_empty_at_once_when_no_synth_runs(stack: Stack, client: Client, tmp_path: Path) -> None:
    (gateway,) = await stack.start("gateway")
    began = time.monotonic()
    assert await client.voices() == []
    assert time.monotonic() - began < voices.FIRST_S, "it waited for answers, although no synth runs"
    status, body = await got(f"{gateway.url}/api/voices")
    assert (status, body["voices"]) == (200, []) and "no synth is running" in body["message"]
    status, body = await got(f"{gateway.url}/v1/models")
    assert status == 200 and "tts-1" in [model["id"] for model in body["data"]]
    code, out, err = await orastream(tmp_path, "voices", NATS_URL=stack.nats_server.url)
    assert (code, out) == (1, "") and "no synth is running" in err
    code, out, _ = await orastream(tmp_path, "voices", "--json", NATS_URL=stack.nats_server.url)
    assert (code, json.loads(out)) == (1, [])


async def test_voices_raises_when_a_synth_does_not_answer(client: Client, nats_server: NatsServer) -> None:
    async with Broker(nats_server.url, name="mute") as mute:
        await mute.subscribe("tts.voices", lambda *_: None)
        await mute.round_trip()
        with pytest.raises(NodeUnavailable, match="no answer on tts.voices"):
            await client.voices()


async def test_voices_returns_at_its_deadline_while_answers_still_arrive(
    client: Client, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voices, "FIRST_S", 0.5)
    async with Broker(nats_server.url, name="chatty") as chatty:
        request_received = asyncio.Event()
        replies: list[str] = []
        await chatty.subscribe("tts.voices", lambda _s, reply, *_: (replies.append(reply), request_received.set()))
        await chatty.round_trip()
        asking = asyncio.create_task(client.voices())
        await request_received.wait()
        while not asking.done():
            await chatty.publish(replies[0], voices.encode_answer([CHOIR], engine="choir", version="1"))
            await asyncio.sleep(0.05)
        assert await asking == [CHOIR]


async def test_voices_returns_at_an_empty_answer(
    client: Client, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that answers for the synths says so when it has sent all answers."""
    monkeypatch.setattr(voices, "FIRST_S", 30.0)
    monkeypatch.setattr(voices, "MORE_S", 30.0)
    async with Broker(nats_server.url, name="gateway") as gateway:
        asked: asyncio.Queue[str] = asyncio.Queue()
        await gateway.subscribe("tts.voices", lambda _s, reply, *_: asked.put_nowait(reply))
        await gateway.round_trip()
        for answers in ([voices.encode_answer([CHOIR], engine="choir", version="1")], []):
            asking = asyncio.create_task(client.voices())
            reply = await asked.get()
            for answer in (*answers, b""):
                await gateway.publish(reply, answer)
            async with asyncio.timeout(10):
                assert await asking == [CHOIR][: len(answers)]


async def test_plain_nats_client_gets_one_answer_for_each_engine(client: Client, nats_server: NatsServer) -> None:
    """Of two synths with the same answer only one answers; a synth with another answer also does."""
    async with Broker(nats_server.url, name="one") as one, Broker(nats_server.url, name="two") as two:
        await voices.serve(one, [CHOIR], engine="choir", version="1")
        await voices.serve(two, [CHOIR], engine="choir", version="1")
        await voices.serve(two, [], engine="mute", version="1")
        await one.round_trip()
        await two.round_trip()
        plain = await nats.connect(nats_server.url)
        try:
            inbox = plain.new_inbox()
            answers = await plain.subscribe(inbox)
            await plain.publish("tts.voices", reply=inbox)
            bodies = [json.loads((await answers.next_msg(5)).data) for _ in range(2)]
            assert sorted(body["engine"] for body in bodies) == ["choir", "mute"]
            with pytest.raises(nats.errors.TimeoutError):
                await answers.next_msg(0.3)
        finally:
            await plain.close()
        assert await client.voices() == [CHOIR]
