"""DELIVERY_FORMAT: which format a request gets that names none, by the OraServer of each living ws_bridge."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio import with_true_sizes
from orastream.contract.audio_messages import AudioEnd
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from services.synth.job import format_choice
from services.ws_bridge.service import serve as ws_bridge
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.engines import install_strange_engine
from tests.support.inprocess import running, running_node
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import free_port, until
from tests.support.services import Stack
from tests.support.small_oraserver import SmallOraServer
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TEXT = "안녕하세요. 반갑습니다."
WAIT_S = 30.0


@pytest.fixture(autouse=True)
def read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """synth reads the heartbeats for each request: what a test has waited for counts at once."""
    monkeypatch.setattr(format_choice, "KNOWN_S", 0.0)


@pytest.fixture
def client(js: JetStream) -> Client:
    """A client of the test's own node."""
    return Client(js.broker)


@asynccontextmanager
async def node(nats_server: NatsServer, formats: Sequence[str], **settings: Any) -> AsyncIterator[SmallOraServer]:
    """A node whose OraServer lists these formats; without any it speaks v1."""
    async with (
        SmallOraServer(formats).running() as oraserver,
        running_node(
            nats_server.url, oraserver.url, ("synth", "ws_bridge"), **{"oraserver_protocol": "auto", **settings}
        ),
    ):
        yield oraserver


async def say(client: Client, request: str, **options: Any) -> Report:
    """The final report of a request, which names no format."""
    options = {"session_id": "s", "phone_id": "p", "use_websocket": True, "fire_and_forget": True} | options
    accepted = await client.say(TEXT, request_id=request, **options)
    assert isinstance(accepted, Acceptance)
    return await client.wait("s", request, WAIT_S)


async def delivered(client: Client, request: str, **options: Any) -> Report:
    report = await say(client, request, **options)
    assert report.status == "delivered", report
    return report


async def until_known(js: JetStream, *expected: BridgeRecord) -> None:
    """Wait until the living ws_bridges say this of their OraServers."""
    prefix = NAMES.heartbeat_key("ws_bridge-")

    async def known() -> bool:
        page = await js.read(NAMES.heartbeats_stream, NAMES.heartbeat_keys, 0)
        latest = {record.subject: record.data for record in page if record.subject.startswith(prefix)}
        records = [BridgeRecord.decode(data) for data in latest.values()]
        return len(records) == len(expected) and all(record in records for record in expected)

    await until(known, f"the heartbeats say {expected}", timeout_s=20)


def seconds(audio: bytes) -> tuple[str, float]:
    """The codec of a file, and the duration of what is decoded."""
    with av.open(io.BytesIO(audio)) as container:
        (stream,) = container.streams.audio
        samples = sum(frame.samples for frame in container.decode(stream))
        return stream.codec_context.name, samples / stream.codec_context.sample_rate


async def audio_seconds(client: Client, request: str) -> float:
    """The duration that synth has stored."""
    report = await client.report("s", request)
    assert report is not None
    *_, end = [message async for message in client.audio("s", request, report.request_seq)]
    assert isinstance(end, AudioEnd)
    return end.audio_seconds


async def check(client: Client, oraserver: SmallOraServer, request: str, fmt: str, protocol: str) -> None:
    """The utterance arrived, complete, in this format, over this protocol, and it can be decoded."""
    said = oraserver.arrived[request]
    assert (said.format, said.protocol, said.complete) == (fmt, protocol, True)
    assert said.rate_hz == {("opus", "v2"): 24_000, ("wav", "v2"): 22_050}.get((fmt, protocol))
    if fmt == "opus":
        assert said.audio.startswith(b"OggS")
        codec, duration = seconds(said.audio)
        assert codec in ("opus", "libopus")
    else:
        codec, duration = seconds(with_true_sizes(said.audio))
        assert codec == "pcm_s16le"
    assert duration == pytest.approx(await audio_seconds(client, request), abs=0.001)


