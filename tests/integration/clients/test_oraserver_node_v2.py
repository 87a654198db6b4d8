"""A bridge of protocol v2 delivers to the receiver of clients/oraserver-node over a real socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from orastream.contract.oraserver.from_bridge import CancelUtterances, SentenceText, StreamEnd
from orastream.contract.oraserver.from_server import (
    PlayedUntil,
    ServerError,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
)
from tests.support.node_bridge import EPOCH, SEQ, NodeApplication, NodeBridge, opening
from tests.support.processes import Logs, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]  # npm installs the compiler the first time

CREDIT = 65_536


@pytest.fixture
async def application(node_receiver_build: Path, tmp_path: Path, logs: Logs) -> AsyncIterator[NodeApplication]:
    """The receiver, which asks for checksums and reports what is played."""
    started = NodeApplication(node_receiver_build, tmp_path, logs, credit=CREDIT, crc=True, played=True)
    try:
        await started.start()
        yield started
    finally:
        started.kill()


def a_file(seed: int, size: int = 200_000) -> bytes:
    """A file whose bytes differ from those of another seed."""
    return random.Random(seed).randbytes(size)


async def test_a_fresh_utterance_is_sent_without_waiting_for_opened(application: NodeApplication) -> None:
    file = a_file(1, 50_000)
    async with NodeBridge.connected(application.url) as bridge:
        assert (bridge.hello.version, bridge.hello.credit, bridge.hello.crc, bridge.hello.played) == (
            2,
            CREDIT,
            True,
            True,
        )
        await bridge.send(opening(7, "r", fresh=True), SentenceText(7, 0, 0, "안녕하세요.", words=((0, 5, 0, 90),)))
        for at in range(0, len(file), 4_096):
            await bridge.audio(7, file, at, at + 4_096)
        await bridge.send(StreamEnd(7, "complete", len(file), 4_000))
        ack = await bridge.wait_for(StreamAck, stream=7, upto=len(file), size=len(file))
        assert (await bridge.wait_for(StreamOpened, stream=7)).upto == 0
        await bridge.wait_for(PlayedUntil, stream=7, ms=100, done=True)
    assert ack.seen == bridge.sent
    await heard(application, "r", file, "begin", "sentence", "words", "complete")


async def test_a_gap_and_a_damaged_frame_are_acknowledged_at_once_and_filled(application: NodeApplication) -> None:
    file = a_file(2, 30_000)
    async with NodeBridge.connected(application.url) as bridge:
        opened = await bridge.open(1, "r")
        await bridge.audio(1, file, 0, 10_000)
        await bridge.audio(1, file, 12_000, 20_000)  # a gap
        gap = await bridge.wait_for(StreamAck, stream=1, upto=10_000, ranges=((12_000, 20_000),))
        assert gap.seen == bridge.sent
        await bridge.audio(1, file, 10_000, 12_000, damaged=True)
        damaged = await bridge.wait_for(StreamAck, stream=1, upto=10_000, seen=bridge.sent)
        assert damaged.ranges == ((12_000, 20_000),)
        await bridge.audio(1, file, 9_000, 13_000)  # other borders than before
        filled = await bridge.wait_for(StreamAck, stream=1, upto=20_000)
        assert (filled.ranges, filled.seen) == ((), bridge.sent)
        await bridge.audio(1, file, 20_000, len(file))
        await bridge.send(StreamEnd(1, "failed", len(file), 1_000, code="engine_failed"))
        await bridge.wait_for(StreamAck, stream=1, upto=len(file), size=len(file))
    assert opened.limit == CREDIT
    await heard(application, "r", file, "begin", "interrupted")


async def test_after_a_break_the_utterance_goes_on(application: NodeApplication) -> None:
    file = a_file(3)
    upto = 0
    for attempt, end in enumerate((20_000, 50_000, 50_000, len(file)), start=1):
        async with NodeBridge.connected(application.url) as bridge:
            opened = await bridge.open(attempt, "r", attempt=attempt, acked=upto)
            assert opened.upto >= upto
            if end == len(file):
                await bridge.deliver(attempt, file, opened)
                break
            for at in range(opened.upto, end, 1_500):
                await bridge.audio(attempt, file, at, min(at + 1_500, end))
            upto = (await bridge.wait_for(StreamAck, stream=attempt)).upto
    async with NodeBridge.connected(application.url) as bridge:
        assert (await bridge.open(1, "r", attempt=9)).size == len(file)
        await bridge.wait_for(StreamAck, stream=1, upto=len(file), size=len(file))
    await heard(application, "r", file, "begin", "complete")


async def test_after_sigkill_no_byte_comes_twice_and_none_is_missing(application: NodeApplication) -> None:
    """It is killed when what it has confirmed was given, with bytes above a gap in its memory."""
    file = a_file(4)
    at = 0
    for attempt in range(1, 6):
        async with NodeBridge.connected(application.url) as bridge:
            opened = await bridge.open(attempt, "r", attempt=attempt)
            assert (opened.upto, opened.ranges) == (at, ())
            await bridge.audio(attempt, file, at, at + 20_000)
            await bridge.audio(attempt, file, at + 25_000, at + 30_000)
            await bridge.wait_for(StreamAck, stream=attempt, upto=at + 20_000, ranges=((at + 25_000, at + 30_000),))
            at += 20_000
            await heard(application, "r", file[:at], *["begin"] * attempt)
            application.kill()
            await application.start()
    async with NodeBridge.connected(application.url) as bridge:
        stale = await refusal(bridge, 1, "r", attempt=5)
        assert stale.code == "stale_epoch", "the fence survives, too"
        await bridge.deliver(2, file, await bridge.open(2, "r", attempt=6))
        await heard(application, "r", file, *["begin"] * 6, "complete")
        application.kill()
        await application.start()
    async with NodeBridge.connected(application.url) as bridge:
        assert (await bridge.open(1, "r", attempt=7)).upto == len(file)
    await heard(application, "r", file, *["begin"] * 6, "complete")


async def test_killed_at_any_moment_no_byte_comes_twice(application: NodeApplication) -> None:
    """It stores the application's offset first: so only what it was about to give when it was killed may be missing."""
    file = a_file(5, 3_000_000)
    chance = random.Random(5)
    attempt = 0
    while True:
        attempt += 1
        async with NodeBridge.connected(application.url) as bridge:
            opened = await bridge.open(1, "r", attempt=attempt)
            if attempt > 8:
                await bridge.deliver(1, file, opened)
                break
            delivering = asyncio.create_task(bridge.deliver(1, file, opened))
            step = chance.randrange(1, 200_000)
            with contextlib.suppress(AssertionError):  # the whole file may be there before
                await bridge.wait_for(StreamAck, stream=1, above=opened.limit + step)
            application.kill()
            with contextlib.suppress(ConnectionClosed, AssertionError):
                await delivering
            await application.start()

    async def is_complete() -> bool:
        return "complete" in application.names("r")

    await until(is_complete, "the end", timeout_s=30)
    at, lost = 0, 0
    restarted = True
    for call in application.called("r"):
        if call["call"] == "audio":
            piece = base64.b64decode(call["data"])
            assert call["at"] >= at, f"{call['at']} came after {at} bytes"
            assert call["at"] == at or restarted, f"a byte is missing at {at}, without a restart"
            assert piece == file[call["at"] : call["at"] + len(piece)]
            lost += call["at"] - at
            at = call["at"] + len(piece)
        restarted = call["call"] != "audio" and (restarted or call["call"] == "start")
    assert at == len(file)
    assert lost <= 8 * CREDIT


