"""A speech server whose answer never ends: the request fails with audio_too_long, and the answer is left at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orastream import Client
from orastream.contract.audio_messages import AudioChunk, AudioEnd
from orastream.contract.messages import Report
from tests.support.gpt_sovits_server import GptSovitsServer
from tests.support.gpt_sovits_speech import speech
from tests.support.gpt_sovits_voices import environment_of
from tests.support.services import Stack

pytestmark = pytest.mark.integration

RATE = 32_000
SENTENCE = "안녕하세요, 만나서 반갑습니다."
SAID: dict[str, Any] = {"phone_id": "p", "transport": "none", "language": "ko-KR", "format": "pcm16"}


@pytest.fixture
def server() -> Iterator[GptSovitsServer]:
    with GptSovitsServer() as server:
        yield server


async def _audio(client: Client, session: str, text: str, **fields: Any) -> tuple[bytes, AudioEnd, Report]:
    report = await client.say(text, session_id=session, fire_and_forget=False, **SAID, **fields)
    assert isinstance(report, Report)
    heard = [message async for message in client.audio(session, report.request_id, report.request_seq)]
    end = heard[-1]
    assert isinstance(end, AudioEnd)
    return b"".join(message.audio for message in heard if isinstance(message, AudioChunk)), end, report


async def test_an_answer_that_never_ends_fails_the_request_and_is_left(
    client: Client, stack: Stack, server: GptSovitsServer, tmp_path: Path
) -> None:
    """What was spoken before stays, no attempt follows, and the phrase cache keeps only whole sentences."""
    settings = environment_of(tmp_path, server)
    await stack.start(
        "synth",
        TTS_ENGINE="gpt_sovits",
        SYNTH_SLOTS=1,
        TTS_MAX_SENTENCE_AUDIO_SECONDS=3,
        TTS_PHRASE_CACHE=1,
        **settings,
    )
    first = "오늘은 무엇을 도와드릴까요?"
    whole, end, report = await _audio(client, "s", first)
    assert end.status == "complete" and report.status == "delivered" and whole == speech(first, RATE)
    server.calls.clear()

    server.misbehave("endless")
    audio, end, report = await _audio(client, "s", SENTENCE)
    assert end.status == report.status == "failed" and end.error is not None and report.error is not None
    assert end.error.code == report.error.code == "audio_too_long" and not report.error.retryable
    assert "TTS_MAX_SENTENCE_AUDIO_SECONDS" in report.error.message
    assert audio.startswith(speech(SENTENCE, RATE)) and len(audio) <= 3 * 2 * RATE
    assert len(audio) > 2 * 2 * RATE, "what was spoken before the limit is lost"
    (call,) = server.calls
    assert await asyncio.to_thread(call.done.wait, 10), "the server still sends"
    assert call.left_after_s is not None

    audio, end, report = await _audio(client, "s", SENTENCE)
    assert end.status == "complete" and audio == speech(SENTENCE, RATE), "the phrase cache has the broken-off sentence"
    assert server.violations == []


async def test_sentences_and_pauses_count_for_the_utterance(
    client: Client, stack: Stack, server: GptSovitsServer, tmp_path: Path
) -> None:
    settings = environment_of(tmp_path, server)
    await stack.start("synth", TTS_ENGINE="gpt_sovits", SYNTH_SLOTS=1, TTS_MAX_UTTERANCE_AUDIO_SECONDS=4, **settings)
    spoken_s = len(speech(SENTENCE, RATE)) / (2 * RATE)
    assert 1 < spoken_s < 2
    fits = f"<speak>{SENTENCE}<break time='2s'/>{SENTENCE[:3]}</speak>"
    _, end, _ = await _audio(client, "s", fits, ssml=True)
    assert end.status == "complete"
    audio, end, report = await _audio(client, "s", f"<speak>{SENTENCE}<break time='3s'/>{SENTENCE}</speak>", ssml=True)
    assert end.status == "failed" and report.error is not None and report.error.code == "audio_too_long"
    assert "TTS_MAX_UTTERANCE_AUDIO_SECONDS" in report.error.message
    assert audio and speech(SENTENCE, RATE).startswith(audio), "the chunks before the pause are lost, or follow it"
