"""Settings of the engine openai_speech: addresses, key, timeouts, TLS, and the errors that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.synth.engines.base import EngineError, Misconfigured
from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.openai_speech.voices_file import read_speech_voices
from tests.support.certificates import Authority

pytestmark = pytest.mark.unit


def load(patch: pytest.MonkeyPatch, **settings: object) -> OpenAiSpeechSettings:
    for name, value in settings.items():
        patch.setenv(name if name.isupper() else f"OPENAI_SPEECH_{name.upper()}", str(value))
    return OpenAiSpeechSettings.load()


@pytest.mark.parametrize(
    ("given", "urls"),
    [
        ("http://a:8880", ["http://a:8880"]),
        (" http://a:1/v1/ , https://b/openai/v1,", ["http://a:1", "https://b/openai"]),
        ("http://[::1]:8880/v1", ["http://[::1]:8880"]),
    ],
)
def test_addresses_are_with_or_without_v1(monkeypatch: pytest.MonkeyPatch, given: str, urls: list[str]) -> None:
    assert load(monkeypatch, urls=given).urls == urls


@pytest.mark.parametrize(
    ("name", "value", "expected_message"),
    [
        ("urls", "a:8880", "is not the address of a server, as in http://127.0.0.1:8880"),
        ("urls", "http://user:pass@a", "one with a user or a password in it (not shown) is not the address"),
        ("urls", "http://a/v1,http://a", "a server is named twice"),
        ("urls", " , ", "name at least one server"),
        ("api_key", "a\nb", "must be printable ASCII"),
        ("api_key", "비밀", "must be printable ASCII"),
        ("extra_body", "[1]", "it is not a JSON object, as in"),
        ("extra_body", "{", "it is not a JSON object, as in"),
        ("health_path", "health", "'health' is not a path, as in /health"),
        ("health_path", "/a b", "'/a b' is not a path"),
        ("at_once", "0", "is out of range; 1 to 64"),
        ("format", "mp3", "is neither pcm nor wav"),
        ("sample_rate", "5", "is out of range; 8000 to 192000"),
        ("first_audio_seconds", "20", "20 is not less than SYNTH_STALL_SECONDS (20)"),
        ("stall_seconds", "30", "30 is not less than SYNTH_STALL_SECONDS (20)"),
        ("connect_seconds", "0", "is out of range; more than 0, at most 60"),
    ],
)
def test_error_names_the_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected_message: str
) -> None:
    with pytest.raises(EngineError) as raised:
        load(monkeypatch, **{name: value})
    message = str(raised.value)
    assert f"OPENAI_SPEECH_{name.upper()}: " in message and expected_message in message
    assert "pass@" not in message and "비밀" not in message and "a\nb" not in message


def test_extra_body_may_not_have_a_field_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, extra_body='{"input": "x"}')
    with pytest.raises(Misconfigured, match="^OPENAI_SPEECH_EXTRA_BODY: 'input' cannot be set here"):
        read_speech_voices(settings)


def test_timeouts_leave_time_for_another_server_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one = load(monkeypatch, SYNTH_STALL_SECONDS=8).limits
    assert (one.first_s, one.next_s, one.total_s) == (6, 6, 6)
    two = load(monkeypatch, urls="http://a,http://b").limits
    assert (two.first_s, two.next_s, two.total_s) == (3, 6, 6)
    own = load(monkeypatch, first_audio_seconds=7, stall_seconds=0.5).limits
    assert (own.first_s, own.next_s, own.total_s) == (7, 0.5, 7)


def test_key_is_a_header_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, api_key="secret-key")
    assert settings.access.headers == {"Authorization": "Bearer secret-key"}
    assert "secret-key" not in f"{settings!r} {settings} {settings.access!r}"
    monkeypatch.delenv("OPENAI_SPEECH_API_KEY")
    assert OpenAiSpeechSettings.load().access.headers == {}


def test_authority_is_for_addresses_with_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ca = Authority(tmp_path).ca
    assert load(monkeypatch, ca=ca, urls="https://a").access.tls is not None
    with pytest.raises(Misconfigured, match="^OPENAI_SPEECH_CA is set, but no address in OPENAI_SPEECH_URLS"):
        _ = load(monkeypatch, urls="http://a").access
    with pytest.raises(Misconfigured, match="^OPENAI_SPEECH_CA: .*none.pem"):
        _ = load(monkeypatch, ca=tmp_path / "none.pem", urls="https://a").access
