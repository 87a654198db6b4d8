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
from services.synth.engines.gpt_sovits.connection import BrokenAnswer, ServerConnection
from services.synth.engines.gpt_sovits.engine import GptSovitsEngine
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
        server.told.clear()
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


async def test_what_is_said_is_what_the_server_spoke(pool: EnginePool, server: GptSovitsServer) -> None:
    assert pool.info.name == "GPT-sovits"
    assert not pool.info.deterministic and not pool.info.scales and pool.info.at_once == 1
    assert pool.info.sample_rate_hz(None) == pool.info.sample_rate_hz("mina") == RATE
    assert pool.info.voices["mina"].language == "ko"
    async with pool.acquire() as engine:
        assert await spoken(engine, SENTENCE) == WHOLE
        assert await spoken(engine, "Good morning.", "en-US", voice="mina", speed=2.0) == speech(
            "Good morning.", RATE, 2.0
        )
    korean, english = (told.fields for told in server.told)
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


async def test_speech_is_heard_while_it_is_made(pool: EnginePool, server: GptSovitsServer) -> None:
    server.misbehave("slow")
    async with pool.acquire() as engine:
        async with aclosing(engine.speak(LONG, voice=None, language="ko")) as heard:
            first = await anext(heard)
            assert not server.told[0].done.is_set()
            assert first + b"".join([pcm async for pcm in heard]) == speech(LONG, RATE)


