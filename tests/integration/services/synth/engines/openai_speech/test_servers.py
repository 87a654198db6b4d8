"""Several speech servers: which one speaks, what happens when one fails, asks to wait, or does not accept the key."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.synth.engines.base import EngineError, Misconfigured, UnknownVoice
from tests.support.certificates import Authority
from tests.support.gpt_sovits_speech import speech
from tests.support.speech_server import RATE_HZ, SpeechFault, SpeechServer
from tests.support.speech_settings import SENTENCE, loaded, say, speech_settings

pytestmark = pytest.mark.integration

WHOLE = speech(SENTENCE, RATE_HZ)
LONG = "오늘은 날씨가 아주 좋아서 공원을 오래 걸었습니다" * 2


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as server:
        yield server


@pytest.fixture
def other() -> Iterator[SpeechServer]:
    with SpeechServer() as server:
        yield server


def use(patch: pytest.MonkeyPatch, *servers: SpeechServer, **settings: Any) -> None:
    for name, value in speech_settings(*servers, **settings).items():
        patch.setenv(name, value)


def test_sentences_go_to_the_server_that_speaks_the_fewest(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other, at_once=3)
    with loaded() as engine, ThreadPoolExecutor(8) as threads:
        assert engine.at_once == 6
        sentences = [f"{number}번, 문장입니다." for number in range(60)]
        said = list(threads.map(lambda sentence: say(engine, sentence) == speech(sentence, RATE_HZ), sentences))
    assert all(said)
    assert max(server.most_at_once, other.most_at_once) <= 3, "a server got more sentences than it may"
    assert min(len(server.calls), len(other.calls)) >= 20, "the servers do not share the load"


@pytest.mark.parametrize(
    "fault",
    [
        "500",
        "503 with retry-after",
        "429",
        "401",
        "404",
        "408",
        "close",
        "json with 200",
        "empty",
        "redirect",
        "stereo",
    ],
)
def test_sentence_moves_to_another_server_when_the_first_gives_no_audio(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch, fault: SpeechFault
) -> None:
    use(monkeypatch, server, other, format="wav" if fault == "stereo" else "pcm")
    with loaded() as engine:
        for one in (server, other):
            one.misbehave(fault)
            while not one.calls:
                assert say(engine) == WHOLE
            one.forgive()


def test_silent_server_leaves_time_for_another_one(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one server it is waited for as long as synth waits; with several only half of it."""
    use(monkeypatch, server, other, stall_s=2)
    with loaded() as engine:
        server.misbehave(*["mute"] * 9)
        began = time.monotonic()
        assert [say(engine) == WHOLE for _ in range(6)] == [True] * 6
        assert len(server.calls) <= 2, "a server that has just been silent got the next sentence, too"
        assert time.monotonic() - began < 4


def test_sentence_does_not_move_after_its_first_audio(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other)
    with loaded() as engine:
        server.misbehave("reset")
        other.misbehave("reset")
        with pytest.raises(EngineError, match="ended its answer too early"):
            say(engine)
    assert len(server.calls) + len(other.calls) == 1


def test_refused_sentence_is_not_sent_to_another_server(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other)
    with loaded() as engine:
        server.misbehave("400")
        other.misbehave("400")
        with pytest.raises(EngineError, match="^text: speech server .* refuses this sentence with status 400"):
            say(engine)
        assert len(server.calls) + len(other.calls) == 1
        for one in (server, other):
            one.forgive()
            one.misbehave("404")
        with pytest.raises(UnknownVoice, match="^voice: speech server .* answered 404.*; speech server .* 404"):
            say(engine)
        assert len(server.calls) + len(other.calls) == 3, "the other server was not asked for the voice"


def test_busy_server_is_asked_again_after_the_time_it_names(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server)
    with loaded() as engine, capture_logs() as logs:
        server.misbehave("429", "429")
        began = time.monotonic()
        assert say(engine) == WHOLE
        assert 0.9 < time.monotonic() - began < 3
    assert len(server.calls) == 3
    assert not [entry for entry in logs if entry["log_level"] == "warning"], "a busy server counts as failed"


def test_other_server_speaks_while_one_rests(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other)
    with loaded() as engine:
        server.misbehave("429 for long")
        began = time.monotonic()
        assert [say(engine) == WHOLE for _ in range(6)] == [True] * 6
        assert time.monotonic() - began < 1
    assert len(server.calls) == 1 and len(other.calls) == 6


