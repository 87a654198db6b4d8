"""compose.yaml as users start it, from a clean copy: three containers of each worker, and the reference OraServer.

The tests use only published ports, the Docker engine (to kill, freeze and disconnect containers) and the command line.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest
from pydantic import BaseModel

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.synth.engines.gpt_sovits.settings import GptSovitsSettings
from services.synth.engines.gpt_sovits_local.settings import GptSovitsLocalSettings
from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.pocket.settings import PocketSettings
from services.synth.engines.vits.settings import VitsSettings
from services.synth.settings import SynthSettings
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.docker import Compose, clean_copy, cut_off, docker, image_bytes, require_docker
from tests.support.processes import until
from tests.support.services import environment

__all__ = ["require_docker"]

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(1200)]

NOT_PASSED = {
    *{"nats_creds", "tts_stream_replicas", "tts_host", "tts_health_port", "tts_log_dir", "gateway_port"},
    *{"gpt_sovits_voices", "gpt_sovits_models"},
}
"""Settings that compose.yaml does not pass on. The reasons (.env.example): one server without accounts, fixed ports,
logs to stdout, a mounted file, an engine that the images do not have."""

TEXT = "안녕하세요. 오늘은 날씨가 참 좋습니다. This sentence is English."


LONG = " ".join([TEXT] * 5)
MIB = 1 << 20
IMAGES = ("synth", "ws_bridge", "http_bridge", "gateway", "oraserver")
MAX_OVER_BASE = {"ws_bridge": 120 * MIB, "http_bridge": 120 * MIB, "gateway": 120 * MIB}


@pytest.fixture(scope="module")
def stack(require_docker: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """The stack with a slow engine, for faults in mid-utterance: LONG takes about 10 s."""
    clone = clean_copy(tmp_path_factory.mktemp("clone"))
    name, scale = f"orastream-test-{uuid.uuid4().hex[:8]}", {"synth": 3, "ws_bridge": 3}
    settings = {"TTS_ENGINE_RTF": "0.2", "SYNTH_SLOTS": "1", "REVISION": "0123abc"}
    settings["ORASERVER_PROTOCOL"] = "v1"  # over v2 a text is sent only as fast as it is played
    with Compose(name, root=clone, scale=scale, **settings) as compose:
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
    """The session's utterances in the reference OraServer. Each must be complete and without violations."""
    url = f"http://{stack.address('oraserver', 8080)}/received"
    async with aiohttp.ClientSession() as http, http.get(url, params={"session": session}) as response:
        listing = await response.json()
    assert listing["violations"] == 0, listing
    assert all(utterance["complete"] for utterance in listing["utterances"]), listing
    utterances: list[dict[str, Any]] = listing["utterances"]
    return utterances


def test_compose_passes_every_setting_to_its_service(stack: Compose) -> None:
    services = json.loads(stack.run("config", "--format", "json"))["services"]
    settings: dict[str, tuple[type[BaseModel], ...]] = {
        "synth": (
            *(SynthSettings, GptSovitsSettings, GptSovitsLocalSettings),
            *(OpenAiSpeechSettings, PocketSettings, VitsSettings),
        ),
        "ws_bridge": (WsBridgeSettings,),
        "http_bridge": (HttpBridgeSettings,),
        "gateway": (GatewaySettings,),
    }
    for service, readers in settings.items():
        passed = {name.lower() for name in services[service]["environment"]}
        read = {name for reader in readers for name in reader.model_fields}
        assert {name for name in passed if not name.startswith("otel_")} == read - NOT_PASSED, service


def test_compose_quotes_the_passwords_of_nats_and_refuses_empty_ones(require_docker: None) -> None:
    """Checks compose.yaml only; tests/integration/test_nats_users.py tests the passwords on a server."""
    compose = Compose("orastream-test-passwords", NATS_NODE_PASSWORD="123456", NATS_CALLER_PASSWORD="")
    given = json.loads(compose.run("config", "--format", "json"))["services"]["nats"]["environment"]
    assert given["NATS_NODE_PASSWORD"] == "'123456'"
    assert given["NATS_CALLER_PASSWORD"] == "NATS_CALLER_PASSWORD is empty"


