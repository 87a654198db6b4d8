"""What a speech server can do wrong: each is one error that names the server, without the text and the key."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from services.synth.engines.base import EngineError
from services.synth.engines.servers.connection import ServerConnection, Silent
from tests.support.gpt_sovits_speech import speech, tone
from tests.support.speech_server import RATE_HZ, SpeechFault, SpeechServer
from tests.support.speech_settings import SENTENCE, loaded, say, speech_settings

pytestmark = pytest.mark.integration

WHOLE = speech(SENTENCE, RATE_HZ)
FIRST = tone(SENTENCE[:6], RATE_HZ)
KEY = "secret-key"


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as server:
        yield server


def use(patch: pytest.MonkeyPatch, *servers: SpeechServer, **settings: Any) -> None:
    for name, value in speech_settings(*servers, **settings).items():
        patch.setenv(name, value)


FAULTS: list[tuple[SpeechFault, bytes, str]] = [
    ("mute", b"", "sent nothing for 1.5 s"),
    ("trickling head", b"", "sent nothing for 1.5 s"),
    ("endless continue", b"", "sent nothing for 1.5 s"),
    ("huge head", b"", "ended its answer too early"),
    ("many headers", b"", "ended its answer too early"),
    ("not http", b"", "ended its answer too early"),
    ("close", b"", "ended its answer too early"),
    ("json with 200", b"", "sent application/json instead of audio: the model is still loading$"),
    ("json, quoting", b"", r"sent application/json instead of audio \(see its log\)$"),
    ("html with 200", b"", "sent text/html instead of audio$"),
    ("mp3 with 200", b"", "sent audio/mpeg instead of PCM or WAV"),
    ("gzip", b"", r"sent a compressed answer \(gzip\)"),
    ("gzip, chunked", b"", "sent a transfer encoding that was not asked for$"),
    ("400", b"", "refuses this sentence with status 400: input is too long$"),
    ("401", b"", "answered 401: it does not accept the key; set OPENAI_SPEECH_API_KEY$"),
    ("403", b"", "answered 403: it does not accept the key; set OPENAI_SPEECH_API_KEY$"),
    ("404", b"", "answered 404: it does not have this voice, model or path: model not found$"),
    ("408", b"", "answered 408$"),
    ("413", b"", "refuses this sentence with status 413$"),
    ("422", b"", "refuses this sentence with status 422: speed is too high$"),
    ("429 for long", b"", "answered 429: it asks to wait for 30 s$"),
    ("500", b"", "answered 500: CUDA error$"),
    ("redirect", b"", "answered 307, a redirect; name its new address in OPENAI_SPEECH_URLS$"),
    ("deep error", b"", "refuses this sentence with status 400$"),
    ("rude error", b"", "refuses this sentence with status 400: \ufffd\\[31mno\ufffd$"),
    ("long error", b"", "answered 500$"),
    ("trickling error", b"", "answered 500$"),
    ("stereo", b"", "sent something else than speech: it is not mono PCM16: 2 channels, 16 bits, 24000 Hz$"),
    ("8 bit", b"", "sent something else than speech: it is not mono PCM16: 1 channels, 8 bits, 24000 Hz$"),
    ("float", b"", "sent something else than speech: it is not mono PCM16: 1 channels, 32 bits, 24000 Hz$"),
    ("no wav", b"", "sent something else than speech: it is not WAV$"),
    ("empty", b"", "sent no audio for this sentence$"),
    ("silent body", b"", "sent nothing for 1.5 s$"),
    ("trickle", b"", "sent nothing for 1.5 s$"),
    ("stall", FIRST, "sent nothing for 1.5 s$"),
    ("reset", FIRST, "ended its answer too early$"),
    ("early close", FIRST, "ended its answer too early$"),
    ("close before audio", b"", "ended its answer too early$"),
    ("bad chunk", FIRST, "ended its answer too early$"),
    ("negative chunk", FIRST, "ended its answer too early$"),
]


@pytest.mark.parametrize(("fault", "expected_audio", "expected_message"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
def test_failure_of_a_server_is_an_error_without_audio_of_it(
    server: SpeechServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: SpeechFault,
    expected_audio: bytes,
    expected_message: str,
) -> None:
    wanted = "wav" if fault in ("stereo", "8 bit", "float", "no wav") else "pcm"
    use(monkeypatch, server, stall_s=2, api_key=KEY, format=wanted)
    with loaded() as engine:
        server.misbehave(fault)
        audio, began = b"", time.monotonic()
        with pytest.raises(EngineError, match=expected_message) as raised:
            for pcm in engine.synthesize(SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: False):
                audio += pcm
        assert time.monotonic() - began < 4
        message = str(raised.value)
        assert f"speech server {server.url} " in message and len(message) < 300
        assert KEY not in message and "만나서" not in message
        if fault == "trickle":  # however many bytes came in 1.5 s
            assert audio == bytes(len(audio)) and len(audio) < len(FIRST)
        elif fault == "negative chunk":  # what follows cannot be distinguished from audio
            assert audio.startswith(expected_audio) and len(audio) < len(expected_audio) + 10
        else:
            assert audio == expected_audio
        call = server.calls[0]
        assert call.done.wait(3), "the connection was not closed"
        assert call.sent_bytes < 4 << 20
        if fault != "429 for long":
            assert say(engine) == WHOLE, "the next sentence was not spoken"


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ("400", "invalid_request", False),
        ("422", "invalid_request", False),
        ("404", "invalid_request", False),
        ("401", "engine_error", True),
        ("500", "engine_error", True),
        ("stall", "engine_error", True),
    ],
)
def test_only_a_refused_sentence_or_voice_is_final(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch, fault: SpeechFault, code: str, retryable: bool
) -> None:
    use(monkeypatch, server, stall_s=2)
    with loaded() as engine:
        server.misbehave(fault)
        with pytest.raises(EngineError) as raised:
            say(engine)
    assert (raised.value.code, raised.value.retryable) == (code, retryable)


def test_wav_that_ends_before_its_announced_size_is_an_error(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.framing = "close"
    use(monkeypatch, server, format="wav")
    with loaded() as engine:
        server.misbehave("wav cut short")
        with pytest.raises(EngineError, match="ended its answer too early"):
            say(engine)


def test_endless_trailer_after_the_audio_is_an_error(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket has a timeout for each read only, and each read of it gets bytes."""
    use(monkeypatch, server, stall_s=2)
    with loaded() as engine:
        server.misbehave("endless trailer")
        audio, began = b"", time.monotonic()
        with pytest.raises(EngineError, match="sent nothing for 1.5 s|ended its answer too early"):
            for pcm in engine.synthesize(SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: False):
                audio += pcm
        assert audio == WHOLE and time.monotonic() - began < 4
        assert server.calls[0].done.wait(3)


