"""TTS_MAX_SENTENCE_AUDIO_SECONDS holds for every engine: the request fails, and the engine's only place is free again.

gpt_sovits is in test_audio_limits. gpt_sovits_local needs its own environment; for synth it is an engine like pocket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orastream import Client
from orastream.contract.audio_messages import AudioChunk, AudioEnd
from orastream.contract.messages import Report
from tests.support.engines import install_choir_engine
from tests.support.gpt_sovits_speech import speech
from tests.support.pocket_model import RATE as POCKET_RATE
from tests.support.services import Stack
from tests.support.speech_server import RATE_HZ, SpeechServer
from tests.support.speech_settings import SENTENCE, speech_settings
from tests.support.torch_engines import TORCH_PYTHON, pocket_config, vits_voices

__all__ = ["pocket_config", "vits_voices"]

pytestmark = pytest.mark.integration

LONG = "오늘 날씨가 매우 좋습니다 그래서 우리는 공원에 갑니다 " * 4


async def _said(client: Client, text: str, **fields: Any) -> tuple[bytes, Report]:
    """The stored audio of a request, and its report."""
    said = {"session_id": "s", "phone_id": "p", "transport": "none", "language": "ko-KR", "format": "pcm16", **fields}
    report = await client.say(text, fire_and_forget=False, wait_s=100, **said)
    assert isinstance(report, Report)
    heard = [message async for message in client.audio("s", report.request_id, report.request_seq)]
    assert isinstance(heard[-1], AudioEnd)
    return b"".join(message.audio for message in heard if isinstance(message, AudioChunk)), report


async def _is_cut(client: Client, text: str, limit_s: float, rate_hz: int, **fields: Any) -> None:
    audio, report = await _said(client, text, **fields)
    assert report.status == "failed" and report.error is not None
    assert (report.error.code, report.error.retryable) == ("audio_too_long", False)
    assert 0 < len(audio) <= limit_s * 2 * rate_hz


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as server:
        yield server


async def test_speech_server_whose_answers_never_end(client: Client, stack: Stack, server: SpeechServer) -> None:
    """As many of them at once as the server may speak sentences: all of its places are free again."""
    settings = speech_settings(server, at_once=2)
    limit: dict[str, object] = {"TTS_MAX_SENTENCE_AUDIO_SECONDS": 3, "TTS_PHRASE_CACHE": True}
    await stack.start("synth", TTS_ENGINE="openai_speech", SYNTH_SLOTS=2, **limit, **settings)
    whole, report = await _said(client, "네, 그렇습니다.")
    assert report.status == "delivered" and whole == speech("네, 그렇습니다.", RATE_HZ)
    server.calls.clear()
    server.misbehave("endless", "endless")
    async with asyncio.timeout(30):
        await asyncio.gather(*(_is_cut(client, f"{number}번, 문장입니다.", 3, RATE_HZ) for number in range(2)))
    assert len(server.calls) == 2, "another attempt followed"
    for call in server.calls:
        assert await asyncio.to_thread(call.done.wait, 5) and call.left_after_s is not None, "the server still sends"
        assert call.sent_bytes < 16 << 20
    for _ in range(4):
        audio, report = await _said(client, SENTENCE)
        assert report.status == "delivered" and audio == speech(SENTENCE, RATE_HZ)


async def test_espeak(client: Client, stack: Stack) -> None:
    """An engine that pushes its audio and its words."""
    await stack.start("synth", SYNTH_SLOTS=1, TTS_MAX_SENTENCE_AUDIO_SECONDS=2)
    await _is_cut(client, LONG, 2, 22_050)
    assert (await _said(client, "네."))[1].status == "delivered"


async def test_engine_of_another_package(client: Client, stack: Stack, tmp_path: Path) -> None:
    """An engine that yields its audio and never ends."""
    install_choir_engine(tmp_path)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    choir: dict[str, object] = {"TTS_ENGINE": "choir", "CHOIR_AT_ONCE": 1, "PYTHONPATH": path}
    await stack.start("synth", SYNTH_SLOTS=1, TTS_MAX_SENTENCE_AUDIO_SECONDS=2, **choir)
    await _is_cut(client, "끝이 없습니다.", 2, 8_000, voice="endless")
    assert (await _said(client, "네."))[1].status == "delivered"


@pytest.mark.torch
@pytest.mark.timeout(400)
async def test_vits(client: Client, stack: Stack, vits_voices: Path) -> None:
    model = {"TTS_ENGINE": "vits", "ENGINE_PYTHON": TORCH_PYTHON, "TTS_MODEL_DIR": vits_voices, "TTS_THREADS": 1}
    await stack.start("synth", SYNTH_SLOTS=1, SYNTH_STALL_SECONDS=100, TTS_MAX_SENTENCE_AUDIO_SECONDS=3, **model)
    await _is_cut(client, LONG, 3, 16_000)
    assert (await _said(client, "네."))[1].status == "delivered"


@pytest.mark.torch
@pytest.mark.timeout(400)
async def test_pocket(client: Client, stack: Stack, pocket_config: Path) -> None:
    model = {"TTS_ENGINE": "pocket", "ENGINE_PYTHON": TORCH_PYTHON, "POCKET_CONFIG": pocket_config}
    await stack.start(
        "synth",
        SYNTH_SLOTS=1,
        SYNTH_STALL_SECONDS=100,
        TTS_MAX_SENTENCE_AUDIO_SECONDS=1,
        POCKET_LANGUAGE="ko-KR",
        **model,
    )
    for _ in range(2):
        await _is_cut(client, SENTENCE, 1, POCKET_RATE)