@pytest.mark.parametrize(
    ("use_websocket", "fire_and_forget"), [(False, False), (True, True), (True, False)], ids=["http", "forget", "sync"]
)
async def test_each_mode_is_delivered(
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
    (delivery,) = await received(stack, session)
    assert (delivery["transport"], delivery["requestId"], delivery["text"]) == (transport, report.request_id, TEXT)
    assert delivery["bytes"] == report.bytes > 100_000
    assert delivery["chunks"] == (report.delivered_chunks if use_websocket else 1)


async def test_request_of_a_plain_nats_client_is_delivered(stack: Compose, nats_url: str, session: str) -> None:
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


async def test_request_to_the_gateway_is_delivered(stack: Compose, session: str) -> None:
    url = f"http://{stack.address('gateway', 8000)}/api/convert-tts/"
    body = {"text": TEXT, "sessionId": session, "phoneId": "p1", "use_websocket": True, "fire_and_forget": False}
    async with aiohttp.ClientSession() as http, http.post(url, json=body) as response:
        assert response.status == 200, await response.text()
        report = await response.json()
    assert report["status"] == "delivered"
    assert [delivery["requestId"] for delivery in await received(stack, session)] == [report["requestId"]]


async def test_containers_are_locked_down(stack: Compose) -> None:
    containers = stack.containers()
    counts: dict[str, int] = {}
    for container in containers:
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        counts[service] = counts.get(service, 0) + 1
        assert container["State"]["Health"]["Status"] == "healthy", service
        assert container["HostConfig"]["ReadonlyRootfs"], service
        assert container["HostConfig"]["Memory"] > 0, service
        assert container["HostConfig"]["CpuQuota"] > 0, service
        published = [b for bindings in container["NetworkSettings"]["Ports"].values() for b in bindings or []]
        assert {b["HostIp"] for b in published} <= {"127.0.0.1"}, service
        if service != "nats":
            assert container["Config"]["User"] == "10001:10001", service
            labels = container["Config"]["Labels"]
            assert labels["org.opencontainers.image.title"] == f"orastream {service}"
            assert labels["org.opencontainers.image.revision"] == "0123abc"
            assert labels["org.opencontainers.image.base.name"] == "python:3.11-slim-bookworm"
    assert counts == {"nats": 1, "synth": 3, "ws_bridge": 3, "http_bridge": 1, "gateway": 1, "oraserver": 1}


async def test_services_are_unhealthy_while_nats_is_frozen(stack: Compose, nats_url: str, session: str) -> None:
    """NATS is frozen with open sockets: every service becomes unhealthy, and recovers after the thaw."""
    ports = {"synth": "9101", "ws_bridge": "9102", "http_bridge": "9103", "gateway": "8000"}

    def healthy(service: str) -> bool:
        probe = ("exec", "-T", service, "python", "-m", "orastream.service.probe", ports[service])
        try:
            return stack.run(*probe).startswith("200 ")
        except AssertionError:
            return False

    with stack.frozen("nats", "nats-server"):
        assert {service: await asyncio.to_thread(healthy, service) for service in ports} == dict.fromkeys(ports, False)
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


# ---- images


@pytest.mark.parametrize("service", IMAGES)
def test_image_adds_at_most_its_limit_to_the_python_image(
    stack: Compose, service: str, record_property: Callable[[str, object], None]
) -> None:
    over = image_bytes(stack.image(service)) - image_bytes("python:3.11-slim-bookworm")
    record_property("figure", f"image of {service}: {over / MIB:.1f} MiB over the Python image")
    assert 0 < over <= MAX_OVER_BASE.get(service, 400 * MIB)


@pytest.mark.parametrize("service", IMAGES)
def test_image_has_no_compiler_and_no_torch(stack: Compose, service: str) -> None:
    look = (
        "import importlib.util as i, os, shutil, sys\n"
        "print(*[t for t in ('cc', 'gcc', 'c++', 'g++', 'clang', 'ld', 'make') if shutil.which(t)],"
        " *[m for m in ('torch', 'numpy', 'tests') if i.find_spec(m)],"
        " 'uid', os.getuid())"
    )
    found = docker("run", "--rm", "--network", "none", "--read-only", stack.image(service), "python", "-c", look)
    may = {"synth": "numpy "}.get(service, "")  # for its resampler and its encoders
    assert found.split() == [*may.split(), "uid", "10001"]


def test_image_of_synth_can_be_built_with_further_extras(stack: Compose, tmp_path: Path) -> None:
    """`EXTRAS` names extras of pyproject.toml. The image has their packages and all of synth's own."""
    image = f"{stack.image('synth')}-extras"
    root = clean_copy(tmp_path)
    try:
        build = ("build", "--quiet", "--target", "synth", "--build-arg", "EXTRAS=ws_bridge", "--tag", image)
        docker(*build, str(root), timeout_s=600)
        docker("run", "--rm", image, "python", "-c", "import websockets, soxr, services.synth.service")
        with pytest.raises(AssertionError, match="No module named 'websockets'"):
            docker("run", "--rm", stack.image("synth"), "python", "-c", "import websockets")
    finally:
        docker("image", "rm", "--force", image)


# ---- faults in mid-utterance


async def begun(stack: Compose, client: Client, session: str, **options: Any) -> str:
    """Request LONG, wait until OraServer has a part of it, and return the request id."""
    accepted = await client.say(LONG, session_id=session, phone_id="p1", fire_and_forget=True, **options)
    assert isinstance(accepted, Acceptance)
    url = f"http://{stack.address('oraserver', 8080)}/received"

    async def some() -> bool:
        async with aiohttp.ClientSession() as http, http.get(url, params={"session": session}) as response:
            utterances = (await response.json())["utterances"]
        assert not any(utterance["complete"] for utterance in utterances), "too late: the utterance is already complete"
        return any(utterance["chunks"] >= 3 for utterance in utterances)

    await until(some, "three chunks at OraServer", timeout_s=30, poll_s=0.1)
    return accepted.request_id


async def delivered(stack: Compose, client: Client, session: str, request: str) -> Report:
    """Wait for its final report. OraServer must have it complete, in order and without violations."""
    report = await client.wait(session, request, 60)
    assert report.status == "delivered", report
    (delivery,) = await received(stack, session)
    assert (delivery["requestId"], delivery["bytes"], delivery["text"]) == (request, report.bytes, LONG)
    assert delivery["chunks"] == report.total_chunks == report.delivered_chunks
    return report


def carrier(stack: Compose, service: str, request: str) -> dict[str, Any]:
    """The container of that service whose log shows the start of this request."""
    found = [c for c in stack.containers(service) if f'"request": "{request}"' in docker("logs", c["Id"])]
    assert len(found) == 1, f"{len(found)} of containers of {service} have begun the request"
    return found[0]


def successors(stack: Compose, first: dict[str, Any], request: str) -> int:
    """The number of other containers of its service that have worked on that request."""
    service = first["Config"]["Labels"]["com.docker.compose.service"]
    others = [container["Id"] for container in stack.containers(service) if container["Id"] != first["Id"]]
    return sum(f'"request": "{request}"' in docker("logs", other) for other in others)


SCALED = ("--scale", "synth=3", "--scale", "ws_bridge=3")


@pytest.mark.parametrize("service", ["synth", "ws_bridge"])
async def test_utterance_is_delivered_when_one_of_three_containers_is_killed(
    stack: Compose, client: Client, session: str, service: str
) -> None:
    request = await begun(stack, client, session)
    victim = carrier(stack, service, request)
    docker("kill", victim["Id"])
    try:
        await delivered(stack, client, session, request)
        assert successors(stack, victim, request) == 1
    finally:
        docker("start", victim["Id"])
    stack.run("up", "--detach", "--wait", "--no-recreate", "--no-build", *SCALED, timeout_s=120)


async def test_utterance_is_delivered_when_nats_freezes_for_five_seconds(
    stack: Compose, client: Client, session: str
) -> None:
    request = await begun(stack, client, session)
    with stack.frozen("nats", "nats-server"):
        await asyncio.sleep(5)
    await delivered(stack, client, session, request)


async def test_utterance_is_delivered_when_a_bridge_loses_its_network(
    stack: Compose, client: Client, session: str
) -> None:
    """All its packets are dropped: another bridge finishes, and the first one does no harm when it is back."""
    request = await begun(stack, client, session)
    lost = carrier(stack, "ws_bridge", request)
    (network,) = lost["NetworkSettings"]["Networks"].values()
    with cut_off(network["IPAddress"]):
        report = await delivered(stack, client, session, request)
    assert successors(stack, lost, request) == 1
    stack.run("up", "--detach", "--wait", "--no-recreate", "--no-build", *SCALED, timeout_s=120)
    assert (await delivered(stack, client, session, request)).bytes == report.bytes, "audio came after the end"


# ---- the command line


async def test_say_delivers_an_utterance(stack: Compose, nats_url: str, session: str, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "say", TEXT, "--sync", "--session", session, "--nats", nats_url),
        cwd=tmp_path,
        env=environment({}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    assert "delivered" in out.decode()
    (delivery,) = await received(stack, session)
    assert delivery["text"] == TEXT
