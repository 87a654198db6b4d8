"""The engine `pocket`: a voice is a file of POCKET_VOICES, spoken by the model of POCKET_CONFIG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from services.synth.audio.tempo import Stretcher
from services.synth.engines.base import UnknownEngine, UnknownVoice, Voice
from services.synth.engines.digest import digest_of
from services.synth.engines.pocket.config_file import read_config
from services.synth.engines.pocket.settings import PocketSettings
from services.synth.engines.pocket.voice_files import find_voices

if TYPE_CHECKING:  # importing torch takes seconds: not before the files are found
    from services.synth.engines.pocket.model import PocketModel, State

_RULES = "1"  # part of the version; raise it when the input or the handling of the audio change the sound


class PocketEngine:
    """Pocket TTS, one sentence at a time. The model has no speed parameter: `speed` is a time stretch."""

    name = "pocket"
    deterministic = True
    at_once = 1  # the model is not thread-safe
    scales = True
    max_growth_mb = None
    trained = True

    def __init__(self) -> None:
        self.version = ""
        self._model: PocketModel | None = None
        self._language = ""
        self._states: dict[str, State] = {}

    def load(self) -> None:
        """Checks every file, then loads the model and all voices. Raises EngineError that names setting and file."""
        settings = PocketSettings.load()
        files, recordings = read_config(settings.config), find_voices(settings.voices)
        try:
            from services.synth.engines.pocket import model
        except ImportError as exc:
            raise UnknownEngine(
                f"the engine pocket needs Pocket TTS ({exc}): `make torch` installs it into .venv-torch, for "
                "ENGINE_PYTHON=.venv-torch/bin/python; or pip install '.[synth,pocket]'"
            ) from exc
        self._language = settings.pocket_language
        self._model = model.PocketModel(files)
        self._states = {name: self._model.voice(path) for name, path in recordings.items()}
        self.version = f"{_RULES}-{model.VERSION}-{digest_of([*files.files, *recordings.values()])}"

    def voices(self) -> Sequence[Voice]:
        """Returns a voice for each file of the folder, by name."""
        return [Voice(name, self._language, self._loaded.rate_hz) for name in self._states]

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the model's rate, for all voices. Raises UnknownVoice."""
        if voice is not None:
            self._state(voice)
        return self._loaded.rate_hz

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM in frames of 80 ms (at speed 1.0); nothing for a text without a letter or digit."""
        state = self._state(voice) if voice is not None else self._of_language(language)
        if not any(ch.isalnum() for ch in sentence):
            return
        pace = Stretcher(self._loaded.rate_hz, speed)
        frames = self._loaded.speak(state, sentence, stop)
        try:
            for pcm in frames:
                yield pace.push(pcm)
            yield pace.flush()
        finally:
            frames.close()

    @property
    def _loaded(self) -> PocketModel:
        assert self._model is not None, "the engine was not loaded"
        return self._model

    def _state(self, voice: str) -> State:
        if voice not in self._states:
            raise UnknownVoice(f"voice: there is no {voice!r} in POCKET_VOICES; there is: {', '.join(self._states)}")
        return self._states[voice]

    def _of_language(self, language: str) -> State:
        """Returns the first voice if the model speaks the language, with any country. Raises UnknownVoice."""
        if _primary(language) != _primary(self._language):
            raise UnknownVoice(
                f"language: this Pocket TTS model speaks {self._language!r}, not {language!r} (POCKET_LANGUAGE)"
            )
        return next(iter(self._states.values()))


def _primary(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()
