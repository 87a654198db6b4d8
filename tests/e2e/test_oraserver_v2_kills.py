"""Protocol v2 while bridges and OraServer are killed in mid-utterance: each byte arrives once, and in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.jetstream.api import JetStream
from services.oraserver.app import OraServer, serve
from services.oraserver.listing import ReceivedStream
from tests.chaos.streams.kills import SETTINGS, Kills, KillsPlan
from tests.support import inprocess
from tests.support.processes import Logs
from tests.support.scenes import running_node, scene_on
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def slow_v2_node(tmp_path: Path, logs: Logs) -> Iterator[Stack]:
    with running_node(tmp_path, logs, **SETTINGS) as stack:
        yield stack


async def test_ten_kills_in_mid_utterance(slow_v2_node: Stack) -> None:
    """Two bridges and one OraServer, which keeps what it stored. Each is started again at once."""
    async with scene_on(slow_v2_node, "kills") as scene:
        outcome = await Kills(scene, KillsPlan(kills=10)).run()
    assert not outcome.problems, outcome.problems[:5]
    assert outcome.killed.total() == 10 and outcome.in_two_processes


@pytest.mark.parametrize("audio_format", ["wav", "opus"])
async def test_each_word_comes_once_after_a_synth_is_killed(
    js: JetStream, stack: Stack, tmp_path: Path, audio_format: str
) -> None:
    """OraServer has the words of both attempts, once, and each before its audio. They are those that are stored."""
    text, client = (
        "오늘은 2025년 3월 15일입니다. 네, 알겠습니다. 내일 오후 3시 30분에 서울역에서 만나요. " * 2,
        Client(js.broker),
    )
    async with (
        serve(OraServer(tmp_path / "oraserver")) as oraserver,
        inprocess.running_node(js.broker.url, oraserver.url, ("ws_bridge",), oraserver_protocol="auto"),
    ):
        dies = stack.add("synth", TTS_ENGINE_RTF=0.5, SYNTH_SLOTS=1)
        await dies.start()
        options = {"session_id": "s", "phone_id": "p", "request_id": "r", "fire_and_forget": True}
        said = await client.say(text, format=audio_format, **options)
        async with aclosing(client.audio("s", "r", said.request_seq)) as messages:
            async for message in messages:
                if isinstance(message, AudioChunk) and message.index >= 4:
                    break
        dies.kill()
        await stack.start("synth", SYNTH_SLOTS=1)
        assert (await client.wait("s", "r", 60)).status == "delivered"
        stored = [message async for message in client.audio("s", "r", said.request_seq)]
        listing = await oraserver.received("s")
    (got,) = listing.utterances
    assert isinstance(got, ReceivedStream) and listing.violations == 0, listing
    assert sum(isinstance(message, AudioStart) for message in stored) == 2
    chunks = [message for message in stored if isinstance(message, AudioChunk)]
    words = [(w.sentence, w.first, w.end - w.first, w.begin_ms, w.end_ms) for chunk in chunks for w in chunk.words]
    assert [(s.n, *word) for s in got.sentences for word in s.words or ()] == words != []
