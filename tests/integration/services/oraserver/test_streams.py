"""The reference OraServer speaks protocol v2 over real sockets: negotiation, faults, kill -9, and what it lists."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from orastream.contract.oraserver.from_server import unpack_from_server
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import CRASH_EXIT_CODE, Faults
from services.oraserver.listing import Listing, ReceivedStream
from services.oraserver.v2.terms import StreamTerms
from tests.support.bridge_frames import HELLO, audio, end, fresh, text
from tests.support.streaming_bridge import Spoken, StreamingBridge, wav

pytestmark = pytest.mark.integration

V1, V2 = Subprotocol("orastream.v1"), Subprotocol("orastream.v2")
WITHIN_S = 30.0

Start = Callable[..., Awaitable[OraServer]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def start(faults: Faults | None = None, **terms: Any) -> OraServer:
            server = OraServer(tmp_path / "data", faults=faults, terms=StreamTerms(**terms))
            return await stack.enter_async_context(serve(server))

        yield start


@asynccontextmanager
async def connected(url: str, *offer: Subprotocol) -> AsyncIterator[ClientConnection]:
    async with websockets.connect(
        url, subprotocols=list(offer) or [V2], compression=None, ping_interval=None, close_timeout=2
    ) as ws:
        yield ws


async def receive(ws: ClientConnection) -> WireMessage:
    frame = await ws.recv()
    assert isinstance(frame, bytes)
    message = unpack_from_server(frame)
    assert message is not None
    return message


async def run(bridge: StreamingBridge, ws: ClientConnection, until: Callable[[], bool]) -> None:
    """Exchange frames until the condition holds. Raises ConnectionClosed."""
    async with asyncio.timeout(WITHIN_S):
        while not until():
            while bridge.out:
                await ws.send(bridge.out.popleft())
            if bridge.pump():
                continue
            bridge.receive(await receive(ws))


async def deliver(
    address: Callable[[], str], *spoken: Spoken, bridge: StreamingBridge | None = None
) -> StreamingBridge:
    """Deliver the utterances, over as many connections as it takes."""
    bridge = bridge or StreamingBridge()
    async with asyncio.timeout(WITHIN_S):
        while not all(one.delivered for one in spoken):
            try:
                async with connected(address()) as ws:
                    bridge.connect()
                    bridge.receive(await receive(ws))
                    await attempt(bridge, ws, spoken)
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.05)  # until the server is there again
    return bridge


async def attempt(bridge: StreamingBridge, ws: ClientConnection, spoken: tuple[Spoken, ...]) -> None:
    """Deliver over one connection what is not delivered, opening again what the server refuses."""
    for one in spoken:
        if not one.delivered:
            bridge.open(one, fresh=one.opens == 0)
    while not all(one.delivered for one in spoken):
        await run(bridge, ws, lambda: all(one.delivered or one.error is not None for one in spoken))
        for one in spoken:
            if one.error is not None:
                one.error = None
                bridge.open(one)


def streams_of(listing: Listing) -> dict[str, ReceivedStream]:
    return {one.request_id: one for one in listing.utterances if isinstance(one, ReceivedStream)}


def utterances(*sizes: int) -> list[Spoken]:
    return [Spoken(wav(size, n), n, f"s{n}", f"r{n}", f"p{n}") for n, size in enumerate(sizes, 1)]


def file_of(spoken: Spoken) -> bytes:
    return wav(len(spoken.file) - 44, spoken.seq, true_sizes=True)


@pytest.mark.parametrize(
    ("protocol", "offer", "selected"),
    [("auto", (V1, V2), V2), ("auto", (V1,), None), ("v1", (V1, V2), None), ("first", (V1, V2), V1)],
)
async def test_negotiation(start: Start, protocol: str, offer: tuple[Subprotocol, ...], selected: str | None) -> None:
    server = await start(protocol=protocol)
    headers = {"session-id": "s1", "phone-id": "p1"}
    async with websockets.connect(server.websocket_url, subprotocols=list(offer), additional_headers=headers) as ws:
        assert ws.subprotocol == selected
        if selected == V2:
            assert await receive(ws) == server.streams.terms.hello
        else:  # a connection of v1
            await ws.send(json.dumps({"type": "init", "session_id": "s1", "phone_id": "p1"}))
            await (await ws.ping())
    assert (await server.received()).violations == 0


async def test_any_offer_can_be_refused(start: Start) -> None:
    server = await start(protocol="refuse")
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connected(server.websocket_url, V1, V2):
            pass
    assert refused.value.response.status_code == 400
    async with websockets.connect(server.websocket_url):
        pass


async def test_an_utterance_is_listed_as_one_of_v1_and_more(start: Start) -> None:
    server = await start()
    (spoken,) = utterances(50_000)
    bridge = await deliver(lambda: server.websocket_url, spoken)
    async with aiohttp.ClientSession(server.url) as http:
        async with http.get("/received", params={"session": "s1"}) as answer:
            (entry,) = (await answer.json())["utterances"]
        async with http.get("/streams") as answer:
            state = await answer.json()
        async with http.get("/metrics") as answer:
            assert "orastream_oraserver_completed_total 1" in await answer.text()
    assert bridge.problems == []
    assert (entry["requestId"], entry["text"], entry["texts"]) == ("r1", "안녕하세요.", ["안녕하세요."])
    assert (entry["complete"], entry["ended"], entry["bytes"], entry["repeats"]) == (True, None, 50_044, 0)
    assert (entry["protocol"], entry["state"], entry["format"], entry["breaks"]) == ("v2", "whole", "wav", 0)
    assert entry["sentences"] == [{"n": 0, "ms": 0, "text": "안녕하세요.", "from": 0, "to": 6, "words": None}]
    assert entry["file"] == "v2/1-r1.wav" and entry["sha256"] == hashlib.sha256(file_of(spoken)).hexdigest()
    assert (server.store.data_dir / entry["file"]).read_bytes() == file_of(spoken)
    assert entry["violations"] == []
    assert state["sessions"][0] | {"session": "s1", "epoch": 1, "try": 1} == state["sessions"][0]
    assert state["counts"]["audio_bytes"] == 50_044
    assert (
        Listing.model_validate_json((await server.received()).model_dump_json(by_alias=True)) == await server.received()
    )


async def test_v1_and_v2_are_served_side_by_side(start: Start) -> None:
    server = await start()
    await deliver(lambda: server.websocket_url, *utterances(1_000))
    async with websockets.connect(
        server.websocket_url, additional_headers={"session-id": "s9", "phone-id": "p9"}
    ) as ws:
        await ws.send(json.dumps({"type": "init", "session_id": "s9", "phone_id": "p9"}))
        await ws.send(b"\0")
        await (await ws.ping())
    listing = await server.received()
    assert [violation.rule for violation in listing.connection_violations] == ["binary-frame"]
    assert list(streams_of(listing)) == ["r1"]
    server.forget()
    assert (await server.received()).utterances == []
    assert (server.store.data_dir / "v2/1-r1.wav").exists()


FAULTS = {
    "drop": Faults(drop_audio=0.3),
    "damage": Faults(damage_audio=0.3),
    "ask again": Faults(ask_again=0.5),
    "late acks": Faults(ack_delay_ms=50),
    "close": Faults(close_connection=0.05),
    "abort": Faults(drop_after_chunks=5, times=3),
    "busy": Faults(open_error="busy", open_errors=4),
    "failed": Faults(open_error="failed", open_errors=4),
    "everything": Faults(drop_audio=0.2, damage_audio=0.2, ask_again=0.3, ack_delay_ms=10, close_connection=0.02),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
async def test_each_byte_is_given_once_whatever_happens(start: Start, faults: Faults) -> None:
    server = await start(faults, crc=True, credit=8_192, played=True)
    spoken = utterances(60_000, 30_000, 100)
    bridge = await deliver(lambda: server.websocket_url, *spoken)
    listing = await server.received()
    assert bridge.problems == [] and listing.violations == 0
    for one in spoken:
        entry = streams_of(listing)[one.request]
        assert (server.store.data_dir / entry.file).read_bytes() == file_of(one)
    counts = server.streams.counts
    if faults.close_connection == 0 and faults.drop_after_chunks is None:
        lost = counts.dropped_bytes + counts.damaged_bytes + counts.duplicate_bytes
        assert counts.retransmitted_bytes == lost, "only what was lost comes again"
    if faults.drop_audio and not faults.ask_again:
        assert counts.duplicate_bytes == 0


async def test_a_lost_final_ack_comes_with_the_next_open(start: Start) -> None:
    server = await start(Faults(lose_acks=1))
    (spoken,) = utterances(60_000)
    bridge = StreamingBridge()
    async with connected(server.websocket_url) as ws:
        bridge.receive(await receive(ws))
        bridge.open(spoken, fresh=True)
        await run(bridge, ws, lambda: bridge.streams[1].ended and not bridge.out)
        async with asyncio.timeout(WITHIN_S):
            while server.streams.counts.lost_acks == 0 or server.streams.store.utterances[1].final is None:
                await asyncio.sleep(0.01)
        assert not spoken.delivered
        server.misbehaviour.set(Faults())
    await deliver(lambda: server.websocket_url, spoken, bridge=bridge)
    entry = streams_of(await server.received())["r1"]
    assert (entry.breaks, entry.retransmitted_bytes, entry.violations, bridge.problems) == (1, 0, [], [])


async def test_a_stalled_phone_does_not_stop_the_others(start: Start) -> None:
    server = await start(Faults(stall_phone="p1"), credit=4_096)
    first, second = utterances(30_000, 30_000)
    bridge = StreamingBridge()
    async with connected(server.websocket_url) as ws:
        bridge.receive(await receive(ws))
        for one in (first, second):
            bridge.open(one, fresh=True)
        await run(bridge, ws, lambda: second.delivered)
        assert not first.delivered
        async with aiohttp.ClientSession(server.url) as http, http.delete("/misbehave") as answer:
            assert answer.status == 204
        await run(bridge, ws, lambda: first.delivered)
    assert (await server.received()).violations == 0


async def test_pages_of_other_sites_neither_read_nor_change_the_streams(start: Start) -> None:
    server = await start()
    await deliver(lambda: server.websocket_url, *utterances(100))
    async with aiohttp.ClientSession(server.url, headers={"Origin": "https://evil.example"}) as http:
        for method, path in (("GET", "/streams"), ("DELETE", "/streams"), ("DELETE", "/streams/connections")):
            async with http.request(method, path) as answer:
                assert answer.status == 403, (method, path)
    assert len(streams_of(await server.received())) == 1


async def test_files_are_only_for_the_user_that_runs_it(start: Start) -> None:
    before = os.umask(0)
    try:
        server = await start()
        await deliver(lambda: server.websocket_url, *utterances(100))
    finally:
        os.umask(before)
    folder = server.store.data_dir / "v2"
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (folder, *folder.iterdir())} == {
        "v2": "0o700",
        "journal.jsonl": "0o600",
        "application.jsonl": "0o600",
        "1.part": "0o600",
        "1-r1.wav": "0o600",
    }


async def test_connections_are_closed_by_control(start: Start) -> None:
    server = await start(Faults(stall_phone="p1"), credit=4_096)
    (spoken,) = utterances(30_000)
    delivery = asyncio.create_task(deliver(lambda: server.websocket_url, spoken))
    async with aiohttp.ClientSession(server.url) as http:
        async with asyncio.timeout(WITHIN_S):
            while server.streams.counts.audio_bytes < 4_096:
                await asyncio.sleep(0.01)
        async with http.delete("/streams/connections", params={"number": "7"}) as answer:
            assert (answer.status, server.streams.counts.closed_connections) == (204, 0)
        async with http.post("/misbehave", json={}):
            pass
        async with http.delete("/streams/connections", params={"number": "1"}) as answer:
            assert (answer.status, server.streams.counts.closed_connections) == (204, 1)
    await delivery
    entry = streams_of(await server.received())["r1"]
    assert (entry.breaks, entry.connections, entry.violations) == (1, 2, [])


async def test_it_forgets_by_control(start: Start) -> None:
    server = await start(Faults(real_time=True), credit=4_096)
    (spoken,) = utterances(8_000)
    delivery = asyncio.create_task(deliver(lambda: server.websocket_url, spoken))
    async with asyncio.timeout(WITHIN_S):
        while spoken.acked == 0:
            await asyncio.sleep(0.01)
    async with aiohttp.ClientSession(server.url) as http, http.delete("/streams") as answer:
        assert answer.status == 204
    await delivery
    assert server.streams.counts.forgotten == 1 and server.streams.counts.forgotten_bytes > 0
    entry = streams_of(await server.received())["r1"]
    assert (entry.file, entry.violations) == ("v2/2-r1.wav", [])


@pytest.mark.parametrize(
    "frame", ["text", b"\xc1", audio(0, 10).pack(), HELLO.pack()], ids=["text", "junk", "stream", "hello"]
)
async def test_a_fatal_violation_closes_with_1002(start: Start, frame: str | bytes) -> None:
    server = await start()
    async with connected(server.websocket_url) as ws, asyncio.timeout(WITHIN_S):
        await receive(ws)
        await ws.send(HELLO.pack())
        await ws.send(frame)
        error: Any = await receive(ws)
        assert (error.code, error.fatal) == ("protocol", True)
        await ws.wait_closed()
        assert ws.close_code == 1002
    assert (await server.received()).violations == 1


async def test_open_connections_are_closed_with_1001_at_the_end(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        async with serve(OraServer(tmp_path)) as server:
            ws = await stack.enter_async_context(connected(server.websocket_url))
            await receive(ws)
        await ws.wait_closed()
        assert ws.close_code == 1001


# ---- the process


@asynccontextmanager
async def process(folder: Path, *flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    command = [sys.executable, "-m", "services.oraserver", "--port", "0", "--data-dir", str(folder), *flags]
    running = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    try:
        line = (await running.stdout.readline()).decode()
        assert line.startswith("listening on http://127.0.0.1:")
        yield running, line.removeprefix("listening on http").strip()
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def listed(url: str) -> Listing:
    async with aiohttp.ClientSession(f"http{url}") as http, http.get("/received") as answer:
        return Listing.model_validate_json(await answer.read())


def given_once(folder: Path, number: int) -> set[int]:
    """The processes that have given the application bytes of an utterance: without a gap, and each byte once."""
    lines = [json.loads(line) for line in (folder / "v2/application.jsonl").read_text().splitlines()]
    mine = [line for line in lines if line["number"] == number]
    assert [line["from"] for line in mine] == [0, *(line["to"] for line in mine[:-1])]
    return {line["process"] for line in mine}


async def test_it_goes_on_exactly_after_kill_9(tmp_path: Path) -> None:
    spoken = utterances(300_000, 250_000)
    bridge, pids = StreamingBridge(), []
    for _ in range(3):
        async with process(tmp_path, "--credit", "16384") as (running, url), connected(f"ws{url}/ws/tts") as ws:
            pids.append(running.pid)
            bridge.connect()
            bridge.receive(await receive(ws))
            for one in spoken:
                bridge.open(one, fresh=one.opens == 0)
            enough = sum(one.acked for one in spoken) + 60_000
            await run(bridge, ws, lambda enough=enough: sum(one.acked for one in spoken) >= enough)  # type: ignore[misc]
            os.kill(running.pid, signal.SIGKILL)
            assert await running.wait() == -signal.SIGKILL
            assert not any(one.delivered for one in spoken)
    async with process(tmp_path) as (_, url):
        await deliver(lambda: f"ws{url}/ws/tts", *spoken, bridge=bridge)
        listing = await listed(url)
    assert bridge.problems == [] and listing.violations == 0
    for one in spoken:
        entry = streams_of(listing)[one.request]
        assert (tmp_path / entry.file).read_bytes() == file_of(one)
        assert (entry.breaks, entry.connections) == (3, 4)
        assert set(pids) < given_once(tmp_path, one.seq)


async def test_it_dies_in_mid_utterance_on_demand(tmp_path: Path) -> None:
    (spoken,) = utterances(100_000)
    bridge = StreamingBridge()
    async with process(tmp_path, "--crash-after-bytes", "50000") as (running, url):
        with pytest.raises((OSError, websockets.WebSocketException)):
            async with connected(f"ws{url}/ws/tts") as ws:
                bridge.receive(await receive(ws))
                bridge.open(spoken, fresh=True)
                await run(bridge, ws, lambda: spoken.delivered)
        assert await running.wait() == CRASH_EXIT_CODE
    async with process(tmp_path, "--fsync", "--crc", "--formats", "wav") as (_, url):
        await deliver(lambda: f"ws{url}/ws/tts", spoken, bridge=bridge)
        listing = await listed(url)
    assert (tmp_path / streams_of(listing)["r1"].file).read_bytes() == file_of(spoken)
    assert len(given_once(tmp_path, 1)) == 2 and bridge.hello is not None
    assert (bridge.hello.crc, bridge.hello.formats, listing.violations) == (True, ("wav",), 0)


async def test_cancels_and_fences_survive_kill_9(tmp_path: Path) -> None:
    bridge = StreamingBridge(epoch=7)
    (spoken,) = utterances(10_000)
    async with process(tmp_path) as (running, url), connected(f"ws{url}/ws/tts") as ws:
        bridge.receive(await receive(ws))
        bridge.cancel("s1", before=2)
        await run(bridge, ws, lambda: bool(bridge.cleared))
        running.kill()
    late, older = StreamingBridge(epoch=7), StreamingBridge(epoch=6)
    async with process(tmp_path) as (_, url):
        for one in (late, older):
            async with connected(f"ws{url}/ws/tts") as ws:
                one.receive(await receive(ws))
                one.open(spoken)
                await run(one, ws, lambda one=one: bool(one.errors))  # type: ignore[misc]
    assert [error.code for error in (*late.errors, *older.errors)] == ["cancelled", "stale_epoch"]


async def test_a_full_session_over_plain_frames(start: Start) -> None:
    server = await start(played=True)
    async with connected(server.websocket_url) as ws, asyncio.timeout(WITHIN_S):
        for message in (HELLO, fresh(), text(), audio(0, 1_600), end(1_600)):
            await ws.send(message.pack())
        kinds = [type(await receive(ws)).__name__ for _ in range(5)]
    assert kinds == ["ServerHello", "StreamOpened", "StreamAck", "StreamAck", "PlayedUntil"]
