"""Utterances of a voice agent over a real node: audio while it is written, cancels, errors, connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.client.complete_audio import SpeechFailed
from orastream.contract.errors import NodeUnavailable, UtteranceEnded, WaitTimeout
from orastream.contract.messages import Report
from orastream.integrations.speech import NodeSpeech, SpeechNode, SpeechPart
from tests.support.nats_accounts import AccountServer
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.speech_node import speech_node
from tests.support.tcp_server import serving

pytestmark = pytest.mark.integration

LONG = "One two three four five six seven eight nine ten. " * 12
"""About 40 s of speech, 8 s of synthesis."""
ENGLISH = {"language": "en-US", "sample_rate": 24_000}


@pytest.fixture(scope="module")
def node_logs() -> Logs:
    return {}


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    with speech_node(tmp_path_factory.mktemp("node"), node_logs) as stack:
        yield stack


@pytest.fixture
def guarded_node(tmp_path: Path, node_logs: Logs) -> Iterator[Stack]:
    with speech_node(tmp_path, node_logs, accounts=True) as stack:
        yield stack


@pytest.fixture
async def node(shared_node: Stack, node_logs: Logs, logs: Logs) -> AsyncIterator[SpeechNode]:
    logs.update(node_logs)
    node = SpeechNode(url=shared_node.nats_server.url)
    yield node
    await node.aclose()


async def outcome(node: SpeechNode, speech: NodeSpeech) -> Report:
    client = await node.open()
    return await client.wait(node.session_id, speech.request_id, 20)


async def read(speech: NodeSpeech) -> list[SpeechPart]:
    return [part async for part in speech]


async def test_audio_comes_while_the_text_is_written_with_its_words(node: SpeechNode) -> None:
    pieces = ["Good mor", "ning, dear ", "friends. How are", " you to", "day? \U0001f600"]
    async with node.utterance(**ENGLISH) as speech:
        for piece in pieces[:3]:
            await speech.write(piece)
        parts = aiter(speech)
        first = await anext(parts)  # the text is not complete yet
        assert first.audio
        for piece in pieces[3:]:
            await speech.write(piece)
        await speech.end(silence_s=10)
        rest = [part async for part in parts]
    audio = b"".join(part.audio for part in (first, *rest))
    words = [word for part in (first, *rest) for word in part.words]
    assert "".join(word.text for word in words) == "".join(pieces)
    assert [word.text for word in words][:3] == ["Good ", "morning, ", "dear "]
    times = [word.begin_ms for word in words]
    assert times == sorted(times) and words[-1].end_ms <= len(audio) / 48 + 1
    report = await outcome(node, speech)
    assert (report.status, report.transport) == ("delivered", "none")
    assert report.audio_seconds == pytest.approx(len(audio) / 48_000, abs=0.001)


async def test_leaving_the_block_cancels_the_request_at_once(node: SpeechNode) -> None:
    async with node.utterance(**ENGLISH) as speech:
        await speech.write(LONG)
        await anext(aiter(speech))
        left = time.monotonic()
    assert time.monotonic() - left < 0.1
    report = await outcome(node, speech)
    assert report.status == "cancelled" and time.monotonic() - left < 3


async def test_a_cancelled_task_cancels_the_request_after_the_end_of_its_text(node: SpeechNode) -> None:
    begun = asyncio.Event()

    async def speak(speech: NodeSpeech) -> None:
        async with speech:
            await speech.write(LONG)
            await speech.end()
            async for _ in speech:
                begun.set()

    speech = node.utterance(**ENGLISH)
    task = asyncio.create_task(speak(speech))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await outcome(node, speech)).status == "cancelled"


async def test_a_task_that_is_cancelled_while_it_enters_leaves_no_request(node: SpeechNode) -> None:
    await node.open()
    speech = node.utterance("Hello there.", **ENGLISH)
    task = asyncio.create_task(speech.__aenter__())
    await asyncio.sleep(0)  # it has begun, and the node has not answered
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await outcome(node, speech)).status == "cancelled"


async def test_a_cancel_by_somebody_else_ends_the_reader(node: SpeechNode) -> None:
    async with node.utterance(LONG, **ENGLISH) as speech:
        await speech.end()
        parts = aiter(speech)
        await anext(parts)
        await (await node.open()).cancel(node.session_id)
        with pytest.raises(UtteranceEnded, match="cancelled"):
            async for _ in parts:
                pass


async def test_the_nodes_error_reaches_the_reader(node: SpeechNode) -> None:
    async with node.utterance("Hello.", voice="nobody", language="en-US") as speech:
        await speech.end()
        with pytest.raises(SpeechFailed, match="nobody") as failed:
            await read(speech)
    assert (failed.value.error.code, failed.value.error.retryable) == ("invalid_request", False)


async def test_a_text_without_a_letter_has_no_audio(node: SpeechNode) -> None:
    async with node.utterance(**ENGLISH) as speech:
        await speech.write("… \U0001f600")
        await speech.end()
        parts = await read(speech)
    assert b"".join(part.audio for part in parts) == b""


@pytest.mark.parametrize("silent", ["synth", "nats-server"])
async def test_a_reader_does_not_wait_for_ever_for_a_node_that_is_silent(
    shared_node: Stack, node: SpeechNode, silent: str
) -> None:
    process = shared_node.only("synth") if silent == "synth" else shared_node.nats_server
    async with node.utterance("Hello. I write", **ENGLISH) as speech:
        parts = aiter(speech)
        first = await anext(parts)
        process.freeze()
        ending = asyncio.create_task(speech.end(silence_s=0.5))
        try:
            async with asyncio.timeout(10):
                with pytest.raises(WaitTimeout):
                    async for _ in parts:
                        pass
        finally:
            process.thaw()
            await ending
    assert first.audio


async def test_a_node_that_is_away_is_an_error_and_the_next_use_tries_again(tmp_path: Path, logs: Logs) -> None:
    server = NatsServer(tmp_path, logs, name="late-nats-server")
    node = SpeechNode(url=server.url, connect_timeout_s=0.2)
    node.prewarm()  # says nothing
    with pytest.raises(NodeUnavailable, match="no NATS server answers"):
        async with node.utterance("Hello."):
            pass
    with pytest.raises(NodeUnavailable, match="no NATS server answers"):
        await asyncio.wait_for(node.open(), 0.1)  # at once: the attempt before it has just failed
    await server.start()

    async def opens() -> bool:
        with contextlib.suppress(NodeUnavailable):
            await node.open()
            return True
        return False

    try:
        await until(opens, "a connection")
        await node.aclose()
    finally:
        server.kill()


async def test_closing_does_not_wait_for_a_server_that_does_not_answer() -> None:
    connected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()

    async with serving(silent) as port:
        node = SpeechNode(url=f"nats://127.0.0.1:{port}")
        node.prewarm()
        using = asyncio.create_task(node.open())
        await asyncio.wait_for(connected.wait(), 5)
        closing = time.monotonic()
        await node.aclose()
        assert time.monotonic() - closing < 1
        with pytest.raises(NodeUnavailable, match="closed before it was connected"):
            await using


async def test_a_connection_that_has_ended_for_good_is_replaced(node: SpeechNode) -> None:
    first = await node.open()
    assert await node.open() is first
    await first.broker.__aexit__(None, None, None)  # as when the server does not take the user any more
    async with node.utterance("Hello.", **ENGLISH) as speech:
        await speech.end()
        assert await read(speech)
    assert await node.open() is not first


async def test_a_connection_belongs_to_one_loop(node: SpeechNode) -> None:
    await node.open()
    with pytest.raises(RuntimeError, match="two event loops"):
        await asyncio.to_thread(asyncio.run, node.open())


def test_a_closed_loop_takes_its_connection_along(shared_node: Stack) -> None:
    node = SpeechNode(url=shared_node.nats_server.url)

    async def hello() -> int:
        async with node.utterance("Hello.", **ENGLISH) as speech:
            await speech.end()
            return len(await read(speech))

    async def both() -> int:
        count = await hello()
        await node.aclose()
        return count

    assert asyncio.run(both()) and asyncio.run(both())


async def test_a_caller_in_an_account_of_its_own_hears_through_the_gateway(
    guarded_node: Stack, node_logs: Logs, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.update(node_logs)
    assert isinstance(guarded_node.nats_server, AccountServer)
    for name, value in guarded_node.nats_server.env("shop").items():
        monkeypatch.setenv(name, value)
    node = SpeechNode()
    assert not await (await node.open()).reads.direct("TTS_AUDIO")
    async with node.utterance("Hello there. ", **ENGLISH) as speech:
        await speech.write("How are you?")
        await speech.end(silence_s=10)
        parts = await read(speech)
    assert "".join(word.text for part in parts for word in part.words) == "Hello there. How are you?"
    async with node.utterance(LONG, **ENGLISH) as speech:
        await anext(aiter(speech))
    assert (await outcome(node, speech)).status == "cancelled"
    await node.aclose()


async def test_a_client_of_the_callers_own_stays_open(shared_node: Stack) -> None:
    async with Client(shared_node.nats_server.url) as client:
        node = SpeechNode(client=client)
        async with node.utterance("Hello.", **ENGLISH) as speech:
            await speech.end()
            assert await read(speech)
        await node.aclose()
        assert await client.voices()
        with pytest.raises(TypeError, match="leave out creds"):
            SpeechNode(client=client, creds="x")