async def test_one_process_speaks_through_all_servers_at_once(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    async with EnginePool("gpt_sovits", 3, log=LOG) as pool, pool.acquire() as one, pool.acquire() as two:
        assert (pool.info.at_once, len(pool.pids)) == (2, 1)
        server.told.clear()
        other.told.clear()
        server.misbehave("slow")
        other.misbehave("slow")
        first, second = (slot.speak(LONG, voice=None, language="ko") for slot in (one, two))
        heard = [await anext(first), await anext(second)]
        assert not server.told[0].done.is_set() and not other.told[0].done.is_set(), "side by side"
        third = asyncio.create_task(_whole(pool))
        for speech_of, begun in zip((first, second), heard, strict=True):
            assert begun + b"".join([pcm async for pcm in speech_of]) == speech(LONG, RATE)
        assert len(server.told) == len(other.told) == 1, "a third waits for a server"
        one.leave()
        assert await third == WHOLE
    assert server.violations == other.violations == []


async def _whole(pool: EnginePool) -> bytes:
    async with pool.acquire() as slot:
        return await spoken(slot, SENTENCE)


@pytest.mark.parametrize("fault", ["slow", "stall", "mute"])
async def test_a_stop_closes_the_connection(pool: EnginePool, server: GptSovitsServer, fault: Fault) -> None:
    """During speech, while the server is silent, and before it has answered."""
    server.misbehave(fault)
    async with pool.acquire() as engine:
        async with aclosing(engine.speak(LONG, voice=None, language="ko")) as heard:
            if fault != "mute":
                await anext(heard)
            await eventually(lambda: len(server.told) == 1)
            assert not server.told[0].done.is_set()
        await eventually(server.told[0].done.is_set)
        assert server.told[0].left_after_s is not None
        assert await spoken(engine, SENTENCE) == WHOLE, "the server is free for the next sentence"
    assert server.violations == [] and pool.restarts == 0


async def test_a_failure_costs_the_sentence_and_not_the_process(pool: EnginePool, server: GptSovitsServer) -> None:
    audio = b""
    async with pool.acquire() as engine:
        server.misbehave("break")
        with pytest.raises(EngineError, match=f"^GPT-SoVITS server {server.url} ended its answer too early$"):
            async for pcm in engine.speak(SENTENCE, voice=None, language="ko"):
                audio += pcm
        assert audio == tone(FIRST, RATE), "what was spoken is heard"
        with pytest.raises(UnknownVoice, match="^voice: there is no 'bob' in the voices file; there is: mina"):
            await spoken(engine, SENTENCE, voice="bob")
        assert await spoken(engine, SENTENCE) == WHOLE
    assert pool.restarts == 0


async def test_what_is_missing_is_named_before_anything_starts(
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


async def test_loading_weights_may_take_longer_than_a_stall(
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
def test_modes_and_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int, version: str, rate_hz: int
) -> None:
    with GptSovitsServer(rate_hz=rate_hz) as server:
        use(monkeypatch, tmp_path, server, mina={"version": version, "parameters": {"streaming_mode": mode}})
        with loaded() as engine:
            assert engine.sample_rate_hz(None) == rate_hz
            assert say(engine) == speech(SENTENCE, rate_hz)
            assert server.told[0].fields["streaming_mode"] == mode


@pytest.mark.parametrize(
    ("fault", "said"),
    [("short file", "ended its answer too early"), ("short wav", "ended its answer too early"), ("inference", "sent")],
)
def test_whole_files_that_are_not(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault, said: str
) -> None:
    use(monkeypatch, tmp_path, server, mina={"parameters": {"streaming_mode": 0}})
    with loaded() as engine:
        server.misbehave(fault)
        with pytest.raises(EngineError, match=said):
            say(engine)


@pytest.mark.parametrize("fault", ["closing", "closing, announced"])
def test_a_whole_file_may_end_with_its_connection(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault
) -> None:
    use(monkeypatch, tmp_path, server, mina={"parameters": {"streaming_mode": 0}})
    with loaded() as engine:
        server.misbehave(fault)
        assert say(engine) == WHOLE
        assert len(server.told) == 1


@pytest.mark.parametrize(
    ("fault", "heard", "said"),
    [
        ("mute", b"", "sent nothing for 1.5 s"),
        ("stall", tone(FIRST, RATE), "sent nothing for 1.5 s"),
        ("trickle", tone(FIRST, RATE), "sent nothing for 1.5 s"),
        ("trickle at first", b"", "sent nothing for 1.5 s"),
        ("break", tone(FIRST, RATE), "ended its answer too early"),
        ("inference", b"", "sent silence: it failed inside inference"),
        ("inference later", tone(FIRST, RATE), "ended its answer too early"),
        ("server error", b"", "answered 500"),
        ("not wav", b"", "sent something else than speech: it is not WAV"),
    ],
)
def test_failures_are_errors_and_never_audio(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault, heard: bytes, said: str
) -> None:
    use(monkeypatch, tmp_path, server, stall_s=2)
    with loaded() as engine:
        server.misbehave(fault)
        audio = b""
        with pytest.raises(EngineError, match=f"^GPT-SoVITS server {server.url} {said}") as raised:
            for pcm in engine.synthesize(SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: False):
                audio += pcm
        assert raised.value.retryable and raised.value.code == "engine_error"
        assert audio == heard
        assert say(engine) == WHOLE, "the next one is spoken"
    assert server.violations == []


def test_half_a_sample_and_nothing_to_say(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        server.misbehave("half a sample")
        assert say(engine) == WHOLE
        assert say(engine, "…!") == b""


def test_unknown_voices_and_languages(server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        for voice, language, said in [
            ("bob", "ko", "^voice: there is no 'bob' in the voices file; there is: mina"),
            (None, "ja", "^language: no voice of the voices file has 'ja'"),
            ("mina", "fr-FR", "^language: GPT-SoVITS does not speak 'fr-FR'"),
        ]:
            with pytest.raises(UnknownVoice, match=said):
                say(engine, SENTENCE, voice, language)
    assert server.told == []


def test_a_rate_other_than_declared_is_resampled_and_told_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with GptSovitsServer(rate_hz=48_000) as server:
        use(monkeypatch, tmp_path, server)
        with loaded() as engine, capture_logs() as logs:
            pcm = say(engine)
            assert say(engine) == pcm
    assert len(pcm) == len(speech(SENTENCE, RATE)), "as long, at the declared rate"
    told = [entry for entry in logs if "another rate" in entry["event"]]
    assert len(told) == 1 and told[0]["log_level"] == "warning"
    assert (told[0]["declared_hz"], told[0]["rate_hz"]) == (RATE, 48_000)


def test_without_a_voice_the_rate_is_the_first_ones(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The rate declared for requests without a voice holds for any profile that the language selects."""
    use(monkeypatch, tmp_path, server, hana={"languages": ["ja"], "version": "v4"}, mina={})
    with loaded() as engine:
        assert engine.sample_rate_hz(None) == 48_000
        assert len(say(engine)) == len(speech(SENTENCE, 48_000))
        assert say(engine, voice="mina") == WHOLE


def test_a_stream_that_breaks_before_a_sample_is_asked_for_its_reason(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server)
    with loaded() as engine:
        server.misbehave("break early")
        assert say(engine) == WHOLE
        assert [told.fields["streaming_mode"] for told in server.told] == [1, 0]
        server.references.clear()
        with pytest.raises(EngineError, match=f"refuses: tts failed: {REFERENCE} not exists$"):
            say(engine)


def test_a_dead_server_is_left_for_another_and_comes_back(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        assert engine.at_once == 2
        assert [say(engine) == WHOLE for _ in range(4)] == [True] * 4
        assert len(server.told) == len(other.told) == 2, "in turns"
        server.die()
        assert [say(engine) == WHOLE for _ in range(3)] == [True] * 3
        assert len(other.told) == 5
        server.start()
        deadline = time.monotonic() + 15
        while len(server.told) == 2:
            assert time.monotonic() < deadline, "it never came back"
            assert say(engine) == WHOLE


@pytest.mark.parametrize("fault", ["server error", "break early"])
def test_a_server_that_gives_no_sample_is_left_for_another(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Fault
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        for one in (server, other):
            one.misbehave(fault, fault)
            assert say(engine) == WHOLE
            one._faults.clear()


def test_after_the_first_sample_no_other_server_begins_anew(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, tmp_path, server, other)
    with loaded() as engine:
        server.misbehave("break")
        other.misbehave("break")
        with pytest.raises(EngineError, match="ended its answer too early"):
            say(engine)
        assert len(server.told) + len(other.told) == 1


def test_when_all_servers_are_dead_they_are_named(
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


def test_no_server_at_the_start(server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, tmp_path, server)
    server.die()
    with pytest.raises(
        EngineError, match=f"^no GPT-SoVITS server answers at {server.url} within 0.3 s; start api_v2.py"
    ):
        with loaded(answer_s=0.3):
            pass


def test_a_server_that_starts_late(server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in compose, where both start together."""
    use(monkeypatch, tmp_path, server)
    server.die()
    later = threading.Timer(0.7, server.start)
    later.start()
    with loaded(answer_s=15) as engine:
        later.join()
        assert say(engine) == WHOLE


def test_one_sentence_at_a_time_on_each_server(
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
    assert min(len(server.told), len(other.told)) > 10


def test_a_busy_server_is_waited_for_and_the_wait_can_be_stopped(
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
        assert len(server.told) == 1
        speaking.close()  # type: ignore[attr-defined]
        assert say(engine) == WHOLE
        assert server.violations == []


def test_weights_are_set_once_and_when_they_change(
    server: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a = {"gpt_weights": "a.ckpt", "sovits_weights": "a.pth"}
    b = {"gpt_weights": "a.ckpt", "sovits_weights": "b.pth"}
    use(monkeypatch, tmp_path, server, a=a, b=b)
    with loaded() as engine:
        for voice in "aabba":
            assert say(engine, voice=voice) == WHOLE
        assert server.asked_weights == ["a.ckpt", "a.pth", "b.pth", "a.pth"]
        assert [told.sovits_weights for told in server.told] == ["a.pth", "a.pth", "b.pth", "b.pth", "a.pth"]
        server.weights.remove("b.pth")
        with pytest.raises(EngineError, match="refuses: change sovits weight failed: no such file: b.pth"):
            say(engine, voice="b")
        assert say(engine, voice="a") == WHOLE
        assert server.told[-1].sovits_weights == "a.pth"
        server.die()
        with pytest.raises(EngineError):
            say(engine, voice="a")
        server.start()
        assert say(engine, voice="a") == WHOLE, "it is back within the timeout"
        assert server.told[-1].gpt_weights == "a.ckpt", "it had lost them"


def test_two_servers_keep_their_weights(
    server: GptSovitsServer, other: GptSovitsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two voices in turn on two servers: each stays on the server that has its weights."""
    a = {"gpt_weights": "a.ckpt", "sovits_weights": "a.pth"}
    b = {"gpt_weights": "b.ckpt", "sovits_weights": "b.pth"}
    use(monkeypatch, tmp_path, server, other, a=a, b=b)
    with loaded() as engine:
        for voice in "ab" * 4:
            assert say(engine, voice=voice) == WHOLE
    assert sorted(server.asked_weights + other.asked_weights) == ["a.ckpt", "a.pth", "b.ckpt", "b.pth"]


def test_a_server_that_failed_inside_gets_nothing_until_its_answer_ends(
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
        failed, well = (server, other) if server.told else (other, server)
        well._faults.clear()
        assert [say(engine) == WHOLE for _ in range(3)] == [True] * 3
        assert len(failed.told) == 1 and len(well.told) == 3
        failed.reloaded.set()
        assert failed.told[0].done.wait(10) and failed.told[0].left_after_s is None
        deadline = time.monotonic() + 15
        while len(failed.told) == 1:
            assert time.monotonic() < deadline, "it never came back"
            assert say(engine) == WHOLE


def test_the_entry_point_names_it() -> None:
    assert isinstance(create("gpt_sovits"), GptSovitsEngine)


# ---- the server of these tests is like the real one


def ask(server: GptSovitsServer, **fields: object) -> tuple[int, bytes]:
    asked = {"text": "네.", "text_lang": "ko", "ref_audio_path": REFERENCE, "prompt_lang": "ko", **fields}
    with ServerConnection(server.url, silence_s=5) as connection:
        return connection.post("/tts", asked), connection.refusal()


def test_upper_case_passes_the_check_and_fails_behind_it(server: GptSovitsServer) -> None:
    assert ask(server, text_lang="xx") == (400, b'{"message": "text_lang: xx is not supported in version v2"}')
    assert ask(server, text_lang="KO")[1] == b'{"message": "tts failed", "Exception": "assertion failed"}'
    with pytest.raises(BrokenAnswer):
        ask(server, text_lang="KO", streaming_mode=1)


def test_a_failure_inside_inference_is_status_200(server: GptSovitsServer) -> None:
    server.misbehave("inference")
    status, file = ask(server)
    assert status == 200 and len(file) == 44 + 2 * FAILURE_HZ and not any(file[44:])


def test_two_at_once_are_noticed(server: GptSovitsServer) -> None:
    server.misbehave("stall")
    with ServerConnection(server.url, silence_s=5) as connection:
        connection.post(
            "/tts",
            {"text": "네.", "text_lang": "ko", "ref_audio_path": REFERENCE, "prompt_lang": "ko", "streaming_mode": 1},
        )
        assert ask(server)[0] == 200
    assert server.violations == ["two sentences at once"]
