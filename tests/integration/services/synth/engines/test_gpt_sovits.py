"""The engine gpt_sovits with servers on real sockets: in its own process, and on threads of this process."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import ProcessLimits
from services.synth.engines.base import EngineError, UnknownVoice, create
from services.synth.engines.gpt_sovits import sentence_request
from services.synth.engines.gpt_sovits.engine import GptSovitsEngine
from services.synth.engines.servers.connection import BrokenAnswer, ServerConnection
from tests.support.engines import LOG, eventually, spoken
from tests.support.gpt_sovits_server import REFERENCE, GptSovitsServer
from tests.support.gpt_sovits_speech import FAILURE_HZ, Fault, speech, tone
from tests.support.gpt_sovits_voices import environment_of

pytestmark = pytest.mark.integration

RATE = 32_000
SENTENCE = "안녕하세요, 만나서 반갑습니다."
LONG = "오늘은 날씨가 아주 좋아서 공원을 오래 걸었습니다" * 2
FIRST = "안녕하세요,"
WHOLE = speech(SENTENCE, RATE)


@pytest.fixture
def server() -> Iterator[GptSovitsServer]:
    with GptSovitsServer() as server:
        yield server


@pytest.fixture
def other() -> Iterator[GptSovitsServer]:
    with GptSovitsServer() as server:
        yield server


def use(patch: pytest.MonkeyPatch, folder: Path, *servers: GptSovitsServer, **options: Any) -> None:
    for name, value in environment_of(folder, *servers, **options).items():
        patch.setenv(name, value)


@pytest.fixture
async def pool(server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[EnginePool]:
    use(monkeypatch, tmp_path, server, stall_s=2)
    async with EnginePool("gpt_sovits", 1, log=LOG) as pool:
        server.calls.clear()
        yield pool


@contextlib.contextmanager
def loaded(answer_s: float = 5.0) -> Iterator[GptSovitsEngine]:
    engine = GptSovitsEngine(answer_s)
    try:
        engine.load()
        yield engine
    finally:
        engine.close()


def say(engine: GptSovitsEngine, sentence: str = SENTENCE, voice: str | None = None, language: str = "ko-KR") -> bytes:
    return b"".join(engine.synthesize(sentence, voice=voice, language=language, speed=1.0, stop=lambda: False))


# ---- in its process


async def test_audio_is_that_of_the_server(pool: EnginePool, server: GptSovitsServer) -> None:
    assert pool.info.name == "GPT-sovits"
    assert not pool.info.deterministic and not pool.info.scales and pool.info.at_once == 1
    assert pool.info.sample_rate_hz(None) == pool.info.sample_rate_hz("mina") == RATE
    assert pool.info.voices["mina"].language == "ko"
    async with pool.acquire() as engine:
        assert await spoken(engine, SENTENCE) == WHOLE
        assert await spoken(engine, "Good morning.", "en-US", voice="mina", speed=2.0) == speech(
            "Good morning.", RATE, 2.0
        )
    korean, english = (call.fields for call in server.calls)
    assert korean == {
        "text": SENTENCE,
        "text_lang": "ko",
        "ref_audio_path": REFERENCE,
        "prompt_lang": "ko",
        "prompt_text": "안녕하세요.",
        "streaming_mode": 1,
        "media_type": "wav",
        "speed_factor": 1.0,
    }
    assert english["text_lang"] == "en" and english["speed_factor"] == 2.0
    assert server.violations == [] and pool.restarts == 0


async def test_audio_is_passed_on_while_the_server_makes_it(pool: EnginePool, server: GptSovitsServer) -> None:
    server.misbehave("slow")
    async with pool.acquire() as engine:
        async with aclosing(engine.speak(LONG, voice=None, language="ko")) as pieces:
            first = await anext(pieces)
            assert not server.calls[0].done.is_set()
            assert first + b"".join([pcm async for pcm in pieces]) == speech(LONG, RATE)


async def test_one_process_uses_all_servers_at_the_same_time(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    async with EnginePool("gpt_sovits", 3, log=LOG) as pool, pool.acquire() as one, pool.acquire() as two:
        assert (pool.info.at_once, len(pool.pids)) == (2, 1)
        server.calls.clear()
        other.calls.clear()
        server.misbehave("slow")
        other.misbehave("slow")
        first, second = (slot.speak(LONG, voice=None, language="ko") for slot in (one, two))
        pieces = [await anext(first), await anext(second)]
        assert not server.calls[0].done.is_set() and not other.calls[0].done.is_set(), (
            "the two servers did not speak at the same time"
        )
        third = asyncio.create_task(_whole(pool))
        for speech_of, begun in zip((first, second), pieces, strict=True):
            assert begun + b"".join([pcm async for pcm in speech_of]) == speech(LONG, RATE)
        assert len(server.calls) == len(other.calls) == 1, "a third sentence began, although both servers are busy"
        one.leave()
        assert await third == WHOLE
    assert server.violations == other.violations == []


async def _whole(pool: EnginePool) -> bytes:
    async with pool.acquire() as slot:
        return await spoken(slot, SENTENCE)


@pytest.mark.parametrize("fault", ["slow", "stall", "mute"])
async def test_stop_closes_the_connection_to_the_server(
    pool: EnginePool, server: GptSovitsServer, fault: Fault
) -> None:
    """During speech, while the server is silent, and before it has answered."""
    server.misbehave(fault)
    async with pool.acquire() as engine:
        async with aclosing(engine.speak(LONG, voice=None, language="ko")) as pieces:
            if fault != "mute":
                await anext(pieces)
            await eventually(lambda: len(server.calls) == 1)
            assert not server.calls[0].done.is_set()
        await eventually(server.calls[0].done.is_set)
        assert server.calls[0].left_after_s is not None
        assert await spoken(engine, SENTENCE) == WHOLE, "the server did not speak the next sentence"
    assert server.violations == [] and pool.restarts == 0


async def test_failure_ends_the_sentence_and_not_the_process(pool: EnginePool, server: GptSovitsServer) -> None:
    audio = b""
    async with pool.acquire() as engine:
        server.misbehave("break")
        with pytest.raises(EngineError, match=f"^GPT-SoVITS server {server.url} ended its answer too early$"):
            async for pcm in engine.speak(SENTENCE, voice=None, language="ko"):
                audio += pcm
        assert audio == tone(FIRST, RATE), "the audio before the failure was not passed on"
        with pytest.raises(UnknownVoice, match="^voice: there is no 'bob' in the voices file; there is: mina"):
            await spoken(engine, SENTENCE, voice="bob")
        assert await spoken(engine, SENTENCE) == WHOLE
    assert pool.restarts == 0


async def test_pool_names_a_missing_file_before_it_starts(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, mina={"ref_audio_path": "/voices/none.wav"})
    with pytest.raises(EngineError, match=f"{server.url} refuses: tts failed: /voices/none.wav not exists"):
        async with EnginePool("gpt_sovits", 1, log=LOG):
            pass
    use(monkeypatch, tmp_path, server, mina={"gpt_weights": "none.ckpt", "sovits_weights": "a.pth"})
    with pytest.raises(EngineError, match="refuses: change gpt weight failed: no such file: none.ckpt"):
        async with EnginePool("gpt_sovits", 1, log=LOG):
            pass
    monkeypatch.setenv("GPT_SOVITS_VOICES", str(tmp_path / "none.yaml"))
    with pytest.raises(EngineError, match="none.yaml: there is no such file"):
        async with EnginePool("gpt_sovits", 1, log=LOG):
            pass


async def test_loading_weights_may_take_longer_than_the_stall_timeout(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a = {"gpt_weights": "a.ckpt", "sovits_weights": "a.pth"}
    b = {"gpt_weights": "b.ckpt", "sovits_weights": "b.pth"}
    use(monkeypatch, tmp_path, server, a=a, b=b)
    async with EnginePool("gpt_sovits", 1, log=LOG, limits=ProcessLimits(stall_s=2)) as pool, pool.acquire() as engine:
        server.weights_s = 1.5  # for each of the two
        assert await spoken(engine, SENTENCE, voice="b") == WHOLE
        assert pool.restarts == 0


# ---- on threads of this process


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
@pytest.mark.parametrize(("version", "rate_hz"), [("v2Pro", 32_000), ("v3", 24_000), ("v4", 48_000)])
def test_engine_speaks_in_every_mode_and_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, version: str, rate_hz: int
) -> None:
    with GptSovitsServer(rate_hz=rate_hz) as server:
        use(monkeypatch, tmp_path, server, mina={"version": version, "parameters": {"streaming_mode": mode}})
        with loaded() as engine:
            assert engine.sample_rate_hz(None) == rate_hz
            assert say(engine) == speech(SENTENCE, rate_hz)
            assert server.calls[0].fields["streaming_mode"] == mode


@pytest.mark.parametrize(
    ("fault", "expected_message"),
    [("short file", "ended its answer too early"), ("short wav", "ended its answer too early"), ("inference", "sent")],
)
def test_incomplete_file_is_an_error(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault, expected_message: str
) -> None:
    use(monkeypatch, tmp_path, server, mina={"parameters": {"streaming_mode": 0}})
    with loaded() as engine:
        server.misbehave(fault)
        with pytest.raises(EngineError, match=expected_message):
            say(engine)


@pytest.mark.parametrize("fault", ["closing", "closing, announced"])
def test_complete_file_is_accepted_when_the_connection_ends_after_it(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault
) -> None:
    use(monkeypatch, tmp_path, server, mina={"parameters": {"streaming_mode": 0}})
    with loaded() as engine:
        server.misbehave(fault)
        assert say(engine) == WHOLE
        assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("fault", "expected_audio", "expected_message"),
    [
        ("mute", b"", "sent nothing for 1.5 s"),
        ("stall", tone(FIRST, RATE), "sent nothing for 1.5 s"),
        ("trickle", tone(FIRST, RATE), "sent nothing for 1.5 s"),
        ("trickle at first", b"", "sent nothing for 1.5 s"),
        ("break", tone(FIRST, RATE), "ended its answer too early"),
        ("inference", b"", "sent silence: it failed inside inference"),
        ("inference later", tone(FIRST, RATE), "ended its answer too early"),
        ("server error", b"", "answered 500"),
        ("deep refusal", b"", "refuses: it answered 400$"),
        ("rude refusal", b"", "refuses: \ufffd\\[31mno\ufffd$"),
        ("not wav", b"", "sent something else than speech: it is not WAV"),
    ],
)
def test_failure_of_a_server_is_an_error_without_audio_of_it(
    server: GptSovitsServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    fault: Fault,
    expected_audio: bytes,
    expected_message: str,
) -> None:
    use(monkeypatch, tmp_path, server, stall_s=2)
    with loaded() as engine:
        server.misbehave(fault)
        audio = b""
        with pytest.raises(EngineError, match=f"^GPT-SoVITS server {server.url} {expected_message}") as raised:
            for pcm in engine.synthesize(SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: False):
                audio += pcm
        assert raised.value.retryable and raised.value.code == "engine_error"
        assert audio == expected_audio
        assert say(engine) == WHOLE, "the next sentence was not spoken"
    assert server.violations == []


def test_half_a_sample_is_dropped_and_a_text_without_words_gives_no_audio(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        server.misbehave("half a sample")
        assert say(engine) == WHOLE
        assert say(engine, "…!") == b""


def test_unknown_voice_or_language_is_refused(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        for voice, language, expected_message in [
            ("bob", "ko", "^voice: there is no 'bob' in the voices file; there is: mina"),
            (None, "ja", "^language: no voice of the voices file has 'ja'"),
            ("mina", "fr-FR", "^language: GPT-SoVITS does not speak 'fr-FR'"),
        ]:
            with pytest.raises(UnknownVoice, match=expected_message):
                say(engine, SENTENCE, voice, language)
    assert server.calls == []


def test_audio_with_an_undeclared_rate_is_resampled_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with GptSovitsServer(rate_hz=48_000) as server:
        use(monkeypatch, tmp_path, server)
        with loaded() as engine, capture_logs() as logs:
            pcm = say(engine)
            assert say(engine) == pcm
    assert len(pcm) == len(speech(SENTENCE, RATE)), "the length is not that of the declared rate"
    warnings = [entry for entry in logs if "another rate" in entry["event"]]
    assert len(warnings) == 1 and warnings[0]["log_level"] == "warning"
    assert (warnings[0]["declared_hz"], warnings[0]["rate_hz"]) == (RATE, 48_000)


def test_rate_without_a_voice_is_that_of_the_first_profile(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rate declared for requests without a voice holds for any profile that the language selects."""
    use(monkeypatch, tmp_path, server, hana={"languages": ["ja"], "version": "v4"}, mina={})
    with loaded() as engine:
        assert engine.sample_rate_hz(None) == 48_000
        assert len(say(engine)) == len(speech(SENTENCE, 48_000))
        assert say(engine, voice="mina") == WHOLE