def test_endless_answer_stays_in_the_network_while_nobody_reads_it(
    server: SpeechServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server)
    with loaded() as engine:
        server.misbehave("endless")
        speaking = engine.synthesize(SENTENCE, voice=None, language="ko", speed=1.0, stop=lambda: False)
        next(speaking)
        call = server.calls[0]
        time.sleep(1)
        stuck = call.sent_bytes
        time.sleep(0.5)
        assert call.sent_bytes == stuck < 16 << 20, "the audio is gathered in memory"
        speaking.close()  # type: ignore[attr-defined]
        assert call.done.wait(2) and call.left_after_s is not None


def test_timeouts_are_those_of_the_settings(server: SpeechServer, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, server, stall_s=8, first_audio_seconds=0.4, stall_seconds=0.8)
    with loaded() as engine:
        for fault, expected_message in (("mute", "nothing for 0.4 s"), ("silent body", "nothing for 0.4 s")):
            server.misbehave(fault)  # type: ignore[arg-type]
            with pytest.raises(EngineError, match=expected_message):
                say(engine)
        server.misbehave("stall")
        with pytest.raises(EngineError, match="nothing for 0.8 s"):
            say(engine)


def test_connect_has_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A listening socket whose queue is full drops the packets of a connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        held = [socket.socket() for _ in range(8)]
        try:
            for one in held:
                one.setblocking(False)
                one.connect_ex(address)
            monkeypatch.setenv("OPENAI_SPEECH_URLS", f"http://127.0.0.1:{address[1]}")
            monkeypatch.setenv("OPENAI_SPEECH_CONNECT_SECONDS", "0.3")
            began = time.monotonic()
            with pytest.raises(EngineError, match="no speech server answers within 1 s: .* cannot be reached; start"):
                with loaded(answer_s=1):
                    pass
            assert time.monotonic() - began < 3
        finally:
            for one in held:
                one.close()


def test_head_that_takes_too_long_is_ended_by_another_thread() -> None:
    with SpeechServer() as server, ServerConnection(server.url, silence_s=0.5) as connection:
        server.misbehave("trickling head")
        began = time.monotonic()
        poller = threading.Timer(0.7, connection.enforce)
        poller.start()
        with pytest.raises(Silent):
            connection.post("/v1/audio/speech", {"input": SENTENCE})
        assert time.monotonic() - began < 2
