"""The reference OraServer over real sockets: the meaning of a pong, faults, HTTP, and a restart after a crash."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from orastream.contract import subjects
from orastream.contract.audio import PcmSpec, wav_header
from orastream.contract.errors import SettingsError
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import CRASH_EXIT_CODE, Faults
from services.oraserver.listing import Listing, Received

pytestmark = pytest.mark.integration

SPEC = PcmSpec(24_000)
PIECES = [wav_header(SPEC) + b"\1\0" * 500, *(bytes([i, 0]) * 4_000 for i in range(2, 8))]
FILE = wav_header(SPEC, sum(map(len, PIECES)) - 44) + b"".join(PIECES)[44:]

Start = Callable[..., Awaitable[OraServer]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(faults: Faults | None = None, token: str | None = None, name: str = "data") -> OraServer:
            return await stack.enter_async_context(serve(OraServer(tmp_path / name, token=token, faults=faults)))

        yield start


def about(request: str = "r1", session: str = "s1", phone: str = "p1") -> dict[str, Any]:
    ids = {"sessionId": session, "requestId": request, "phoneId": phone}
    return ids | {"text": "안녕하세요", "engine": "espeak", "language": "ko-KR"}


def chunk(index: int, metadata: dict[str, Any] | None = None, **changes: Any) -> str:
    metadata = metadata or about()
    frame = {
        "audioDataBase64": base64.b64encode(PIECES[index]).decode(),
        "fileName": f"{subjects.token(metadata['requestId'])}.wav",
        "chunkIndex": index,
        "isFirst": index == 0,
        "metadata": metadata,
    }
    return json.dumps(frame | changes)


def complete(metadata: dict[str, Any] | None = None) -> str:
    return json.dumps({"status": "complete", "totalChunks": len(PIECES), "metadata": metadata or about()})


@asynccontextmanager
async def connected(url: str, session: str = "s1", phone: str = "p1", **more: str) -> AsyncIterator[ClientConnection]:
    headers = {"session-id": quote(session), "phone-id": quote(phone)} | more
    async with websockets.connect(url, additional_headers=headers, ping_interval=None, close_timeout=2) as ws:
        await ws.send(json.dumps({"type": "init", "session_id": session, "phone_id": phone}))
        yield ws


async def confirmed(ws: ClientConnection) -> None:
    async with asyncio.timeout(10):
        await (await ws.ping())


async def deliver(url: str, first: int = 0) -> None:
    async with connected(url) as ws:
        for index in range(first, len(PIECES)):
            await ws.send(chunk(index))
        await ws.send(complete())
        await confirmed(ws)


def only(listing: Listing) -> Received:
    (utterance,) = listing.utterances
    return utterance


async def test_pong_is_sent_after_the_chunks_before_the_ping_are_stored(start: Start) -> None:
    server = await start()
    async with connected(server.websocket_url) as ws:
        for index in range(len(PIECES)):
            await ws.send(chunk(index))
            await confirmed(ws)
            had = (server.store.data_dir / "1-r1.wav").read_bytes()
            assert had == b"".join(PIECES[: index + 1])
        await ws.send(complete())
        await confirmed(ws)
        listing = await server.received()
    utterance = only(listing)
    assert (server.store.data_dir / utterance.file).read_bytes() == FILE
    assert utterance.sha256 == hashlib.sha256(FILE).hexdigest()
    assert (utterance.complete, utterance.chunks, utterance.bytes) == (True, len(PIECES), len(FILE))
    assert (listing.violations, listing.connections.open, listing.connections.total) == (0, 1, 1)


async def test_pong_is_sent_after_many_chunks_are_stored(start: Start) -> None:
    server = await start(Faults(read_delay_ms=20))
    async with connected(server.websocket_url) as ws:
        for index in range(len(PIECES)):
            await ws.send(chunk(index))
        pong = asyncio.ensure_future(await ws.ping())
        assert not pong.done()
        async with asyncio.timeout(10):
            await pong
        assert only(await server.received()).chunks == len(PIECES)


async def test_received_has_the_documented_fields(start: Start) -> None:
    server = await start()
    await deliver(server.websocket_url)
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/received", params={"session": "s1"}) as answer:
            listing = await answer.json()
        async with http.get("/received", params={"session": "s2"}) as answer:
            assert (await answer.json())["utterances"] == []
        async with http.delete("/received") as answer:
            assert answer.status == 204
        async with http.get("/received") as answer:
            assert (await answer.json())["utterances"] == []
        async with http.get("/healthz") as answer:
            assert answer.status == 200
    assert listing.keys() == {"utterances", "connections", "violations", "connectionViolations", "dataDir"}
    (utterance,) = listing["utterances"]
    assert utterance.keys() == set(
        """sessionId phoneId requestId transport chunks repeats bytes complete file sha256 text texts engine language
        firstChunkAt completedAt ended sampleRate connections violations""".split()
    )
    assert utterance["firstChunkAt"] <= utterance["completedAt"]
    await deliver(server.websocket_url)
    assert only(await server.received()).file == "2-r1.wav"
    assert (server.store.data_dir / "1-r1.wav").read_bytes() == FILE


async def test_delivery_continues_after_drop_after_chunks(start: Start) -> None:
    server = await start(Faults(drop_after_chunks=2, times=2))
    for first in (0, 1):  # the first connection starts at chunk 0, the second at 1
        with pytest.raises(websockets.ConnectionClosedError):
            await deliver(server.websocket_url, first)
    await deliver(server.websocket_url, 3)
    listing = await server.received()
    utterance = only(listing)
    assert (utterance.complete, utterance.repeats, utterance.connections) == (True, 1, 3)
    assert utterance.sha256 == hashlib.sha256(FILE).hexdigest()
    assert (listing.violations, listing.connections.total) == (0, 3)


async def test_no_pong_is_sent_until_the_fault_is_removed(start: Start) -> None:
    server = await start()
    async with aiohttp.ClientSession(server.url) as http, connected(server.websocket_url) as ws:
        async with http.post("/misbehave", json={"no_pong": True}) as answer:
            assert (answer.status, await answer.json()) == (200, {"no_pong": True})
        await ws.send(chunk(0))
        unanswered = await ws.ping()
        async with http.delete("/misbehave") as answer:
            assert answer.status == 204
        await ws.send(chunk(1))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(unanswered), 0.3)
        await confirmed(ws)
        assert only(await server.received()).chunks == 2


async def test_refuse_seconds_refuses_handshakes_and_posts(start: Start) -> None:
    server = await start(Faults(refuse_seconds=60))
    body = {"audioDataBase64": base64.b64encode(FILE).decode(), "fileName": "r1.wav", "metadata": about()}
    async with aiohttp.ClientSession() as http:

        async def handshake() -> int:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await deliver(server.websocket_url)
            return refused.value.response.status_code

        async def posted() -> int:
            async with http.post(server.http_url, json=body) as answer:
                return answer.status

        assert (await handshake(), await posted()) == (503, 503)
        server.misbehaviour.set(Faults(ws_status=403, times=1))
        assert await handshake() == 403
        await deliver(server.websocket_url)
        server.forget()
        server.misbehaviour.set(Faults(http_status=500, times=2))
        assert [await posted() for _ in range(3)] == [500, 500, 200]
        server.misbehaviour.set(Faults(refuse_seconds=0.05))
        async with asyncio.timeout(10):
            while await posted() == 503:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"drop_after": 1}', "drop_after"),
        ('{"times": 0}', "times"),
        ('{"no_pong": "yes"}', "no_pong"),
        ('{"ws_status": 200}', "ws_status"),
        ("[]", "body"),
        ("no json", "body"),
    ],
)
async def test_misbehave_route_names_the_wrong_field(start: Start, body: str, field: str) -> None:
    server = await start()
    async with aiohttp.ClientSession(server.url) as http, http.post("/misbehave", data=body) as answer:
        assert answer.status == 422
        assert (await answer.json())["errors"][0]["field"] == field


async def test_sender_waits_while_oraserver_reads_slowly(start: Start) -> None:
    server = await start(Faults(read_delay_ms=60_000))
    async with connected(server.websocket_url) as ws:
        frame = chunk(1, audioDataBase64="A" * 1_000_000)
        with pytest.raises(TimeoutError):  # much more than the buffers of both sides hold
            async with asyncio.timeout(1):
                for _ in range(64):
                    await ws.send(frame)
        ws.transport.abort()


async def test_oraserver_accepts_hangul_ids(start: Start) -> None:
    server = await start()
    session, phone, metadata = "세션 하나", "전화", about("요청/1", "세션 하나", "전화")
    async with connected(server.websocket_url, session, phone) as ws:
        for index in range(len(PIECES)):
            await ws.send(chunk(index, metadata))
        await ws.send(complete(metadata))
        await confirmed(ws)
    listing = await server.received(session)
    assert (listing.violations, only(listing).phone_id, only(listing).complete) == (0, phone, True)
    assert only(listing).file == f"1-{subjects.token('요청/1')}.wav"


@pytest.mark.parametrize(
    ("name", "request_id", "file"),
    [
        ("../../evil.wav", "r1", "1-r1.wav"),
        ("/etc/passwd", "r1", "1-r1.bin"),
        ("r1.wav/../../x.sh", "r1", "1-r1.bin"),
        ("x.wav", "../../evil", f"1-{subjects.token('../../evil')}.wav"),
        ("x.wav", "가" * 85, f"1-{subjects.token('가' * 85)[:100]}.wav"),
    ],
)
async def test_oraserver_writes_only_into_its_data_directory(
    start: Start, tmp_path: Path, name: str, request_id: str, file: str
) -> None:
    server = await start()
    async with connected(server.websocket_url) as ws:
        await ws.send(chunk(0, about(request_id), fileName=name))
        await confirmed(ws)
        listing = await server.received()
    assert only(listing).file == file
    assert [violation.rule for violation in only(listing).violations] == ["file-name"]
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "data/journal.jsonl",
        f"data/{file}",
    }


async def test_post_is_stored_once_and_refused_when_it_differs(start: Start) -> None:
    server = await start()
    body = {"audioDataBase64": base64.b64encode(FILE).decode(), "fileName": "r1.wav", "metadata": about()}
    other = body | {"audioDataBase64": base64.b64encode(FILE[:-2] + b"\7\7").decode()}
    async with aiohttp.ClientSession() as http:
        for payload, status in ((body, 200), (body, 200), (other, 400), ({}, 400)):
            async with http.post(server.http_url, json=payload) as answer:
                assert answer.status == status
        long = wav_header(SPEC, 4_000_000) + bytes(
            4_000_000
        )  # above aiohttp's default limit of 1 MiB, and parsed in a thread
        large = {"audioDataBase64": base64.b64encode(long).decode(), "fileName": "r2.wav", "metadata": about("r2")}
        async with http.post(server.http_url, data=io.BytesIO(json.dumps(large).encode())) as answer:
            assert answer.status == 200
    listing = await server.received()
    first, second = listing.utterances
    assert (first.transport, first.chunks, first.repeats, first.complete) == ("http", 1, 1, True)
    assert [violation.rule for violation in first.violations] == ["repeat-differs"]
    assert first.sha256 == hashlib.sha256(FILE).hexdigest()
    assert (second.bytes, second.violations) == (len(long), [])


async def test_oraserver_requires_its_token(start: Start) -> None:
    server = await start(token="geheim")
    for more in ({}, {"Authorization": "Bearer falsch"}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with connected(server.websocket_url, **more):
                pass
        assert refused.value.response.status_code == 401
    async with connected(server.websocket_url, Authorization="Bearer geheim") as ws:
        await confirmed(ws)
    async with aiohttp.ClientSession(server.url) as http:
        for path, status in (("/received", 401), ("/misbehave", 401), ("/healthz", 200)):
            async with http.get(path) as answer:
                assert answer.status == status
        async with http.post("/api/tts", json={}) as answer:
            assert answer.status == 401


async def test_violations_of_a_connection_are_listed(start: Start) -> None:
    server = await start()
    async with connected(server.websocket_url) as ws:
        await ws.send(b"\0\1")
        await ws.send("no json")
        await confirmed(ws)
    listing = await server.received("s1")
    assert [violation.rule for violation in listing.connection_violations] == ["binary-frame", "not-json"]
    assert listing.violations == 2


async def test_second_oraserver_is_refused_in_the_same_data_directory(start: Start, tmp_path: Path) -> None:
    await start()
    with pytest.raises(SettingsError, match="ORASERVER_DATA_DIR"):
        OraServer(tmp_path / "data")


async def test_connections_are_closed_with_code_1001(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with serve(OraServer(tmp_path)) as server:
            ws = await stack.enter_async_context(connected(server.websocket_url))
            await confirmed(ws)
        await ws.wait_closed()
        assert ws.close_code == 1001


@asynccontextmanager
async def process(data_dir: Path, *flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    command = [sys.executable, "-m", "services.oraserver", "--port", "0", "--data-dir", str(data_dir), *flags]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    try:
        line = (await running.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:")
        yield running, line.removeprefix("listening on ").strip()
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_confirmed_chunks_are_kept_after_a_crash(tmp_path: Path) -> None:
    async with process(tmp_path, "--crash-after-chunks", "3") as (running, url):
        address = url.replace("http", "ws") + "/ws/tts"
        async with connected(address) as ws:
            for index in (0, 1):
                await ws.send(chunk(index))
                await confirmed(ws)
            await ws.send(chunk(2))
            await ws.wait_closed()
        assert await running.wait() == CRASH_EXIT_CODE

    with open(tmp_path / "journal.jsonl", "ab") as journal:
        journal.write(b'{"kind":"Stored","number":1,"si')  # a line that the crash cut off
    async with process(tmp_path) as (running, url):
        await deliver(url.replace("http", "ws") + "/ws/tts", 2)
        async with aiohttp.ClientSession(url) as http, http.get("/received") as answer:
            listing = Listing.model_validate_json(await answer.read())
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0
    utterance = only(listing)
    assert (utterance.complete, utterance.repeats, utterance.connections, listing.violations) == (True, 1, 2, 0)
    assert (tmp_path / utterance.file).read_bytes() == FILE


async def test_an_end_frame_and_a_sample_rate_are_kept_after_a_restart(tmp_path: Path) -> None:
    with_rate = {**about(), "sampleRate": 8000}
    async with serve(OraServer(tmp_path)) as server, connected(server.websocket_url) as ws:
        await ws.send(chunk(0, with_rate))
        await ws.send(json.dumps({"status": "failed", "metadata": with_rate}))
        await confirmed(ws)
    restarted = OraServer(tmp_path)
    utterance = only(await restarted.received())
    restarted.store.close()
    assert (utterance.ended, utterance.sample_rate, utterance.complete) == ("failed", 8000, False)
    assert utterance.violations == []


async def test_a_newer_connection_of_the_phone_replaces_the_older(start: Start) -> None:
    """What was not read of the older connection is dropped. The newer one begins with what was not confirmed."""
    server = await start(Faults(read_delay_ms=50))
    async with connected(server.websocket_url) as older, connected(server.websocket_url) as newer:
        for index in range(len(PIECES)):
            await older.send(chunk(index))
        await newer.send(chunk(0, about("r2")))
        await confirmed(newer)
        before = {u.metadata.request_id: len(u.chunks) for u in server.book.utterances.values()}
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(10):
                await older.recv()
        after = {u.metadata.request_id: len(u.chunks) for u in server.book.utterances.values()}
    assert before == after and after["r2"] == 1 and after.get("r1", 0) < len(PIECES)


# ---- pages of other sites, and other users of the machine


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},  # DNS rebinding
]


@pytest.mark.parametrize("page", FOREIGN, ids=["cross-site", "no origin", "rebinding"])
async def test_pages_of_other_sites_neither_read_texts_nor_use_a_fault(start: Start, page: dict[str, str]) -> None:
    server = await start()
    await deliver(server.websocket_url)
    crash = json.dumps({"crash_after_chunks": 1})
    async with aiohttp.ClientSession() as http:
        for method, path, body in [
            ("GET", "/received", None),
            ("DELETE", "/received", None),
            ("GET", "/misbehave", None),
            ("POST", "/misbehave", crash),
            ("DELETE", "/misbehave", None),
            ("POST", "/api/tts", json.dumps({"metadata": about("r2")})),
        ]:
            headers = page | {"Content-Type": "text/plain"}
            async with http.request(method, server.url + path, data=body, headers=headers) as answer:
                assert answer.status == 403, (method, path)
                text = await answer.text()
                assert "ORASERVER_HOSTS" in text and "안녕" not in text
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await http.ws_connect(server.websocket_url, headers=page)
        for path in ("/healthz", "/metrics"):
            async with http.get(server.url + path, headers=page) as answer:
                assert answer.status == 200
    assert only(await server.received()).complete
    assert server.misbehaviour.faults == Faults()


async def test_a_bridge_may_call_it_by_a_public_name(start: Start) -> None:
    server = await start()
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(server.websocket_url, headers={"Host": "tts.example.com"}) as ws:
            await ws.ping()
        async with http.get(server.url + "/received", headers={"Host": "tts.example.com"}) as answer:
            assert answer.status == 403, "it may be a page with DNS rebinding"


async def test_files_are_only_for_the_user_that_runs_it(start: Start, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        old = tmp_path / "old"
        old.mkdir(0o755)
        (old / "journal.jsonl").touch(0o644)
        for name in ("new/below/data", "old"):
            server = await start(name=name)
            await deliver(server.websocket_url)
    finally:
        os.umask(before)
    modes = {str(path.relative_to(tmp_path)): oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")}
    assert modes == {
        "new": "0o700",
        "new/below": "0o700",
        "new/below/data": "0o700",
        "new/below/data/journal.jsonl": "0o600",
        "new/below/data/1-r1.wav": "0o600",
        "old": "0o755",
        "old/journal.jsonl": "0o600",
        "old/1-r1.wav": "0o600",
    }