def test_request_without_streaming_follows_a_stream_that_ends_before_its_first_sample(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        server.misbehave("break early")
        assert say(engine) == WHOLE
        assert [call.fields["streaming_mode"] for call in server.calls] == [1, 0]
        server.references.clear()
        with pytest.raises(EngineError, match=f"refuses: tts failed: {REFERENCE} not exists$"):
            say(engine)


def test_dead_server_is_skipped_until_it_answers_again(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        assert engine.at_once == 2
        assert [say(engine) == WHOLE for _ in range(4)] == [True] * 4
        assert len(server.calls) == len(other.calls) == 2, "the servers were not used in turn"
        server.die()
        assert [say(engine) == WHOLE for _ in range(3)] == [True] * 3
        assert len(other.calls) == 5
        server.start()
        deadline = time.monotonic() + 15
        while len(server.calls) == 2:
            assert time.monotonic() < deadline, "the server was not used again"
            assert say(engine) == WHOLE


@pytest.mark.parametrize("fault", ["server error", "break early"])
def test_sentence_moves_to_another_server_when_the_first_gives_no_sample(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        for one in (server, other):
            one.misbehave(fault, fault)
            assert say(engine) == WHOLE
            one._faults.clear()


def test_sentence_does_not_move_to_another_server_after_its_first_sample(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        server.misbehave("break")
        other.misbehave("break")
        with pytest.raises(EngineError, match="ended its answer too early"):
            say(engine)
        assert len(server.calls) + len(other.calls) == 1


def test_error_names_the_servers_when_all_are_dead(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other, stall_s=0.4)
    with loaded() as engine:
        server.die()
        other.die()
        with pytest.raises(EngineError) as raised:
            say(engine)
        assert server.url in str(raised.value) or "no GPT-SoVITS server was free" in str(raised.value)
        with pytest.raises(
            EngineError, match="no GPT-SoVITS server was free within 0.3 s; check that those in GPT_SOVITS_URLS"
        ):
            say(engine)


def test_load_fails_when_no_server_answers(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    server.die()
    with pytest.raises(
        EngineError, match=f"^no GPT-SoVITS server answers at {server.url} within 0.3 s; start api_v2.py"
    ):
        with loaded(answer_s=0.3):
            pass


def test_load_waits_for_a_server_that_starts_late(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in compose, where both start together."""
    use(monkeypatch, tmp_path, server)
    server.die()
    later = threading.Timer(0.7, server.start)
    later.start()
    with loaded(answer_s=15) as engine:
        later.join()
        assert say(engine) == WHOLE


def test_each_server_gets_one_sentence_at_a_time(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For many threads, some of which stop early."""
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine, ThreadPoolExecutor(6) as threads:

        def one(number: int) -> bool:
            sentence = f"{number}번, 문장입니다."
            if number % 5 == 4:
                pieces = engine.synthesize(sentence, voice=None, language="ko", speed=1.0, stop=lambda: False)
                next(pieces)
                pieces.close()  # type: ignore[attr-defined]
                return True
            return say(engine, sentence) == speech(sentence, RATE)

        assert all(threads.map(one, range(60)))
    assert server.violations == other.violations == []
    assert min(len(server.calls), len(other.calls)) > 10


def test_sentence_waits_for_a_busy_server_until_it_is_stopped(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        server.misbehave("slow")
        speaking = engine.synthesize(LONG, voice=None, language="ko", speed=1.0, stop=lambda: False)
        next(speaking)
        began = time.monotonic()
        waiting = engine.synthesize(
            SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: time.monotonic() > began + 0.3
        )
        assert b"".join(waiting) == b"" and time.monotonic() - began < 2
        assert len(server.calls) == 1
        speaking.close()  # type: ignore[attr-defined]
        assert say(engine) == WHOLE
        assert server.violations == []


def test_weights_are_set_only_when_they_change(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a = {"gpt_weights": "a.ckpt", "sovits_weights": "a.pth"}
    b = {"gpt_weights": "a.ckpt", "sovits_weights": "b.pth"}
    use(monkeypatch, tmp_path, server, a=a, b=b)
    with loaded() as engine:
        for voice in "aabba":
            assert say(engine, voice=voice) == WHOLE
        assert server.requested_weights == ["a.ckpt", "a.pth", "b.pth", "a.pth"]
        assert [call.sovits_weights for call in server.calls] == ["a.pth", "a.pth", "b.pth", "b.pth", "a.pth"]
        server.weights.remove("b.pth")
        with pytest.raises(EngineError, match="refuses: change sovits weight failed: no such file: b.pth"):
            say(engine, voice="b")
        assert say(engine, voice="a") == WHOLE
        assert server.calls[-1].sovits_weights == "a.pth"
        server.die()
        with pytest.raises(EngineError):
            say(engine, voice="a")
        server.start()
        assert say(engine, voice="a") == WHOLE, "the server did not answer again within the timeout"
        assert server.calls[-1].gpt_weights == "a.ckpt", "the weights were not set again after a restart of the server"


def test_each_voice_stays_on_the_server_that_has_its_weights(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two voices in turn on two servers: each stays on the server that has its weights."""
    a = {"gpt_weights": "a.ckpt", "sovits_weights": "a.pth"}
    b = {"gpt_weights": "b.ckpt", "sovits_weights": "b.pth"}
    use(monkeypatch, tmp_path, server, other, a=a, b=b)
    with loaded() as engine:
        for voice in "ab" * 4:
            assert say(engine, voice=voice) == WHOLE
    assert sorted(server.requested_weights + other.requested_weights) == ["a.ckpt", "a.pth", "b.ckpt", "b.pth"]


def test_failed_server_gets_no_sentence_until_its_answer_ends(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server loads its models again in the meantime; the error comes at once."""
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        server.reloaded.clear()
        other.reloaded.clear()
        server.misbehave("inference")
        other.misbehave("inference")
        with pytest.raises(EngineError, match="failed inside inference"):
            say(engine)
        failed, well = (server, other) if server.calls else (other, server)
        well._faults.clear()
        assert [say(engine) == WHOLE for _ in range(3)] == [True] * 3
        assert len(failed.calls) == 1 and len(well.calls) == 3
        failed.reloaded.set()
        assert failed.calls[0].done.wait(10) and failed.calls[0].left_after_s is None
        deadline = time.monotonic() + 15
        while len(failed.calls) == 1:
            assert time.monotonic() < deadline, "the server was not used again"
            assert say(engine) == WHOLE


def test_server_whose_silence_never_ends_is_left_and_used_again(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    monkeypatch.setattr(sentence_request, "WEIGHTS_S", 1.0)
    with loaded() as engine:
        server.misbehave("endless silence")
        with pytest.raises(EngineError, match="failed inside inference"):
            say(engine)
        call = server.calls[0]
        assert not call.done.wait(0.5) and call.done.wait(3), "its place is never free again"
        assert say(engine) == WHOLE


def test_create_returns_the_engine_by_its_name() -> None:
    assert isinstance(create("gpt_sovits"), GptSovitsEngine)


# ---- the server of these tests is like the real one


def ask(server: GptSovitsServer, **fields: object) -> tuple[int, bytes]:
    fields_sent = {"text": "네.", "text_lang": "ko", "ref_audio_path": REFERENCE, "prompt_lang": "ko", **fields}
    with ServerConnection(server.url, silence_s=5) as connection:
        return connection.post("/tts", fields_sent), connection.refusal()


def test_fake_server_accepts_upper_case_and_fails_later(server: GptSovitsServer) -> None:
    assert ask(server, text_lang="xx") == (400, b'{"message": "text_lang: xx is not supported in version v2"}')
    assert ask(server, text_lang="KO")[1] == b'{"message": "tts failed", "Exception": "assertion failed"}'
    with pytest.raises(BrokenAnswer):
        ask(server, text_lang="KO", streaming_mode=1)


def test_fake_server_answers_200_when_inference_fails(server: GptSovitsServer) -> None:
    server.misbehave("inference")
    status, file = ask(server)
    assert status == 200 and len(file) == 44 + 2 * FAILURE_HZ and not any(file[44:])


def test_fake_server_notes_two_sentences_at_once(server: GptSovitsServer) -> None:
    server.misbehave("stall")
    with ServerConnection(server.url, silence_s=5) as connection:
        connection.post(
            "/tts",
            {"text": "네.", "text_lang": "ko", "ref_audio_path": REFERENCE, "prompt_lang": "ko", "streaming_mode": 1},
        )
        assert ask(server)[0] == 200
    assert server.violations == ["two sentences at once"]