async def heard(application: NodeApplication, request: str, audio: bytes, *calls: str) -> None:
    """Wait until the application has had this audio and these calls. An `ack` says that bytes are stored, not that."""

    async def it_has() -> bool:
        return len(application.audio(request)) == len(audio) and len(application.names(request)) >= len(calls)

    await until(it_has, f"the audio of {request}", timeout_s=30)
    assert application.audio(request) == audio
    assert application.names(request) == list(calls)


async def refusal(bridge: NodeBridge, stream: int, request: str, **more: object) -> ServerError:
    """Open a stream; returns the error with which it is refused."""
    await bridge.send(opening(stream, request, **more))
    return await bridge.wait_for(ServerError, stream=stream)


async def test_a_cancel_silences_the_phone_and_is_repeated_with_the_same_answer(application: NodeApplication) -> None:
    file = a_file(6)
    cancel = CancelUtterances("s", EPOCH, before=SEQ + 1)
    async with NodeBridge.connected(application.url) as bridge:
        await bridge.open(1, "r", session="s")
        await bridge.audio(1, file, 0, 10_000)
        await heard(application, "r", file[:10_000], "begin")
        await bridge.send(cancel)
        cleared = await bridge.wait_for(UtterancesCleared, session="s")
        assert (cleared.utterances, cleared.before, cleared.seq) == ((("r", SEQ, 42),), SEQ + 1, None)
        await bridge.audio(1, file, 10_000, 20_000)  # it was on its way
        await bridge.deliver(2, file, await bridge.open(2, "r2", session="s", seq=SEQ + 1, attempt=2))
        await heard(application, "r2", file, "begin", "complete")
    application.kill()
    await application.start()
    async with NodeBridge.connected(application.url) as bridge:
        await bridge.send(cancel)
        assert await bridge.wait_for(UtterancesCleared, session="s") == cleared
        assert (await refusal(bridge, 1, "r", session="s", attempt=3)).code == "cancelled"
        assert (await refusal(bridge, 2, "r0", session="s", seq=SEQ - 1, attempt=4)).code == "cancelled"
        await bridge.send(CancelUtterances("unknown", EPOCH, seq=SEQ))
        assert (await bridge.wait_for(UtterancesCleared, session="unknown", seq=SEQ)).utterances == ()
    await heard(application, "r", file[:10_000], "begin", "interrupted")