async def test_auto_is_opus_as_soon_as_oraserver_has_listed_it(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    async with node(nats_server, ("wav", "opus"), delivery_format="auto") as oraserver:
        await until_known(js, BridgeRecord("unknown"))
        await delivered(client, "first")
        await until_known(js, BridgeRecord("v2", frozenset({"wav", "opus"})))
        await delivered(client, "second")
        await delivered(client, "rate", sample_rate=22_050)
        await delivered(client, "named", format="wav")
        await delivered(client, "again", redeliver_of="first")
        await delivered(client, "opus-again", redeliver_of="second")
        await check(client, oraserver, "first", "wav", "v2")  # nothing is known before the first connection
        await check(client, oraserver, "second", "opus", "v2")
        for request in ("rate", "named", "again"):
            await check(client, oraserver, request, "wav", "v2")
        await check(client, oraserver, "opus-again", "opus", "v2")
        assert oraserver.arrived["opus-again"].audio == oraserver.arrived["second"].audio


async def test_auto_is_wav_for_an_oraserver_that_does_not_list_opus(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    async with node(nats_server, ("wav", "pcm16"), delivery_format="auto") as oraserver:
        await delivered(client, "first")
        await until_known(js, BridgeRecord("v2", frozenset({"wav", "pcm16"})))
        await delivered(client, "second")
        await check(client, oraserver, "second", "wav", "v2")


@pytest.mark.parametrize("formats", [("wav",), ()], ids=["v2", "v1"])
async def test_auto_is_wav_after_an_oraserver_that_listed_opus_has_broken_the_connection(
    nats_server: NatsServer, js: JetStream, client: Client, formats: tuple[str, ...]
) -> None:
    """It may have restarted, and may not take Opus any more: an Opus utterance would fail."""
    v2 = BridgeRecord("v2", frozenset({"wav", "opus"}))
    async with node(nats_server, ("wav", "opus"), delivery_format="auto") as oraserver:
        await delivered(client, "first")
        await until_known(js, v2)
        await oraserver.restart(formats)
        await until_known(js, BridgeRecord("v2"))
        await delivered(client, "second")
        await check(client, oraserver, "second", "wav", "v2" if formats else "v1")


async def test_auto_is_wav_over_protocol_v1(nats_server: NatsServer, js: JetStream, client: Client) -> None:
    async with node(nats_server, (), delivery_format="auto") as oraserver:
        await delivered(client, "first")
        await until_known(js, BridgeRecord())
        await delivered(client, "second")
        await check(client, oraserver, "second", "wav", "v1")


async def test_auto_is_wav_while_a_second_bridge_speaks_v1(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    """Either bridge may deliver the next request."""
    v2 = BridgeRecord("v2", frozenset({"wav", "opus"}))
    async with node(nats_server, ("wav", "opus"), delivery_format="auto") as oraserver:
        await delivered(client, "first")
        await until_known(js, v2)
        settings: dict[str, Any] = {"_env_file": None, "nats_url": nats_server.url, "oraserver_protocol": "v1"}
        url = oraserver.url.replace("http", "ws")
        second = ws_bridge(WsBridgeSettings(**settings, oraserver_websocket_url=url))
        async with running(nats_server.url, second):
            await until_known(js, v2, BridgeRecord())
            await delivered(client, "second")
            assert oraserver.arrived["second"].format == "wav"
        await until_known(js, v2)
        await delivered(client, "third")
        await check(client, oraserver, "third", "opus", "v2")


async def test_auto_is_wav_if_the_engine_is_not_deterministic(
    nats_server: NatsServer, js: JetStream, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its coded files cannot be continued by another synth."""
    install_strange_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    async with node(nats_server, ("wav", "opus"), delivery_format="auto", tts_engine="strange") as oraserver:
        await delivered(client, "first")
        await until_known(js, BridgeRecord("v2", frozenset({"wav", "opus"})))
        await delivered(client, "second")
        assert (oraserver.arrived["second"].format, oraserver.arrived["second"].protocol) == ("wav", "v2")


async def test_opus_fails_for_an_oraserver_that_does_not_list_it(
    nats_server: NatsServer, js: JetStream, client: Client
) -> None:
    async with node(nats_server, ("wav",), delivery_format="opus"):
        report = await say(client, "r")
    assert report.status == "failed" and report.error is not None
    assert report.error.code == "oraserver_refused" and "`formats` of its hello has wav" in report.error.message


# ---- protocol v1 and HTTP, with the reference OraServer


async def opus_file(stack: Stack, client: Client, request: str) -> dict[str, Any]:
    """OraServer's entry of an utterance, after a check of its file."""
    got = utterance_of(await stack.received(), request)
    assert got is not None and got["complete"] and got["violations"] == [], got
    path = Path((await stack.received())["dataDir"]) / got["file"]
    assert path.suffix == ".opus" and got["sampleRate"] == 24_000
    codec, duration = seconds(path.read_bytes())
    assert codec in ("opus", "libopus")
    assert duration == pytest.approx(await audio_seconds(client, request), abs=0.001)
    return got


OPUS_OVER_V1 = {"DELIVERY_FORMAT": "opus", "ORASERVER_PROTOCOL": "v1", "WEBSOCKET_METADATA": "rate"}


async def test_opus_over_v1_has_the_extension_and_rate_of_opus(stack: Stack, client: Client) -> None:
    await stack.start("oraserver", "synth", "ws_bridge", "http_bridge", **OPUS_OVER_V1)
    await delivered(client, "r")
    await delivered(client, "post", use_websocket=False)
    assert (await opus_file(stack, client, "r"))["transport"] == "websocket"
    posted = utterance_of(await stack.received(), "post")
    assert posted is not None and posted["file"].endswith(".wav"), "HTTP has no format to save a connection's bytes"
    stored = await say(client, "stored", use_websocket=None, transport="none")
    start = await anext(client.audio("s", "stored", stored.request_seq))
    assert getattr(start, "format", None) == "wav"


async def test_opus_is_posted_as_opus_when_websocket_does_not_work(stack: Stack, client: Client) -> None:
    nowhere = f"ws://127.0.0.1:{free_port()}/ws/tts"
    fallback = {"DELIVERY_FALLBACK": "http", "ORASERVER_WEBSOCKET_URL": nowhere, "WEBSOCKET_MAX_RETRIES": 0}
    await stack.start("oraserver", "synth", "ws_bridge", **OPUS_OVER_V1, **fallback)
    report = await delivered(client, "r")
    assert (report.transport, report.fallback) == ("websocket", "http")
    assert (await opus_file(stack, client, "r"))["transport"] == "http"
