"""Loads an engine with given settings and speaks with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from services.synth.engines.base import SpokenWord
from services.synth.engines.vits.engine import VitsEngine

KOREAN = "안녕하세요, 오늘 회의는 세 시에 시작합니다."
ENGLISH = "Hello, how can I help you today?"
RATE = 16_000


def loaded(voices: Path | None, **settings: object) -> VitsEngine:
    """Returns a loaded engine; `settings` has names of VitsSettings."""
    given = {"tts_threads": 1, **settings} | ({"tts_model_dir": voices} if voices is not None else {})
    engine = VitsEngine()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name.upper(), str(value))
        engine.load()
    return engine


def pieces(
    engine: VitsEngine,
    sentence: str,
    *,
    voice: str | None = None,
    language: str = "ko-KR",
    speed: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
) -> list[bytes]:
    """Yields the engine's audio piece by piece."""
    return list(engine.synthesize(sentence, voice=voice, language=language, speed=speed, stop=stop))


def spoken(engine: VitsEngine, sentence: str, **options: object) -> bytes:
    """Returns all of the audio."""
    return b"".join(pieces(engine, sentence, **options))  # type: ignore[arg-type]


def spoken_words(engine: VitsEngine, sentence: str, **options: object) -> tuple[bytes, list[SpokenWord]]:
    """Returns all of the audio, and its words."""
    words: list[SpokenWord] = []
    manner = {"voice": None, "language": "ko-KR", "speed": 1.0, "stop": lambda: False, **options}
    return b"".join(engine.synthesize_words(words.append, sentence, **manner)), words  # type: ignore[arg-type]


def spoken_at_once(engine: VitsEngine, sentences: Sequence[str]) -> list[bytes]:
    """Speaks each sentence on its own thread, all started together, as the engine process does."""
    given: list[bytes] = [b""] * len(sentences)
    gate = threading.Barrier(len(sentences))

    def speak(number: int) -> None:
        gate.wait()
        given[number] = spoken(engine, sentences[number])

    threads = [threading.Thread(target=speak, args=(number,)) for number in range(len(sentences))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return given
