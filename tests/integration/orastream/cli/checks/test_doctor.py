"""The findings of doctor for real servers, healthy and faulty."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import WSMsgType, web

from orastream.base.tasks import end
from orastream.broker import Broker
from orastream.cli.checks import doctor
from orastream.cli.checks.diagnosis import Finding
from orastream.cli.node import probes
from orastream.cli.node.nats_config import Sync
from orastream.cli.node.settings import CliSettings, NodeAddress
from orastream.delivery.websocket import connection, liveness, stream_connection
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from orastream.jetstream.pull_consumer import Delivery, PullConsumer
from orastream.jetstream.stream_limits import StreamLimits
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer, nats_server_binary
from tests.support.processes import Logs, Process, free_port
from tests.support.stream_receiver import stream_receiving

pytestmark = pytest.mark.integration


def a_node(
    nats_url: str = "nats://127.0.0.1:1",
    oraserver: str = "http://127.0.0.1:1",
    *,
    monitoring_url: str | None = None,
    **settings: object,
) -> NodeAddress:
    made = CliSettings(_env_file=None, **settings)  # type: ignore[arg-type]
    websocket_url = f"ws{oraserver.removeprefix('http')}/ws/tts"
    return NodeAddress(nats_url, None, websocket_url, f"{oraserver}/api/tts", made, nats_monitoring_url=monitoring_url)


def named(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


async def test_doctor_reports_a_problem_without_nats() -> None:
    [finding] = await doctor.examine_nats(a_node(f"nats://127.0.0.1:{free_port()}"))
    assert finding.level == "problem"
    assert "orastream up" in finding.fix


async def test_doctor_reports_an_address_that_no_client_can_use() -> None:
    [finding] = await doctor.examine_nats(a_node("http://u:secret@127.0.0.1:1"))
    assert finding.level == "problem" and "'http://127.0.0.1:1' is no NATS address" in finding.says
    assert finding.fix


async def test_doctor_reports_a_problem_without_jetstream(tmp_path: Path, logs: Logs) -> None:
    server = NatsServer(tmp_path, logs)
    argv: list[str | Path] = [nats_server_binary(), "-a", "127.0.0.1", "-p", str(server.port)]
    plain = Process("plain nats-server", argv, env={}, cwd=tmp_path, log=tmp_path / "plain.log")
    try:
        plain.launch()
        await plain.until_ready(lambda: _greets(server.port))
        found = named(await doctor.examine_nats(a_node(server.url)))
    finally:
        plain.kill()
    assert found["NATS"].level == "ok"
    assert found["JetStream"].level == "problem"
    assert "-js" in found["JetStream"].fix
    assert "stream TTS_AUDIO" not in found


async def _greets(port: int) -> bool:
    return await probes.nats_server(port)() == "JetStream is not on yet"


async def test_doctor_says_to_start_the_node_when_nothing_was_started(nats_server: NatsServer) -> None:
    found = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert found["JetStream"].level == "ok"
    assert [subject for subject, finding in found.items() if finding.level == "problem"] == ["streams"]
    assert all(name in found["streams"].says for name in NAMES.streams)
    assert "orastream up" in found["streams"].fix


async def test_doctor_says_once_that_no_service_runs(nats_server: NatsServer, js: JetStream) -> None:
    found = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert [subject for subject, finding in found.items() if finding.level == "problem"] == ["services"]
    assert all(name in found["services"].says for name in ("synth", "ws_bridge", "http_bridge"))


async def test_doctor_of_a_front_door_names_the_nodes(nats_server: NatsServer) -> None:
    """Not `orastream up`: it would start a node behind its own front."""
    async with Broker(nats_server.url, name="test", prefix="tts.0") as broker:
        (sessions, *_) = topology.stream_configs(broker.names, StreamLimits())
        await topology.ensure_stream(JetStream(broker), sessions, change=True)
        found = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert set(found) == {"NATS", "JetStream", "node", "chunk size"}, found
    assert found["node"].level == "problem" and "--prefix tts.0" in found["node"].fix


@pytest.mark.parametrize(
    ("shift_s", "level", "says"),
    [(0.0, "ok", "agree"), (62.5, "warning", "62.5 s ahead of"), (-62.5, "warning", "62.5 s behind")],
)
async def test_the_clock_of_this_host(
    nats_server: NatsServer, js: JetStream, monkeypatch: pytest.MonkeyPatch, shift_s: float, level: str, says: str
) -> None:
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + shift_s)
    found = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert found["clocks"].level == level
    assert says in found["clocks"].says


async def test_doctor_reports_which_services_pull_requests(nats_server: NatsServer, js: JetStream) -> None:
    def take(_delivery: Delivery) -> None:
        raise AssertionError("the consumer delivered a message, although none was stored")

    puller = asyncio.create_task(PullConsumer(js.broker, NAMES.sessions_stream, "ws_bridge", take, lambda: 4).run())
    try:
        found = named(await doctor.examine_nats(a_node(nats_server.url, websocket_chunk_size=2 << 20)))
    finally:
        await end(puller)
    assert found["stream TTS_AUDIO"].level == "ok"
    assert found["ws_bridge"].level == "ok"
    assert found["synth"].level == "problem"
    assert "services.synth" in found["synth"].fix
    assert found["chunk size"].level == "problem"


@pytest.mark.parametrize(("sync", "level"), [(Sync.ALWAYS, "ok"), (Sync.PERIODIC, "warning")])
async def test_doctor_says_what_a_power_cut_loses(tmp_path: Path, logs: Logs, sync: Sync, level: str) -> None:
    """Of real servers, started from the file of `orastream up`. A server that is not the node's is not judged."""
    server, other = (NatsServer(tmp_path, logs, name=name, sync=sync) for name in ("nats", "other"))
    try:
        await server.start()
        found = named(await doctor.examine_nats(a_node(server.url, monitoring_url=f"{server.monitoring_url}/")))
        assert (found["power cut"].level, "--sync always" in found["power cut"].fix) == (level, level != "ok")
        assert "not checked" not in found["power cut"].says
        await other.start()
        foreign = named(await doctor.examine_nats(a_node(server.url, monitoring_url=other.monitoring_url)))
        assert "another nats-server" in foreign["power cut"].says
    finally:
        server.kill()
        other.kill()