async def test_a_bridge_that_was_superseded_cannot_write(application: NodeApplication) -> None:
    file = a_file(7)
    async with NodeBridge.connected(application.url) as old, NodeBridge.connected(application.url) as new:
        await old.open(1, "r")
        await old.audio(1, file, 0, 5_000)
        await old.wait_for(StreamAck, stream=1, upto=5_000)
        opened = await new.open(1, "r", epoch=EPOCH + 1, attempt=0)
        assert opened.upto == 5_000
        await old.audio(1, file, 5_000, 10_000)
        await old.send(CancelUtterances("session of r", EPOCH, before=SEQ + 1))
        assert (await old.wait_for(ServerError, session="session of r")).code == "stale_epoch"
        assert (await refusal(old, 2, "r", attempt=99)).code == "stale_epoch"
        await new.deliver(1, file, opened)
    await heard(application, "r", file, "begin", "complete")


async def test_streams_are_interleaved_and_a_stalled_phone_holds_up_only_its_own(application: NodeApplication) -> None:
    files = {f"r{number}": a_file(number, 100_000 + number) for number in range(20)}
    async with NodeBridge.connected(application.url) as bridge:
        await bridge.open(1, "stalled", phone="stalled 1")
        await bridge.audio(1, a_file(0), 0, 1_000)

        async def has_its_first_piece() -> bool:
            return len(application.audio("stalled")) == 1_000

        await until(has_its_first_piece, "audio for the stalled phone", timeout_s=30)
        for at in range(1_000, CREDIT, 8_192):
            await bridge.audio(1, a_file(0), at, min(at + 8_192, CREDIT))

        async def one(stream: int, request: str, file: bytes) -> None:
            await bridge.deliver(stream, file, await bridge.open(stream, request), frame=700 + 90 * stream)

        openings = [one(stream, *item) for stream, item in enumerate(files.items(), start=2)]
        await asyncio.gather(*openings)
        stalled = await bridge.wait_for(StreamAck, stream=1, upto=CREDIT)
        assert stalled.limit == CREDIT
    for request, file in files.items():
        await heard(application, request, file, "begin", "complete")
    assert len(application.audio("stalled")) == 1_000


async def test_a_broken_rule_ends_the_connection_and_the_utterance_goes_on_over_another(
    application: NodeApplication,
) -> None:
    file = a_file(8)
    async with NodeBridge.connected(application.url) as bridge:
        await bridge.open(1, "r")
        await bridge.audio(1, file, CREDIT - 10, CREDIT + 1)
        error = await bridge.wait_for(ServerError, fatal=True)
        assert error.stream is None
        assert await bridge.closed() == 1002
    async with NodeBridge.connected(application.url) as bridge:
        await bridge.deliver(1, file, await bridge.open(1, "r", attempt=2))
    await heard(application, "r", file, "begin", "complete")


async def test_a_connection_without_v2_is_one_of_v1(application: NodeApplication) -> None:
    file = a_file(9, 3_000)
    async with connect(application.url, compression=None) as socket:
        assert socket.subprotocol is None
        await socket.send(json.dumps({"type": "init", "session_id": "s", "phone_id": "p"}))
        metadata = {"sessionId": "s", "requestId": "r", "phoneId": "p"}
        audio = base64.b64encode(file).decode()
        chunk = {"audioDataBase64": audio, "fileName": "r.wav", "chunkIndex": 0, "isFirst": True, "metadata": metadata}
        await socket.send(json.dumps(chunk))
        await socket.send(json.dumps({"status": "complete", "totalChunks": 1, "metadata": metadata}))
        await asyncio.wait_for(await socket.ping(), 15)
    calls = [(call["call"], call.get("transport")) for call in application.called("r")]
    assert calls == [("start", None), ("audio", "websocket"), ("complete", None)]
    assert application.audio("r") == file
