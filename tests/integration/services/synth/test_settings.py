"""A wrong setting or file of an engine ends synth with exit code 2, and the message names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.engines import install_strange_engine
from tests.support.services import Stack
from tests.support.speech_server import SpeechServer
from tests.support.speech_settings import speech_settings

pytestmark = pytest.mark.integration


async def ended(stack: Stack, **settings: object) -> tuple[int, str]:
    """Returns the exit code of a synth with these settings, and why it cannot start."""
    synth = stack.add("synth", SYNTH_SLOTS=1, **settings)
    synth.launch()
    code = await synth.ended(60)
    assert "Traceback" not in synth.text()
    (line,) = [line for line in synth.text().splitlines() if '"level": "error"' in line]
    return code, line


@pytest.mark.parametrize(
    ("engine", "settings", "expected_message"),
    [
        ("pocket", {}, "POCKET_CONFIG is not set"),
        ("pocket", {"POCKET_CONFIG": "/no/model.yaml"}, "POCKET_CONFIG: /no/model.yaml: there is no such file"),
        ("pocket", {"POCKET_LANGUAGE": "?"}, "POCKET_LANGUAGE: "),
        ("vits", {}, "TTS_MODEL_DIR is not set"),
        ("vits", {"TTS_MODEL_DIR": "/no/models"}, "TTS_MODEL_DIR: there is no directory /no/models"),
        ("gpt_sovits", {}, "voices.yaml: there is no such file"),
        ("gpt_sovits", {"GPT_SOVITS_URLS": "none"}, "GPT_SOVITS_URLS: "),
        ("openai_speech", {"OPENAI_SPEECH_URLS": "none"}, "OPENAI_SPEECH_URLS: "),
        ("openai_speech", {"OPENAI_SPEECH_EXTRA_BODY": "[]"}, "OPENAI_SPEECH_EXTRA_BODY: it is not a JSON object"),
        ("openai_speech", {"OPENAI_SPEECH_VOICES": "/no/voices.yaml"}, "/no/voices.yaml: there is no such file"),
        ("openai_speech", {"OPENAI_SPEECH_CA": "/no/ca.pem"}, "OPENAI_SPEECH_CA is set, but no address"),
        ("espeak", {"TTS_VOICE": "nope"}, "TTS_VOICE: espeak has no 'nope'; "),
        ("espeak", {"TTS_VOICE": "ko+nope"}, "TTS_VOICE: espeak has no 'ko+nope'; "),
    ],
)
async def test_synth_exits_with_2_and_names_a_wrong_setting(
    stack: Stack, engine: str, settings: dict[str, str], expected_message: str
) -> None:
    code, why = await ended(stack, TTS_ENGINE=engine, **settings)
    assert code == 2 and expected_message in why and "cannot start" in why
    assert "TTS_VOICE" not in settings or "there is: en-us, ko, " in why  # by their names


async def test_synth_exits_with_2_and_names_a_wrong_file(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "voices.yaml").write_text("voices:\n  mina: {}\n")
    code, why = await ended(stack, TTS_ENGINE="gpt_sovits", GPT_SOVITS_VOICES=tmp_path / "voices.yaml")
    assert code == 2 and "voices.yaml: voice 'mina': languages: it is missing" in why


async def test_synth_exits_with_2_if_the_speech_server_does_not_accept_the_key(stack: Stack) -> None:
    with SpeechServer() as server:
        server.misbehave("401")
        settings = speech_settings(server, api_key="secret-key")
        code, why = await ended(stack, TTS_ENGINE="openai_speech", **settings)
        assert code == 2 and "401: it does not accept the key; set OPENAI_SPEECH_API_KEY" in why
    assert "secret-key" not in stack["synth"][0].text()


async def test_synth_exits_with_1_for_an_error_that_a_restart_may_fix(stack: Stack, tmp_path: Path) -> None:
    """Exit code 1, so that a supervisor starts it again."""
    install_strange_engine(tmp_path)
    synth = stack.add("synth", SYNTH_SLOTS=1, TTS_ENGINE="strange", STRANGE="fails")
    synth._env["PYTHONPATH"] += f":{tmp_path}"
    synth.launch()
    assert await synth.ended(60) == 1


async def test_synth_accepts_a_variant_as_its_voice(stack: Stack) -> None:
    """It is not listed, but can be spoken."""
    await stack.start("synth", SYNTH_SLOTS=1, TTS_VOICE="ko+f2")