@pytest.mark.parametrize(("path", "says"), [("", "cannot be reached"), ("/ws/tts", "HTTP 404"), (None, "is not known")])
async def test_doctor_goes_on_when_the_monitoring_port_does_not_answer(
    nats_server: NatsServer, js: JetStream, path: str | None, says: str
) -> None:
    async with an_oraserver(101, 404) as (url, _):
        at = url if path else f"http://127.0.0.1:{free_port()}"
        monitoring_url = None if path is None else at
        found = named(await doctor.examine_nats(a_node(nats_server.url, monitoring_url=monitoring_url)))
    assert found["power cut"].level == "warning"
    assert says in found["power cut"].says and "NATS_MONITORING_URL" in found["power cut"].fix
    assert found["chunk size"].level == "ok"


async def messages(js: JetStream) -> list[int]:
    """The number of messages in each stream."""
    infos = [await js.api(f"STREAM.INFO.{name}") for name in NAMES.streams]
    return [info["state"]["messages"] for info in infos]


async def test_trial_writes_and_pull_leave_no_message(nats_server: NatsServer, js: JetStream) -> None:
    found = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert found["pull"].level == "ok", found["pull"]
    assert all(found[f"stream {name}"].level == "ok" for name in NAMES.streams)
    assert await messages(js) == [0] * len(NAMES.streams)
    assert (await js.api(f"STREAM.INFO.{NAMES.sessions_stream}"))["state"]["consumer_count"] == 3


async def test_doctor_finds_a_stream_that_stores_nothing_after_a_full_disk(
    nats_server: NatsServer, js: JetStream, tmp_path: Path
) -> None:
    """After a failed write the server says that the stream exists, but answers no write, even with free disk again."""
    nats_server.kill()
    await nats_server.start()
    folder = nats_server.data / "jetstream" / "$G" / "streams" / NAMES.audio_stream / "msgs"
    (block,) = folder.glob("*.blk")  # the server reopens it at the first write
    block.rename(tmp_path / "kept")
    block.symlink_to("/dev/full")
    full = named(await doctor.examine_nats(a_node(nats_server.url)))
    block.unlink()
    (tmp_path / "kept").rename(block)
    freed = named(await doctor.examine_nats(a_node(nats_server.url)))
    for found in (full, freed):
        assert found["stream TTS_REPORTS"].level == "ok"
        assert found["stream TTS_AUDIO"].level == "problem"
        assert "restart nats-server" in found["stream TTS_AUDIO"].fix
    assert "no space left on device" in nats_server.text()
    nats_server.kill()
    await nats_server.start()
    again = named(await doctor.examine_nats(a_node(nats_server.url)))
    assert again["stream TTS_AUDIO"].level == "ok"


