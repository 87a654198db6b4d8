"""A whole node with the engine gpt_sovits: OraServer gets the audio of the GPT-SoVITS servers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orastream.client.async_client import Client
from orastream.contract.audio import PcmSpec, wav_header, with_true_sizes
from orastream.contract.messages import Report
from tests.support.gpt_sovits_server import GptSovitsServer
from tests.support.gpt_sovits_speech import speech
from tests.support.gpt_sovits_voices import environment_of
from tests.support.processes import until
from tests.support.services import Stack
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

RATE = 32_000
SENTENCES = ["안녕하세요, 만나서 반갑습니다.", "오늘은 무엇을 도와드릴까요?"]

LONG = "날씨가 아주 좋아서 오늘은 공원을 오래 걸었습니다 그리고 커피도 마셨습니다. 내일은 비가 온다고 합니다."


def file_of(*sentences: str) -> bytes:
    """The file that OraServer must have for these sentences."""
    pcm = b"".join(speech(sentence, RATE) for sentence in sentences)
    return bytes(with_true_sizes(bytearray(wav_header(PcmSpec(RATE)) + pcm)))


async def utterance(stack: Stack, request_id: str) -> dict[str, Any]:
    got = utterance_of(await stack.received(), request_id)
    assert got is not None and got["violations"] == [], got
    return got


async def test_oraserver_gets_the_audio_of_the_servers(stack: Stack, tmp_path: Path) -> None:
    """Over WebSocket, in chunks with the engine's name. A cancel closes the connection to the server at once."""
    with GptSovitsServer() as server, GptSovitsServer() as other:
        settings = environment_of(tmp_path, server, other)
        await stack.start("oraserver", "ws_bridge")
        await stack.start("synth", TTS_ENGINE="gpt_sovits", SYNTH_SLOTS=2, **settings)
        async with Client(stack.nats_server.url) as client:
            whole = " ".join(SENTENCES)
            report = await client.say(whole, session_id="s", phone_id="p", request_id="r1", fire_and_forget=False)
            assert isinstance(report, Report) and report.status == "delivered", report
            got = await utterance(stack, "r1")
            assert got["complete"] and got["sha256"] == sha256(file_of(*SENTENCES))
            assert got["engine"] == "GPT-sovits"

            server.misbehave("break")
            other.misbehave("break")
            report = await client.say(
                SENTENCES[0], session_id="s", phone_id="p", request_id="r2", fire_and_forget=False, voice="mina"
            )
            assert isinstance(report, Report) and report.status == "delivered", (
                "the sentence was not completed by another attempt"
            )
            assert (await utterance(stack, "r2"))["engine"] == "GPT-sovits"

            before = [*server.calls, *other.calls]
            server.misbehave("slow")
            other.misbehave("slow")
            await client.say(LONG, session_id="s", phone_id="p", request_id="r3")

            async def begun() -> bool:
                got = utterance_of(await stack.received(), "r3")
                return got is not None and got["chunks"] > 0

            await until(begun, "the first chunk is at OraServer", timeout_s=20)
            await client.cancel("s")
            report = await client.wait("s", "r3", 20)
            assert report.status == "cancelled"
            (last,) = [one for one in server.calls + other.calls if all(one is not earlier for earlier in before)]
            assert await asyncio.to_thread(last.done.wait, 5)
            assert last.left_after_s is not None, "the connection was not closed before the end of the sentence"
    assert server.violations == other.violations == []
