"""Requests to a GPT-SoVITS server and its answers: bodies, refusals, silence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.synth.engines.base import UnknownVoice
from services.synth.engines.gpt_sovits import tts
from services.synth.engines.gpt_sovits.silence import FAILURE_RATE_HZ, SilenceGate, SilentFailure
from services.synth.engines.gpt_sovits.voices import Profile
from services.synth.engines.servers.audio_timeout import AudioTimeout

pytestmark = pytest.mark.unit

PROFILE: dict[str, Any] = {
    "languages": ["ko"],
    "ref_audio_path": "/voices/mina.wav",
    "prompt_lang": "ko",
    "prompt_text": "안녕하세요.",
}


def profile(**fields: Any) -> Profile:
    return Profile.model_validate(PROFILE | fields)


# ---- the body


def test_body_contains_the_profile_and_the_sentence() -> None:
    assert tts.body(profile(), "네.", language="ko-KR", speed=1.0) == {
        "text": "네.",
        "text_lang": "ko",
        "ref_audio_path": "/voices/mina.wav",
        "prompt_lang": "ko",
        "prompt_text": "안녕하세요.",
        "streaming_mode": 1,
        "media_type": "wav",
        "speed_factor": 1.0,
    }


def test_body_passes_the_parameters_of_the_profile_and_multiplies_the_speed() -> None:
    parameters = {"streaming_mode": 3, "top_k": 5, "seed": 7, "parallel_infer": False, "speed_factor": 0.9}
    body = tts.body(profile(parameters=parameters, aux_ref_audio_paths=["/b.wav"]), "네.", language="en", speed=1.5)
    assert body.items() >= {"streaming_mode": 3, "top_k": 5, "seed": 7, "parallel_infer": False}.items()
    assert body["speed_factor"] == 1.35 and body["aux_ref_audio_paths"] == ["/b.wav"] and body["text_lang"] == "en"
    assert tts.whole(body) == body | {"streaming_mode": 0}
    json.dumps(body)


def test_body_prefers_text_lang_of_the_profile_and_names_an_unknown_language() -> None:
    assert tts.body(profile(text_lang="AUTO"), "네.", language="fr-FR", speed=1)["text_lang"] == "auto"
    with pytest.raises(UnknownVoice, match="^language: GPT-SoVITS does not speak 'fr-FR'"):
        tts.body(profile(), "네.", language="fr-FR", speed=1)


# ---- refusals


@pytest.mark.parametrize(
    ("status", "answer", "beginning"),
    [
        (400, {"message": "text_lang: xx is not supported in version v2"}, "text_lang: xx is not supported"),
        (400, {"message": "tts failed", "Exception": "/a.wav not exists"}, "tts failed: /a.wav not exists"),
        (400, {"message": "tts failed", "Exception": "cannot read 비밀번호"}, "tts failed: (see its log)"),
        (400, {"message": 5}, "it answered 400"),
        (422, {"detail": [{"input": "비밀번호는 일이삼"}]}, "it answered 422"),
        (502, "<html>Bad Gateway</html>", "it answered 502"),
        (400, [], "it answered 400"),
        (400, {"message": "x" * 10_000}, "x" * 199 + "…"),
        (400, '{"message":' * 30_000, "it answered 400"),
        (400, "[" * 60_000, "it answered 400"),
        (400, {"message": "\x1b[31mbad\u202e", "Exception": "\x9b2J \ud800"}, "\ufffd[31mbad\ufffd: \ufffd2J \ufffd"),
        (400, {"message": "two\nlines"}, "two lines"),
    ],
)
def test_reason_returns_the_error_of_the_server(status: int, answer: object, beginning: str) -> None:
    data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
    given_reason = tts.reason(status, data, "비밀번호는 일이삼. cannot 비밀번호")
    assert given_reason.startswith(beginning) and len(given_reason) <= 250


def test_reason_never_quotes_the_sentence() -> None:
    sentence = "제 비밀번호는 4711번입니다"
    for quoted in (sentence, "비밀번호는", "...4711번입니다..."):
        data = json.dumps({"message": "tts failed", "Exception": f"bad token in {quoted}"}).encode()
        assert quoted not in tts.reason(400, data, sentence)


# ---- silence


def gated(rate_hz: int, *pieces: bytes, ended: bool = True) -> bytes:
    gate = SilenceGate(rate_hz)
    return b"".join(gate.push(piece) for piece in pieces) + (gate.end() if ended else b"")


def zeros(seconds: float, rate_hz: int) -> bytes:
    return bytes(2 * int(seconds * rate_hz))


def test_gate_raises_silent_failure_after_one_second_of_zeros_at_16_khz() -> None:
    gate = SilenceGate(FAILURE_RATE_HZ)
    assert gate.push(zeros(0.5, FAILURE_RATE_HZ)) == b""
    with pytest.raises(SilentFailure):
        gate.push(zeros(0.5, FAILURE_RATE_HZ))


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 32_000, 48_000])
@pytest.mark.parametrize("seconds", [0, 0.3, 0.99, 1.0, 3.0])
def test_gate_raises_silent_failure_at_the_end_when_all_samples_are_zero(rate_hz: int, seconds: float) -> None:
    with pytest.raises(SilentFailure):
        gated(rate_hz, zeros(seconds, rate_hz))


def test_gate_returns_no_zeros_of_a_failure_after_speech() -> None:
    """16 000 zeros, and then a stream that breaks: `end` is not called."""
    assert gated(32_000, b"\1\0" * 5, bytes(2 * FAILURE_RATE_HZ), ended=False) == b"\1\0" * 5


def test_gate_holds_a_bounded_number_of_samples() -> None:
    gate = SilenceGate(1_000)
    assert gate.push(bytes(2_000)) == b""
    assert len(gate.push(bytes(10_000))) == 10_000
    assert gate.push(b"\0\1") == bytes(2_000) + b"\0\1"


@given(st.lists(st.lists(st.sampled_from([b"\0\0", b"\0\1", b"\1\0"]), max_size=6).map(b"".join), max_size=8))
def test_gate_returns_speech_unchanged(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    if any(whole):
        assert gated(2, *pieces) == whole
    else:
        with pytest.raises(SilentFailure):
            gated(2, *pieces)


def waiting(rate_hz: int, *answer: tuple[float, bytes], patience_s: float = 15.0) -> float:
    """Returns the seconds left of the timeout after these pieces of an answer, each with its waiting time."""
    gate, patience = SilenceGate(rate_hz), AudioTimeout(patience_s, patience_s, rate_hz)
    for took_s, pcm in answer:
        patience.waited(took_s)
        if patience.left_s <= 0:
            break
        patience.given(len(gate.push(pcm)))
    return patience.left_s


SOUND = b"\1\0" * 3_200


@pytest.mark.parametrize("drop", [b"\0\0", b"\1\0"])
@pytest.mark.parametrize("before", [b"", SOUND])
def test_timeout_shrinks_while_a_server_sends_too_slowly(drop: bytes, before: bytes) -> None:
    assert waiting(32_000, (0.1, before), *[(2.0, drop)] * 7) == pytest.approx(1.0, abs=0.11)
    assert waiting(32_000, (0.1, before), *[(2.0, drop)] * 20) <= 0


@pytest.mark.parametrize(
    "answer",
    [
        [(14.0, zeros(0.9, 32_000) + SOUND), (14.0, SOUND)],
        [(7.0, zeros(0.9, 32_000)), (7.0, SOUND), (7.0, zeros(0.9, 32_000)), (7.0, SOUND)],
        [(0.01, zeros(0.06, 32_000))] * 100 + [(0.01, SOUND)],
        [(0.1, SOUND)] + [(0.5, zeros(0.5, 32_000))] * 60 + [(0.5, SOUND)],  # half a minute of silence, in real time
        [(1.0, SOUND[:2])] * 5 + [(1.0, SOUND)],
    ],
)
def test_timeout_stays_the_same_while_an_answer_contains_silence(answer: list[tuple[float, bytes]]) -> None:
    assert waiting(32_000, *answer) == 15.0
