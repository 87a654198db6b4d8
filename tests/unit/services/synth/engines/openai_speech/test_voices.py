"""Voices of speech servers: what a file may say, what the errors name, what a request has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.synth.engines.base import Misconfigured, UnknownVoice
from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.openai_speech.speech_body import speech_body, tempo
from services.synth.engines.openai_speech.voices import SpeechVoices, VoiceDefaults, one_voice, voices_of
from services.synth.engines.openai_speech.voices_file import read_speech_voices

pytestmark = pytest.mark.unit

EXAMPLE = Path(__file__).resolve().parents[6] / "deploy" / "speech-voices.example.yaml"
DEFAULTS = VoiceDefaults("kokoro", "wav", 22_050, {"stream": True})


def voices(document: object) -> SpeechVoices:
    return voices_of(document, "v.yaml", DEFAULTS, lambda _: None)


def written(folder: Path, text: str) -> OpenAiSpeechSettings:
    path = folder / "v.yaml"
    path.write_text(text)
    return OpenAiSpeechSettings(openai_speech_voices=path)


def test_voice_has_the_defaults_of_the_settings() -> None:
    both = voices({"voices": {"mina": {"languages": ["ko", "en-US"]}, "ann": {"languages": ["en"], "format": "pcm"}}})
    mina = both.named("mina")
    assert (mina.model, mina.voice, mina.format, mina.sample_rate_hz) == ("kokoro", "mina", "wav", 22_050)
    assert mina.extra_body == {"stream": True} and both.named("ann").format == "pcm"
    assert [(v.name, v.language, v.sample_rate_hz) for v in both.listed()] == [
        ("mina", "ko", 22_050),
        ("ann", "en", 22_050),
    ]
    assert both.of_language("en-GB") is mina and both.of_language("KO_kr") is mina and both.first is mina
    assert [voice.also_speaks for voice in both.listed()] == [("en-US",), ()]
    assert not both.deterministic


def test_extra_body_of_a_voice_is_added_to_that_of_the_settings() -> None:
    voice = voices({"voices": {"a": {"languages": ["ko"], "extra_body": {"seed": 1}}}}).first
    assert voice.extra_body == {"stream": True, "seed": 1}
    off = voices({"voices": {"a": {"languages": ["ko"], "extra_body": {"stream": False}}}}).first
    assert off.extra_body == {"stream": False}


def test_unknown_voice_and_language_are_named() -> None:
    some = voices({"voices": {"mina": {"languages": ["ko"]}}})
    with pytest.raises(UnknownVoice, match="^voice: there is no 'bob' in this node; there is: mina$"):
        some.named("bob")
    with pytest.raises(UnknownVoice, match="^language: no voice of this node has 'fr'"):
        some.of_language("fr")


def test_one_voice_of_the_settings_speaks_every_language() -> None:
    one = one_voice("alloy", "en-US", DEFAULTS)
    assert one.of_language("ko-KR") is one.named("alloy") and one.listed()[0].language == "en-US"


@pytest.mark.parametrize(
    ("text", "expected_message"),
    [
        ("", "v.yaml: it has no voices"),
        ("voices:", "v.yaml: it has no voices"),
        ("voices: [a]", "v.yaml: it has no voices"),
        ("voices: {a: {languages: [ko]}}\nvoice: b", "v.yaml: line 2: 'voice' is not known here"),
        (
            "voices:\n  a:\n    languages: [ko]\n    speed_: 1",
            "v.yaml: line 4: voice 'a': speed_: there is no such",
        ),
        ("voices:\n  a:\n    model: m", "v.yaml: line 2: voice 'a': languages: it is missing; write the languages"),
        ("voices:\n  a:\n    languages: ko", "line 3: voice 'a': languages: it is not a list"),
        (
            "voices:\n  a:\n    languages: [ko]\n    sample_rate_hz: 5",
            "line 4: voice 'a': sample_rate_hz: Input should",
        ),
        ("voices:\n  a:\n    languages: [ko]\n    voice: 5", "line 4: voice 'a': voice: it is not text; put quotes"),
        (
            "voices:\n  a:\n    languages: [ko]\n    format: mp3",
            "line 4: voice 'a': format: Input should be 'pcm'",
        ),
        ("voices:\n  a:\n    languages: [ko]\n    speed: 1.5", "line 4: voice 'a': speed: Input should be 'sent' or"),
        (
            "voices:\n  a:\n    languages: [ko]\n    extra_body: {input: x}",
            "line 4: voice 'a': extra_body: 'input' cannot be set here",
        ),
        (
            "voices:\n  a:\n    languages: [ko]\n    extra_body: {stream_format: sse}",
            "line 4: voice 'a': extra_body: 'stream_format' must be audio",
        ),
        (
            "voices:\n  a:\n    languages: [ko]\n    extra_body: {day: 2026-01-01}",
            "line 4: voice 'a': extra_body: it has a value that JSON does not have",
        ),
        (
            "voices:\n  a:\n    languages: [ko]\n    extra_body: {top_p: .nan}",
            "line 4: voice 'a': extra_body: it has a value that JSON does not have",
        ),
        (
            "voices:\n  a:\n    languages: [ko]\n    language_field: input",
            "line 4: voice 'a': language_field: 'input' is a field that every request has",
        ),
        ("voices:\n  a:\n    languages: [ko]\n    extra_body: [1]", "line 4: voice 'a': extra_body: it has no fields"),
        ("voices:\n  a:", "line 2: voice 'a' has no fields"),
        ("voices:\n  3: {languages: [ko]}", "line 2: a voice has the name 3; put quotes around it"),
        ("deterministic: yes please\nvoices: {a: {languages: [ko]}}", "line 1: deterministic: write true or false"),
        ("voices: {a: {}, a: {}}", "v.yaml: line 1: it is not YAML: 'a' is set twice"),
        ("voices: {a: [", "it is not YAML"),
    ],
)
def test_error_names_the_file_the_line_the_field_and_the_fix(tmp_path: Path, text: str, expected_message: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        read_speech_voices(written(tmp_path, text))
    assert expected_message in str(raised.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    settings = OpenAiSpeechSettings(openai_speech_voices=tmp_path / "none.yaml")
    with pytest.raises(Misconfigured, match="none.yaml: there is no such file; copy deploy/speech-voices.example.yaml"):
        read_speech_voices(settings)


def test_digest_changes_with_the_voices_and_not_with_key_or_addresses(tmp_path: Path) -> None:
    base: dict[str, Any] = {"voices": {"a": {"languages": ["ko"]}}}
    digests = [
        voices(base).digest,
        voices({**base, "revision": 2}).digest,
        voices({**base, "deterministic": True}).digest,
        voices({"voices": {"b": {"languages": ["ko"]}}}).digest,
        voices({"voices": {"a": {"languages": ["ko"], "extra_body": {"seed": 2}}}}).digest,
        voices_of(base, "v.yaml", VoiceDefaults("other"), lambda _: None).digest,
    ]
    assert len(set(digests)) == len(digests)
    settings = [
        OpenAiSpeechSettings(),
        OpenAiSpeechSettings(openai_speech_api_key="k", openai_speech_urls="http://b:1"),  # type: ignore[arg-type]
    ]
    assert len({read_speech_voices(one).digest for one in settings}) == 1


def test_digest_changes_with_the_order_of_the_voices() -> None:
    """The order determines the voice of a request without one, which the phrase cache and resumption rely on."""
    a, b = {"languages": ["ko"], "voice": "a"}, {"languages": ["ko"], "voice": "b"}
    assert voices({"voices": {"a": a, "b": b}}).digest != voices({"voices": {"b": b, "a": a}}).digest


def test_example_file_is_valid_also_with_all_its_comments_in_use(tmp_path: Path) -> None:
    assert read_speech_voices(OpenAiSpeechSettings(openai_speech_voices=EXAMPLE)).listed()[0].name == "heart"
    text = EXAMPLE.read_text()
    for line in ("revision: 1", "deterministic: true"):
        text = text.replace(f"# {line}", line)
    text = re.sub(r"^    # ", "    ", text, flags=re.MULTILINE)
    everything = read_speech_voices(written(tmp_path, text)).first
    given = set(yaml.safe_load(text)["voices"]["heart"])
    assert given == set(type(everything).model_fields), "a field is not in the example"


def test_body_of_a_request() -> None:
    fields = {"languages": ["ko"], "voice": None, "language_field": "lang", "instructions": "calmly"}
    voice = voices({"voices": {"a": fields, "b": {"languages": ["ko"], "speed": "unsupported"}}})
    assert speech_body(voice.named("a"), "네.", language="ko-KR", speed=1.25) == {
        **{"stream": True, "model": "kokoro", "input": "네.", "response_format": "wav"},
        **{"instructions": "calmly", "lang": "ko-KR", "speed": 1.25},
    }
    assert "speed" not in speech_body(voice.named("a"), "네.", language="ko-KR", speed=1.0)
    assert "speed" not in speech_body(voice.named("b"), "네.", language="ko-KR", speed=1.25)
    assert (tempo(voice.named("a"), 1.25), tempo(voice.named("b"), 1.25)) == (1.0, 1.25)
