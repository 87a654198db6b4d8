"""The model, on the CPU. The only file that imports pocket_tts and torch.

pocket_tts speaks with two threads of its own, one that generates and one that decodes, in frames of 80 ms. It is not
thread-safe. For the same bytes in every call and process, on the same kind of CPU, torch's global generator is seeded
before every sentence, and one frame is decoded at a time. By default it decodes all waiting frames together, and their
number changes the last bits.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pydantic
import torch
import yaml
from pocket_tts import TTSModel
from pocket_tts.modules.stateful_module import init_states

from services.synth.engines.base import EngineError, Misconfigured
from services.synth.engines.pocket.config_file import ModelFiles
from services.synth.engines.pocket.voice_files import RECORDING

VERSION = f"{version('pocket-tts')}-torch{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
"""Version of the code, and what its arithmetic depends on."""

State = dict[str, dict[str, Any]]
"""A voice: the state of the model after its recording."""

_SEED = 1
_MAX_QUOTED = 300  # characters of the library's message


class PocketModel:
    """A loaded model. For one thread."""

    def __init__(self, files: ModelFiles) -> None:
        """Loads the model. Raises Misconfigured that names setting, file and fix."""
        # The library logs at every sentence, and quotes long texts.
        logging.getLogger("pocket_tts").setLevel(logging.CRITICAL)
        self._source = files.source
        self._clones = files.clones
        with tempfile.TemporaryDirectory(prefix="pocket-") as folder:
            resolved = Path(folder, "model.yaml")
            resolved.write_text(yaml.safe_dump(files.document), encoding="utf-8")
            try:
                self._model = TTSModel.load_model(config=resolved)
            except pydantic.ValidationError as exc:
                error = exc.errors(include_url=False, include_input=False)[0]
                field = ".".join(str(part) for part in error["loc"])
                raise self._wrong(f"{field}: {error['msg']}") from exc
            except Exception as exc:  # the library may raise anything for wrong files
                raise self._wrong(f"the model cannot be loaded: {_said(exc)}") from exc
        self._model.max_decoder_frames_per_call = 1
        self.rate_hz: int = self._model.sample_rate
        self._blank: State = init_states(self._model.flow_lm, batch_size=1, sequence_length=1)

    def voice(self, path: Path) -> State:
        """Returns the voice of a file; a recording takes seconds. Raises Misconfigured that names setting and file."""
        if path.suffix.lower() == RECORDING and not self._clones:
            raise _wrong_voice(
                path, "these weights cannot make a voice from a recording; export it with weights that can"
            )
        try:
            state: State = self._model.get_state_for_audio_prompt(path, truncate=True)
        except Exception as exc:  # as above
            raise _wrong_voice(path, f"no voice can be made from it: {_said(exc)}") from exc
        if _form(state) != _form(self._blank):
            raise _wrong_voice(path, "it belongs to another model; export it again with this one")
        return state

    def speak(self, voice: State, sentence: str, stop: Callable[[], bool]) -> Generator[bytes, None, None]:
        """Yields PCM of a sentence, 80 ms at a time. Stopped or closed, it ends within a frame. Raises EngineError."""
        ending = threading.Event()
        torch.manual_seed(_SEED)
        frames = self._model.generate_audio_stream(voice, sentence, stop=ending)
        try:
            while not stop() and (frame := self._next(frames)) is not None:
                yield _pcm16(frame)
        finally:
            ending.set()
            with contextlib.suppress(EngineError):
                # Its threads must end before the next sentence: the model is not thread-safe.
                while self._next(frames) is not None:
                    pass

    @staticmethod
    def _next(frames: Iterator[Any]) -> Any:
        """Returns the next frame, None at the end."""
        try:
            return next(frames, None)
        except Exception as exc:  # as above; its message may quote the text
            raise EngineError(f"pocket: the model failed during a sentence: {type(exc).__name__}") from exc

    def _wrong(self, problem: str) -> Misconfigured:
        return Misconfigured(f"POCKET_CONFIG: {self._source}: {problem}")


def _pcm16(frame: Any) -> bytes:
    if not bool(torch.isfinite(frame).all()):
        raise EngineError("pocket: the model's output is not finite; check that its weights belong to its YAML")
    samples = (frame.clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16)
    pcm: bytes = samples.numpy().astype("<i2").tobytes()
    return pcm


def _form(state: State) -> dict[str, dict[str, tuple[int, ...]]]:
    """Returns the shapes that two voices of one model have in common: all but the length of the recording."""
    return {
        module: {name: (*value.shape[:2], *value.shape[3:]) for name, value in parts.items() if name == "cache"}
        for module, parts in state.items()
    }


def _said(exc: Exception) -> str:
    return (" ".join(str(exc).split()) or type(exc).__name__)[:_MAX_QUOTED]


def _wrong_voice(path: Path, problem: str) -> Misconfigured:
    return Misconfigured(f"POCKET_VOICES: {path}: {problem}")
