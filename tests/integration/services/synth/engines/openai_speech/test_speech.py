"""The engine openai_speech with a speech server on a real socket: in its own process, and on threads of this one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.synth.engine_pool.pool import EnginePool
from services.synth.engines.base import EngineError, SentenceRefused, UnknownVoice
from tests.support.engines import LOG, eventually, spoken
from tests.support.gpt_sovits_speech import speech
from tests.support.speech_server import RATE_HZ, SpeechFault, SpeechServer
from tests.support.speech_settings import SENTENCE, loaded, say, speech_settings, voices_file

pytestmark = pytest.mark.integration

LONG = "오늘은 날씨가 아주 좋아서 공원을 오래 걸었습니다" * 2
WHOLE = speech(SENTENCE, RATE_HZ)


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as server:
        yield server


def use(patch: pytest.MonkeyPatch, *servers: SpeechServer, **settings: Any) -> None:
    for name, value in speech_settings(*servers, **settings).items():
        patch.setenv(name, value)


@pytest.fixture
async def pool(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EnginePool]:
    use(monkeypatch, server, stall_s=2, api_key="secret-key", at_once=2)
    async with EnginePool("openai_speech", 2, log=LOG) as pool:
        server.calls.clear()
        yield pool


# ---- in its process


async def test_audio_is_that_of_the_server(pool: EnginePool, server: SpeechServer) -> None:
    assert pool.info.name == "openai_speech" and pool.info.at_once == 2
    assert not pool.info.deterministic and not pool.info.scales
    assert pool.info.sample_rate_hz(None) == pool.info.sample_rate_hz("alloy") == RATE_HZ
    assert [(voice.name, voice.language) for voice in pool.info.voices.values()] == [("alloy", "en-US")]
    async with pool.acquire() as slot:
        assert await spoken(slot, SENTENCE) == WHOLE
        fast = await spoken(slot, "Good morning.", "en-US", voice="alloy", speed=2.0)
        assert fast == speech("Good morning.", RATE_HZ, 2.0)
    korean, english = server.calls
    assert korean.fields == {"model": "tts-1", "voice": "alloy", "input": SENTENCE, "response_format": "pcm"}
    assert english.fields["speed"] == 2.0
    assert korean.headers["authorization"] == "Bearer secret-key"
    assert pool.restarts == 0


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="only Linux lists the arguments there")
async def test_key_is_no_argument_of_the_process(pool: EnginePool) -> None:
    (pid,) = pool.pids
    listed = Path(f"/proc/{pid}/cmdline").read_text()
    assert "openai_speech" in listed and "secret-key" not in listed


async def test_one_process_speaks_several_sentences_on_one_server(pool: EnginePool, server: SpeechServer) -> None:
    server.misbehave("slow", "slow")
    async with pool.acquire() as one, pool.acquire() as two:
        first, second = (slot.speak(LONG, voice=None, language="ko") for slot in (one, two))
        begun = [await anext(first), await anext(second)]
        assert server.most_at_once == 2 and not any(call.done.is_set() for call in server.calls)
        for said, beginning in zip((first, second), begun, strict=True):
            assert beginning + b"".join([pcm async for pcm in said]) == speech(LONG, RATE_HZ)
    assert len(pool.pids) == 1


@pytest.mark.parametrize("fault", ["slow", "stall", "mute", "trickling head", "endless"])
async def test_stop_closes_the_connection_at_once(pool: EnginePool, server: SpeechServer, fault: SpeechFault) -> None:
    """During speech, while the server is silent, before it has answered, and while it sends more than is read."""
    server.misbehave(fault)
    async with pool.acquire() as slot:
        async with aclosing(slot.speak(LONG, voice=None, language="ko")) as pieces:
            if fault not in ("mute", "trickling head"):
                await anext(pieces)
            await eventually(lambda: len(server.calls) == 1)
            assert not server.calls[0].done.is_set()
            stopped = time.monotonic()
        await eventually(server.calls[0].done.is_set)
        assert server.calls[0].left_after_s is not None and time.monotonic() - stopped < 1
        assert await spoken(slot, SENTENCE) == WHOLE, "the place is not free again"
    assert pool.restarts == 0


async def test_errors_of_the_request_keep_their_kind_on_the_way_to_the_host(
    pool: EnginePool, server: SpeechServer
) -> None:
    async with pool.acquire() as slot:
        server.misbehave("400 voice", "404", "401")
        with pytest.raises(SentenceRefused, match=f"^voice: speech server {server.url} refuses .*400: no such voice$"):
            await spoken(slot, SENTENCE)
        with pytest.raises(UnknownVoice, match="404: it does not have this voice, model or path: model not found$"):
            await spoken(slot, SENTENCE)
        with pytest.raises(EngineError, match="401: it does not accept the key; set OPENAI_SPEECH_API_KEY$") as raised:
            await spoken(slot, SENTENCE)
        assert raised.value.retryable
        assert await spoken(slot, SENTENCE) == WHOLE
    assert pool.restarts == 0


# ---- formats


@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("wanted", ["pcm", "wav"])
def test_every_framing_of_both_formats_gives_the_same_samples(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch, framing: str, wanted: str
) -> None:
    server.framing = framing
    use(monkeypatch, server, format=wanted)
    with loaded() as engine:
        assert say(engine) == WHOLE
    assert server.calls[0].fields["response_format"] == wanted


@pytest.mark.parametrize(
    "content_type", ["", "application/octet-stream", "audio/pcm;rate=24000;channels=1", "audio/L16"]
)
def test_content_types_of_pcm(server: SpeechServer, monkeypatch: pytest.MonkeyPatch, content_type: str) -> None:
    server.content_type = content_type
    use(monkeypatch, server)
    with loaded() as engine:
        assert say(engine) == WHOLE


@pytest.mark.parametrize("said", ["by the setting", "by the type", "by the file"])
def test_audio_with_another_rate_is_resampled_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str
) -> None:
    """The rate of a request without a voice is that of the first voice, whichever voice its language selects."""
    with SpeechServer(rate_hz=48_000) as server:
        a, b = {"languages": ["en"]}, {"sample_rate_hz": 48_000 if said == "by the setting" else 24_000}
        if said == "by the type":
            server.content_type = "audio/pcm; rate=48000"
        if said == "by the file":
            b["format"] = "wav"  # type: ignore[assignment]
        use(monkeypatch, server, voices=voices_file(tmp_path, a=a, b=b))
        with loaded() as engine, capture_logs() as logs:
            pcm = say(engine)
            assert say(engine) == pcm
    assert abs(len(pcm) - len(WHOLE)) <= 2
    warnings = [entry for entry in logs if "another rate" in entry["event"]]
    assert [(entry["declared_hz"], entry["rate_hz"]) for entry in warnings] == [(24_000, 48_000)]


def test_wav_is_read_also_where_pcm_was_asked_for(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, server, extra_body='{"response_format_of_the_test": 1}')
    server.content_type = "audio/pcm"
    with loaded() as engine:
        server.misbehave("8 bit")
        with pytest.raises(EngineError, match="not mono PCM16: 1 channels, 8 bits"):
            say(engine)


# ---- voices


def test_voices_of_a_file(server: SpeechServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mina = {"model": "m", "voice": "v1", "instructions": "calmly", "language_field": "lang", "extra_body": {"seed": 1}}
    path = voices_file(tmp_path, mina=mina, ann={"languages": ["en-GB"], "voice": None, "speed": "unsupported"})
    use(monkeypatch, server, voices=path, extra_body='{"stream": true}')
    with loaded() as engine:
        assert say(engine) == WHOLE
        assert say(engine, "Good morning.", language="en-US") == speech("Good morning.", RATE_HZ)
        slower = say(engine, "Good morning.", "ann", speed=0.5)
        with pytest.raises(UnknownVoice, match="^voice: there is no 'bob' in this node; there is: mina, ann$"):
            say(engine, voice="bob")
        with pytest.raises(UnknownVoice, match="^language: no voice of this node has 'fr-FR'"):
            say(engine, language="fr-FR")
    said = [call.fields for call in server.calls]
    assert said[0] == {
        **{"model": "m", "voice": "v1", "input": SENTENCE, "response_format": "pcm", "instructions": "calmly"},
        **{"lang": "ko-KR", "seed": 1, "stream": True},
    }
    assert said[1] == {"model": "tts-1", "input": "Good morning.", "response_format": "pcm", "stream": True}
    assert "speed" not in said[2], "a server that does not support a speed was sent one"
    assert len(slower) == pytest.approx(2 * len(speech("Good morning.", RATE_HZ)), rel=0.1)


def test_text_without_words_gives_no_audio_and_half_a_sample_is_dropped(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server)
    with loaded() as engine:
        assert say(engine, "…!") == b""
        server.misbehave("half a sample")
        assert say(engine) == WHOLE
