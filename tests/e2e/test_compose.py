"""compose.yaml as users start it: two of what scales, the reference OraServer, and only published ports from here."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import nats
import pytest

from orastream.client import Acceptance, Client
from orastream.messages import Report
from orastream.settings import NodeSettings
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.synth.settings import SynthSettings
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.docker import Compose, require_docker

__all__ = ["require_docker"]

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(1200)]

NOT_PASSED = {"nats_creds", "tts_stream_replicas", "tts_host", "tts_health_port", "tts_log_dir", "gateway_port"}
"""One server without accounts, ports fixed in the images, logs to the engine: see .env.example."""

TEXT = "안녕하세요. 오늘은 날씨가 참 좋습니다. This sentence is English."


@pytest.fixture(scope="module")
def stack(require_docker: None) -> Iterator[Compose]:
    with Compose(f"orastream-test-{uuid.uuid4().hex[:8]}", scale={"synth": 2, "ws_bridge": 2}) as compose:
        print(f"compose: built and up after {compose.up_s:.1f} s")
        yield compose


@pytest.fixture
def nats_url(stack: Compose) -> str:
    return f"nats://{stack.address('nats', 4222)}"


@pytest.fixture
async def client(nats_url: str) -> AsyncIterator[Client]:
    async with Client(nats_url) as connected:
        yield connected


@pytest.fixture
def session() -> str:
    return f"session {uuid.uuid4().hex[:8]}"


async def received(stack: Compose, session: str) -> list[dict[str, Any]]:
    """The session's utterances as the reference OraServer heard them: whole, and no rule broken."""
    url = f"http://{stack.address('oraserver', 8080)}/received"
    async with aiohttp.ClientSession() as http, http.get(url, params={"session": session}) as response:
        listing = await response.json()
    assert listing["violations"] == 0, listing
    assert all(utterance["complete"] for utterance in listing["utterances"]), listing
    utterances: list[dict[str, Any]] = listing["utterances"]
    return utterances


def test_every_setting_reaches_its_service(stack: Compose) -> None:
    services = json.loads(stack.run("config", "--format", "json"))["services"]
    settings: dict[str, type[NodeSettings]] = {
        "synth": SynthSettings,
        "ws_bridge": WsBridgeSettings,
        "http_bridge": HttpBridgeSettings,
        "gateway": GatewaySettings,
    }
    for service, read in settings.items():
        passed = {name.lower() for name in services[service]["environment"]}
        assert passed == set(read.model_fields) - NOT_PASSED, service


@pytest.mark.parametrize(
    ("use_websocket", "fire_and_forget"), [(False, False), (True, True), (True, False)], ids=["http", "forget", "sync"]
)
async def test_each_mode_is_heard(
    stack: Compose, client: Client, session: str, use_websocket: bool, fire_and_forget: bool
) -> None:
    answer = await client.say(
        TEXT, session_id=session, phone_id="p1", use_websocket=use_websocket, fire_and_forget=fire_and_forget
    )
    if fire_and_forget:
        assert isinstance(answer, Acceptance)
        report = await client.wait(session, answer.request_id)
    else:
        assert isinstance(answer, Report)
        report = answer

    transport = "websocket" if use_websocket else "http"
    assert (report.status, report.transport, report.error) == ("delivered", transport, None)
    (heard,) = await received(stack, session)
    assert (heard["transport"], heard["requestId"], heard["text"]) == (transport, report.request_id, TEXT)
    assert heard["bytes"] == report.bytes > 100_000
    assert heard["chunks"] == (report.delivered_chunks if use_websocket else 1)


async def test_a_plain_nats_publisher_is_heard(stack: Compose, nats_url: str, session: str) -> None:
    connection = await nats.connect(nats_url)
    try:
        body = json.dumps({"text": "안녕하세요", "sessionId": "plain", "phoneId": "p1"}).encode()
        ack = json.loads((await connection.request("tts.request.plain", body, timeout=5)).data)
        assert ack["stream"] == "TTS_SESSIONS"
        spoken = json.dumps({"text": "Hello", "sessionId": session, "phoneId": "p1", "fire_and_forget": False}).encode()
        reply = json.loads((await connection.request("tts.speak", spoken, timeout=60)).data)
        assert (reply["status"], reply["sessionId"]) == ("delivered", session)
    finally:
        await connection.close()
    async with Client(nats_url) as client:
        assert (await client.wait("plain", f"seq-{ack['seq']}")).status == "delivered"
    assert len(await received(stack, "plain")) == len(await received(stack, session)) == 1


async def test_the_gateway_speaks(stack: Compose, session: str) -> None:
    url = f"http://{stack.address('gateway', 8000)}/api/convert-tts/"
    body = {"text": TEXT, "sessionId": session, "phoneId": "p1", "use_websocket": True, "fire_and_forget": False}
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as response:
        assert response.status == 200, await response.text()
        report = await response.json()
    assert report["status"] == "delivered"
    assert [heard["requestId"] for heard in await received(stack, session)] == [report["requestId"]]


async def test_containers_are_locked_down(stack: Compose) -> None:
    containers = stack.containers()
    counts: dict[str, int] = {}
    for container in containers:
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        counts[service] = counts.get(service, 0) + 1
        assert container["State"]["Health"]["Status"] == "healthy", service
        assert container["HostConfig"]["ReadonlyRootfs"], service
        assert container["HostConfig"]["Memory"] > 0, service
        published = [b for bindings in container["NetworkSettings"]["Ports"].values() for b in bindings or []]
        assert {b["HostIp"] for b in published} <= {"127.0.0.1"}, service
        if service != "nats":
            assert container["Config"]["User"] == "10001:10001", service
            assert container["Config"]["Labels"]["org.opencontainers.image.title"] == f"orastream {service}"
    assert counts == {"nats": 1, "synth": 2, "ws_bridge": 2, "http_bridge": 1, "gateway": 1, "oraserver": 1}


async def test_health_is_a_nats_round_trip(stack: Compose, nats_url: str, session: str) -> None:
    """NATS frozen, its sockets open: every service must find out, and go on once it thaws."""
    ports = {"synth": "9101", "ws_bridge": "9102", "http_bridge": "9103", "gateway": "8000"}

    def healthy(service: str) -> bool:
        probe = ("exec", "-T", service, "python", "-m", "orastream.probe", ports[service])
        try:
            return stack.run(*probe).startswith("200 ")
        except AssertionError:
            return False

    stack.run("pause", "nats")
    try:
        assert {service: await asyncio.to_thread(healthy, service) for service in ports} == dict.fromkeys(ports, False)
    finally:
        stack.run("unpause", "nats")
    deadline = time.monotonic() + 60
    for service in ports:
        while not await asyncio.to_thread(healthy, service):
            assert time.monotonic() < deadline, f"{service} does not recover"
            await asyncio.sleep(0.5)
    async with Client(nats_url) as client:
        report = await client.say(TEXT, session_id=session, phone_id="p1", fire_and_forget=False)
    assert isinstance(report, Report)
    assert report.status == "delivered", report
    assert len(await received(stack, session)) == 1
