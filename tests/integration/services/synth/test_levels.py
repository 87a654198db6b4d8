"""A synth with TTS_LOUDNESS_LUFS: what it stores, and under which version."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from orastream import Client
from orastream.contract.audio_messages import AudioChunk, AudioStart
from orastream.contract.messages import Report
from services.synth.audio.gain import amplified
from tests.support.services import ServiceProcess, Stack
from tests.support.speech import spoken_file

pytestmark = pytest.mark.integration

TEXT = "안녕하세요. 반갑습니다."


async def _audio(client: Client, session: str, **fields: Any) -> tuple[bytes, str]:
    """Returns the samples and the version of the engine."""
    report = await client.say(
        TEXT, session_id=session, phone_id="p", transport="none", format="pcm16", fire_and_forget=False, **fields
    )
    assert isinstance(report, Report) and report.status == "delivered"
    heard = [message async for message in client.audio(session, report.request_id, report.request_seq)]
    (version,) = {message.engine_version for message in heard if isinstance(message, AudioStart)}
    return b"".join(message.audio for message in heard if isinstance(message, AudioChunk)), version or ""


async def test_a_synth_applies_the_gain_that_it_has_measured(client: Client, stack: Stack) -> None:
    await stack.start("synth", TTS_ENGINE="espeak", SYNTH_SLOTS=2, TTS_LOUDNESS_LUFS=-30, TTS_PHRASE_CACHE=1)
    plain = (await spoken_file(TEXT, voice="ko"))[44:]
    for session in ("first", "again"):  # the second one may come from the phrase cache
        audio, version = await _audio(client, session, voice="ko", language="ko-KR")
        mark = version[version.rindex("-") :]
        assert mark.endswith("dB") and -15 < float(mark[:-2]) < -5
        assert audio == amplified(plain, float(mark[:-2]))
    chosen, version = await _audio(client, "without", language="ko-KR")
    assert chosen == audio and "+levels-" in version
    (listed,) = {voice.version for voice in await client.voices() if voice.name == "ko"}
    assert listed and "dB" not in listed and "levels" not in listed


async def _lacks(synth: ServiceProcess) -> bytes:
    """Why the service is not ready; empty before it answers."""
    try:
        return (await synth.get("/readyz"))[1]
    except OSError:
        return b""


async def test_a_synth_ends_at_once_while_it_measures(stack: Stack) -> None:
    synth = stack.add("synth", TTS_ENGINE="espeak", SYNTH_SLOTS=1, TTS_LOUDNESS_LUFS=-30)
    synth.launch()
    clock = asyncio.get_running_loop().time
    async with asyncio.timeout(30):
        while b"is being measured" not in await _lacks(synth):
            await asyncio.sleep(0.05)
    began = clock()
    synth.signal(signal.SIGTERM)
    assert await synth.ended(30) == 0
    assert clock() - began < 6.0
    assert "loudness of the voices measured" not in synth.text(), "it had measured all voices, so this shows nothing"
