"""Settings of the engine openai_speech for tests, and the engine on threads of the test's process."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.synth.engines.openai_speech.engine import OpenAiSpeechEngine
from tests.support.speech_server import SpeechServer

SENTENCE = "안녕하세요, 만나서 반갑습니다."


def speech_settings(*servers: SpeechServer, stall_s: float = 8.0, **settings: object) -> dict[str, str]:
    """Settings for synth or an engine: these servers, and others by the end of their names in lower case."""
    return {
        "OPENAI_SPEECH_URLS": ",".join(server.url for server in servers),
        "SYNTH_STALL_SECONDS": f"{stall_s:g}",
        **{f"OPENAI_SPEECH_{name.upper()}": str(value) for name, value in settings.items()},
    }


def voices_file(folder: Path, *, top: dict[str, Any] | None = None, **voices: dict[str, Any]) -> Path:
    """A file for OPENAI_SPEECH_VOICES; each voice has the language ko unless it says otherwise."""
    path = folder / "speech-voices.yaml"
    named = {name: {"languages": ["ko"], **fields} for name, fields in voices.items()}
    path.write_text(json.dumps({**(top or {}), "voices": named}))  # JSON is YAML
    return path


@contextlib.contextmanager
def loaded(answer_s: float = 5.0) -> Iterator[OpenAiSpeechEngine]:
    """The engine with the settings of the environment."""
    engine = OpenAiSpeechEngine(answer_s)
    try:
        engine.load()
        yield engine
    finally:
        engine.close()


def say(engine: OpenAiSpeechEngine, sentence: str = SENTENCE, voice: str | None = None, **options: Any) -> bytes:
    """All audio of a sentence."""
    language, speed = options.get("language", "ko-KR"), options.get("speed", 1.0)
    return b"".join(engine.synthesize(sentence, voice=voice, language=language, speed=speed, stop=lambda: False))