def test_server_that_fails_each_sentence_gets_few_although_it_answers_checks(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other, at_once=2)
    with loaded() as engine:
        server.misbehave(*["500"] * 99)
        assert all(say(engine) == WHOLE for _ in range(20))
    assert len(server.calls) <= 3 and len(other.calls) == 20
    assert "/v1/models" in server.health_paths


def test_dead_server_is_skipped_until_it_answers_again(
    server: SpeechServer, other: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, other, health_path="/health")
    with loaded() as engine:
        assert all(say(engine) == WHOLE for _ in range(4))
        server.die()
        assert all(say(engine) == WHOLE for _ in range(4))
        server.health = 503
        server.start()
        time.sleep(1)
        before = len(server.calls)
        assert all(say(engine) == WHOLE for _ in range(4))
        assert len(server.calls) == before, "a server whose check fails got a sentence"
        server.health = 200
        deadline = time.monotonic() + 15
        while len(server.calls) == before:
            assert time.monotonic() < deadline, "the server was not used again"
            assert say(engine) == WHOLE
            time.sleep(0.05)
    assert "/health" in server.health_paths


def test_key_that_no_server_accepts_is_a_setting_to_correct(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, api_key="secret-key")
    server.health = 401
    with pytest.raises(Misconfigured, match="^OPENAI_SPEECH_API_KEY: speech server .* 401: it does not accept the key"):
        with loaded(answer_s=20):
            pass
    server.health = 200  # it checks the key only for speech
    with loaded() as engine:
        server.misbehave("401")
        with pytest.raises(Misconfigured, match="answered 401: it does not accept the key; set OPENAI_SPEECH_API_KEY"):
            say(engine)


def test_key_is_in_no_message_log_or_version(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[SpeechFault] = ["401", "429 for long", "500", "json with 200"]
    versions: set[str] = set()
    with capture_logs() as logs:
        for key in ("secret-key", "second-key-4711"):
            use(monkeypatch, server, api_key=key, stall_s=0.5)
            with loaded() as engine:
                versions.add(engine.version)
                for fault in faults if key == "secret-key" else []:
                    server.misbehave(fault)
                    with pytest.raises(EngineError) as raised:
                        say(engine)
                    assert key not in str(raised.value) and key not in repr(raised.value)
                assert key not in repr(vars(engine)) and key not in repr(engine._settings and engine._settings.access)
    assert len(versions) == 1 and "secret-key" not in repr(logs) and "second-key-4711" not in repr(logs)


def test_load_names_the_server_that_does_not_answer(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, server)
    server.die()
    with pytest.raises(
        EngineError,
        match=f"^no speech server answers within 0.3 s: speech server {server.url} cannot be reached; start",
    ):
        with loaded(answer_s=0.3):
            pass


def test_load_waits_for_a_server_that_starts_late(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, server)
    server.die()
    later = threading.Timer(0.7, server.start)
    later.start()
    with loaded(answer_s=15) as engine:
        later.join()
        assert say(engine) == WHOLE


# ---- TLS


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[SpeechServer, Path]]:
    """A server that speaks TLS, and the file of its authority."""
    authority = Authority(tmp_path, "speech-ca")
    pair = authority.issue("speech")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    with SpeechServer(context=context) as server:
        yield server, authority.ca


def test_speech_by_tls_with_an_own_authority(
    secure: tuple[SpeechServer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, ca = secure
    use(monkeypatch, server, ca=ca)
    with loaded() as engine:
        assert say(engine) == WHOLE
        server.misbehave("slow")
        speaking = engine.synthesize(LONG, voice=None, language="ko", speed=1.0, stop=lambda: False)
        next(speaking)
        call = server.calls[-1]
        speaking.close()  # type: ignore[attr-defined]
        assert call.done.wait(3) and call.left_after_s is not None


def test_certificate_of_another_authority_is_not_accepted(
    secure: tuple[SpeechServer, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server, _ = secure
    use(monkeypatch, server, ca=Authority(tmp_path, "other-ca").ca)
    with pytest.raises(EngineError, match="cannot be reached: its certificate is not accepted"):
        with loaded(answer_s=1):
            pass
    assert server.calls == [] and server.health_paths == []
