"""Any client may send any bytes as subject, reply subject and header block. The node must continue."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from orastream.broker import Broker
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.raw_nats import pub, send
from tests.support.scenes import Scene

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")

# Invalid UTF-8; bytes that are white space or a line end for Python, not for nats-server; a wildcard inside a token.
TOKENS = [b"\xe9", b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\xff\xfe", b"\0", b"\r", "\x85".encode(), "\xa0".encode()]
TOKENS += ["\u2028".encode(), b"\xed\xa0\x80", b"a*b", b"a>", b"a" * 3900]
# A block of one byte is not tested: nats-server 2.15.1 crashes on it.
BLOCKS = [
    b"garbage",
    b"\r\n\r\n",
    b"NATS/1.0",
    b"NATS/1.0\r\n",
    b"NATS/1.0 503\r\n\r\n",
    b"NATS/1.0 \xff\xfe\xfd\r\n\r\n",
]
BLOCKS += [b"NATS/1.0\r\nno colon\r\n\r\n", b"NATS/1.0\r\nA:\0\xff\r\nA: \xe9\r\n\r\n", b"NATS/1.0\r\n\xff: a\r\n\r\n"]
BLOCKS += [b"NATS/1.0\r\nA: " + b"\xff" * 50_000 + b"\r\n\r\n"]


@pytest.fixture
async def healthy_node(scene: Scene) -> AsyncIterator[JetStream]:
    """JetStream of the node. At the end each of its processes must run, be connected, and have logged no error."""
    processes = [process for name in SERVICES for process in scene.stack[name]]
    pids = [process.pid for process in processes]
    before = [await process.metric("orastream_nats_reconnects_total") for process in processes]
    async with Broker(scene.stack.nats_server.url, name="test") as broker:
        yield JetStream(broker)
    assert [process.pid for process in processes if process.running] == pids
    assert [await process.metric("orastream_nats_reconnects_total") for process in processes] == before
    errors = [await process.metric("orastream_nats_protocol_errors_total") for process in processes]
    assert errors == [0] * len(processes)
    assert [line for process in processes for line in process.text().splitlines() if '"level": "error"' in line] == []


async def test_node_continues_after_subjects_of_any_bytes(scene: Scene, healthy_node: JetStream) -> None:
    """A request that cannot be answered is deleted and not shown to watchers; the next request is delivered."""
    js, port = healthy_node, scene.stack.nats_server.port
    workers = [process for name in SERVICES[:3] for process in scene.stack[name]]
    gateway = scene.stack["gateway"][0]

    async def deleted() -> float:
        return sum([await process.metric("orastream_nats_discarded_messages_total") for process in workers])

    async def last() -> int:
        return int((await js.api(f"STREAM.INFO.{NAMES.sessions_stream}"))["state"]["last_seq"])

    before, first = await deleted(), await last() + 1
    report = b'{"requestId":"r","sessionId":"s","requestSeq":1,"status":"queued"}'
    async with all_reported_ids(scene) as ids, events(gateway.url) as lines:
        for token in TOKENS:
            answer = await send(
                port,
                pub(b"tts.request." + token, b"hi"),
                pub(b"tts.cancel." + token, b"{}"),
                pub(b"tts.text." + token + b".r", b"{}"),
                pub(b"tts.put.audio." + token + b".r", b"{}"),
                pub(b"tts.put.report." + token + b".r", report),
            )
            assert answer == b""
        end = first + 2 * len(TOKENS) - 1

        async def stored() -> bool:
            return await last() >= end

        await until(stored, "all requests and cancels are stored")

        async def gone() -> bool:
            return all([await js.get(NAMES.sessions_stream, number) is None for number in range(first, end + 1)])

        await until(gone, "all requests and cancels of the test are deleted", timeout_s=20)
        assert await deleted() - before == 2 * len(TOKENS)
        status, _ = await gateway.get("/api/node")
        assert status == 200
        final = await spoken(scene, "after")
        async with asyncio.timeout(20):
            while await ids.get() != final.request_id:
                pass
            while f'"{final.request_id}"'.encode() not in await lines.readline():
                pass


async def test_request_with_a_header_block_of_any_bytes_is_delivered(scene: Scene, healthy_node: JetStream) -> None:
    port = scene.stack.nats_server.port
    for number, block in enumerate(BLOCKS):
        request, session = scene.id(f"h{number}"), scene.name
        body = {"text": "네.", "sessionId": session, "phoneId": "p", "requestId": request}
        assert await send(port, pub(f"tts.request.{session}".encode(), json.dumps(body).encode(), block=block)) == b""
    for number, block in enumerate(BLOCKS):
        report = await scene.client.wait(scene.name, scene.id(f"h{number}"), 30)
        assert report.status == "delivered", block


async def test_gateway_answers_after_reply_subjects_of_any_bytes(scene: Scene, healthy_node: JetStream) -> None:
    """The same for each nats.micro service: the next caller gets an answer at once, not after a reconnect."""
    port = scene.stack.nats_server.port
    replies = [b"_INBOX." + token for token in TOKENS] + [
        b"",
        b".",
        b"_INBOX.*",
        b"_INBOX.>",
        b"_INBOX..x",
        b"\xff" * 4080,
    ]
    operations = [pub(subject, b"{}", reply=reply) for reply in replies for subject in (b"tts.speak", b"tts.voices")]
    operations += [pub(b"$SRV.PING", b"", reply=reply) for reply in replies if len(reply) < 4080]
    operations += [pub(b"tts.speak", b"{}", reply=b"_INBOX.x", block=block) for block in [*BLOCKS, b"X"]]
    for operation in operations:
        assert await send(port, operation) == b""
    for _ in scene.stack["gateway"]:
        answer, _ = await healthy_node.broker.request("tts.speak", b"{}", timeout_s=2)
        assert json.loads(answer)["error"]["code"] == "invalid_request"
    assert await scene.client.voices()


async def spoken(scene: Scene, name: str) -> Report:
    """Request speech, wait until it is delivered, and return the report."""
    report = await scene.client.say(
        "네.", session_id=scene.name, phone_id="p1", request_id=scene.id(name), fire_and_forget=False
    )
    assert isinstance(report, Report) and report.status == "delivered"
    return report


@contextlib.asynccontextmanager
async def all_reported_ids(scene: Scene) -> AsyncIterator[asyncio.Queue[str]]:
    """A queue with the request ids of all reports, from the client's `reports()`."""
    ids: asyncio.Queue[str] = asyncio.Queue()

    async def follow() -> None:
        async for report in scene.client.reports():
            ids.put_nowait(report.request_id)

    following = asyncio.create_task(follow())
    try:
        yield ids
        assert not following.done()
    finally:
        following.cancel()


@contextlib.asynccontextmanager
async def events(url: str) -> AsyncIterator[aiohttp.StreamReader]:
    """The stream of the gateway's `/api/events`, opened before the block begins."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as http,
        http.get(f"{url}/api/events") as answer,
    ):
        assert (await answer.content.readline()).startswith(b"event: hello")
        yield answer.content