@contextlib.asynccontextmanager
async def an_oraserver(
    websocket: int, post: int, *, pongs: bool = True, leaves: bool = False
) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that answers handshakes and other requests with these statuses (101: accepts). Yields URL and frames."""
    frames: list[str] = []

    async def on_websocket(request: web.Request) -> web.StreamResponse:
        if websocket != 101:
            return web.Response(status=websocket)
        socket: web.WebSocketResponse[bool] = web.WebSocketResponse(autoping=pongs)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                frames.append(message.data)
            if leaves:
                await socket.close(code=4001)
        return socket

    async def on_request(_request: web.Request) -> web.Response:
        return web.Response(status=post)

    app = web.Application()
    app.add_routes([web.get("/ws/tts", on_websocket), web.route("*", "/api/tts", on_request)])
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", frames
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("websocket", "post", "levels", "fixes"),
    [
        (101, 405, ("ok", "ok"), ("", "")),
        (401, 403, ("problem", "problem"), ("ORASERVER_TOKEN", "ORASERVER_TOKEN")),
        (404, 404, ("problem", "warning"), ("ORASERVER_WEBSOCKET_URL", "ORASERVER_HTTP_URL")),
        (200, 200, ("problem", "ok"), ("not WebSocket", "")),
        (503, 500, ("problem", "problem"), ("its logs", "its logs")),
        (302, 307, ("problem", "problem"), ("redirects", "redirects")),
    ],
)
async def test_doctor_examines_both_urls_of_oraserver(
    websocket: int, post: int, levels: tuple[str, str], fixes: tuple[str, str]
) -> None:
    async with an_oraserver(websocket, post) as (url, frames):
        findings = await doctor.examine_oraserver(a_node(oraserver=url))
    assert tuple(finding.level for finding in findings) == levels
    for finding, fix in zip(findings, fixes, strict=True):
        assert fix in finding.fix
    assert [frame for frame in frames if '"init"' not in frame] == []
    assert len(frames) == (websocket == 101)


@pytest.mark.parametrize(("leaves", "says"), [(False, "a ping was not answered for 0.3 s"), (True, "code 4001")])
async def test_doctor_reports_a_problem_when_oraserver_answers_no_ping(
    leaves: bool, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a server accepts the connection and all frames, but every utterance fails because no pong confirms it."""
    for module in (liveness, connection):
        monkeypatch.setattr(module, "PONG_S", 0.3)
    async with an_oraserver(101, 405, pongs=False, leaves=leaves) as (url, _):
        finding, _ = await doctor.examine_oraserver(a_node(oraserver=url))
    assert (finding.level, says in finding.says) == ("problem", True), finding
    assert "answer each ping" in finding.fix


@pytest.mark.parametrize("alone", [False, True])
async def test_doctor_offers_what_the_bridges_offer(alone: bool) -> None:
    """Also to a server that speaks v2 alone: its answer to a connection without an offer is 400."""
    async with stream_receiving("v2 alone" if alone else None) as receiver:
        node = a_node(oraserver=receiver.url)
        node = replace(node, websocket_url=receiver.websocket_url)
        of_v2, _ = await doctor.examine_oraserver(node)
        settings = CliSettings(_env_file=None, oraserver_protocol="v1")  # type: ignore[call-arg]
        of_v1, _ = await doctor.examine_oraserver(replace(node, settings=settings))
    assert (of_v2.level, "protocol v2" in of_v2.says) == ("ok", True), of_v2
    assert of_v1.level == ("problem" if alone else "ok"), of_v1
    assert "protocol v2" not in of_v1.says


async def test_doctor_reports_a_server_that_does_not_select_v2_although_it_must() -> None:
    async with an_oraserver(101, 405) as (url, _):
        finding, _ = await doctor.examine_oraserver(a_node(oraserver=url, oraserver_protocol="v2"))
    assert (finding.level, "ORASERVER_PROTOCOL" in finding.says) == ("problem", True), finding


async def test_doctor_reports_a_server_that_selects_v2_and_says_no_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_connection, "HANDSHAKE_S", 0.1)
    async with stream_receiving("hello after that of the bridge") as receiver:
        node = replace(a_node(oraserver=receiver.url), websocket_url=receiver.websocket_url)
        finding, _ = await doctor.examine_oraserver(node)
    assert (finding.level, "no hello" in finding.says) == ("problem", True), finding
    assert "send hello first" in finding.fix


async def test_doctor_reports_a_problem_without_oraserver() -> None:
    findings = await doctor.examine_oraserver(a_node(oraserver=f"http://127.0.0.1:{free_port()}"))
    assert [(finding.subject, finding.level) for finding in findings] == [("OraServer", "problem")]
    assert "start OraServer" in findings[0].fix


async def test_doctor_reports_a_problem_for_an_invalid_url() -> None:
    findings = await doctor.examine_oraserver(a_node(oraserver="http://"))
    assert [finding.level for finding in findings] == ["problem", "problem"]


async def test_doctor_shows_no_password(nats_server: NatsServer) -> None:
    url = nats_server.url.replace("//", "//user:secret@")
    found = await doctor.examine_nats(a_node(url))
    found += await doctor.examine_nats(a_node(f"nats://user:secret@127.0.0.1:{free_port()}"))
    found += await doctor.examine_oraserver(a_node(oraserver=f"http://user:secret@127.0.0.1:{free_port()}"))
    assert len([finding for finding in found if "127.0.0.1" in finding.says]) == 3
    assert "secret" not in str(found)
