"""The engine `vits`: a voice is a directory with a model, which runs in this process."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog

from services.synth.audio import resample
from services.synth.audio.resample import Resampler
from services.synth.engines.base import EngineError, SpokenWord, UnknownEngine, UnknownVoice, Voice
from services.synth.engines.vits.folders import Folder, find
from services.synth.engines.vits.languages import chosen
from services.synth.engines.vits.settings import VitsSettings
from services.synth.engines.vits.word_samples import spoken_words
from services.synth.engines.vits.worker import Worker, result_of

if TYPE_CHECKING:  # importing torch takes seconds: not before the voices are found
    from services.synth.engines.vits.network import Network

_RULES = "1"  # part of the version; raise it when the spelling, seed or cuts of a sentence change

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Loaded:
    folder: Folder
    model: Network

    @property
    def rate_hz(self) -> int:
        return self.model.sample_rate_hz

    def seed(self, spelled: str) -> int:
        """Returns the seed of the noise: the same for the same words in the same voice."""
        digested = f"{_RULES}\0{self.folder.digest}\0{spelled}"
        return int.from_bytes(hashlib.sha256(digested.encode()).digest()[:7])


class VitsEngine:
    """Speaks with the models of TTS_MODEL_DIR, TTS_AT_ONCE sentences at the same time; `synthesize` is thread-safe.

    On a CPU the same sentence gives the same bytes, unless it is decoded in a batch with others. A batch changes the
    rounding, by one step in a sample, so `deterministic` is False with TTS_BATCH. The length never changes, because
    each sentence is computed alone up to the decoder.
    """

    name = "vits"
    scales = True
    max_growth_mb = None
    trained = True

    def __init__(self) -> None:
        self.version = ""
        self.deterministic = False
        self.at_once = 1
        self._voices: dict[str, _Loaded] = {}
        self._worker: Worker | None = None

    def load(self) -> None:
        """Finds the voices, loads their models and warms them up. Raises EngineError that names what to fix."""
        settings = VitsSettings.load()
        folders = find(settings.tts_model_dir)
        try:
            from services.synth.engines.vits import network
        except ImportError as exc:
            raise UnknownEngine(
                f"engine 'vits' needs torch and transformers ({exc}): `make torch` installs them into .venv-torch, for "
                "ENGINE_PYTHON=.venv-torch/bin/python; or pip install '.[synth,torch]'"
            ) from exc
        device = network.device_of(settings.tts_device)
        batch = device != "cpu" if settings.tts_batch is None else settings.tts_batch
        self.at_once = settings.tts_at_once
        self.deterministic = device == "cpu" and not (batch and self.at_once > 1)
        self._worker = Worker(most=self.at_once if batch else 1, bound_s=settings.tts_batch_wait_ms / 1000)
        try:
            computing = self._worker.alone(partial(network.use_threads, settings.threads)).result()
            for folder in folders:
                model = self._worker.alone(partial(network.Network, folder, device)).result()
                self._voices[folder.name] = _Loaded(folder, model)
                self._warm_up(self._voices[folder.name])
        except EngineError:
            self.close()
            raise
        digests = ",".join(f"{folder.name} {folder.digest}" for folder in folders)
        digested = f"{network.VERSIONS}, {device}, {computing}, {digests}"
        self.version = f"{_RULES}-{hashlib.sha256(digested.encode()).hexdigest()[:12]}"
        if any(voice.rate_hz != self._default.rate_hz for voice in self._voices.values()):
            resample.load()
        log.info(
            "voices loaded",
            voices=[folder.name for folder in folders],
            device=device,
            threads=settings.threads,
            at_once=self.at_once,
            batch=batch,
            deterministic=self.deterministic,
        )

    def close(self) -> None:
        """Ends the thread that computes. Idempotent."""
        if self._worker is not None:
            self._worker.close()

    def voices(self) -> Sequence[Voice]:
        """Returns a voice for each directory, Korean ones first."""
        return [Voice(name, voice.folder.language, voice.rate_hz) for name, voice in self._voices.items()]

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the model's rate; without a voice the first one's (others are resampled). Raises UnknownVoice."""
        return (self._default if voice is None else self._named(voice)).rate_hz

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM, a small piece first, and an empty piece every second of waiting. See `Engine.synthesize`.

        Without a voice, the first one of that language speaks, else the first of all. It yields nothing if the model
        knows none of the characters.
        """
        return self.synthesize_words(lambda _: None, sentence, voice=voice, language=language, speed=speed, stop=stop)

    def synthesize_words(
        self,
        word: Callable[[SpokenWord], None],
        sentence: str,
        *,
        voice: str | None,
        language: str,
        speed: float,
        stop: Callable[[], bool],
    ) -> Iterator[bytes]:
        """As `synthesize`, with the words. See `WordIterator`."""
        chosen = self._of_language(language) if voice is None else self._named(voice)
        own_hz, hz = chosen.rate_hz, self.sample_rate_hz(voice)
        resampler = Resampler(own_hz, hz)

        def report(found: SpokenWord) -> None:
            begin, end = found.begin_sample * hz // own_hz, found.end_sample * hz // own_hz
            word(found._replace(begin_sample=begin, end_sample=end))

        for pcm in self._pieces(chosen, sentence, speed, stop, report):
            yield resampler.push(pcm)
        if not resampler.passthrough and not stop():
            yield resampler.flush()

    def _pieces(
        self,
        voice: _Loaded,
        sentence: str,
        speed: float,
        stop: Callable[[], bool],
        report: Callable[[SpokenWord], None],
    ) -> Iterator[bytes]:
        assert self._worker is not None, "the engine was not loaded"
        alphabet = voice.folder.alphabet
        words = alphabet.words(sentence)
        spelled = alphabet.between.join(word.letters for word in words)
        if not spelled:
            return
        model = voice.model
        due_s = time.monotonic()
        with self._worker.sentence():
            prepare = partial(model.prepared, spelled, speed=speed, seed=voice.seed(spelled))
            preparing = self._worker.alone(prepare, due_s=due_s)
            latents = None
            for latents in result_of(preparing, stop):
                if latents is None:
                    yield b""
            if latents is None:
                return  # stopped
            for found in spoken_words(words, len(alphabet.between), latents.letters):
                report(found)
            for piece in latents.pieces:
                kind = (voice.folder.name, piece.frames)
                decoding = self._worker.together(kind, model.decoded, (latents, piece), due_s)
                pcm = None
                for pcm in result_of(decoding, stop):
                    yield pcm or b""
                if pcm is None:
                    return  # stopped
                due_s += len(pcm) / (2 * voice.rate_hz)

    def _warm_up(self, voice: _Loaded) -> None:
        """Speak a few words, because the first computation of a model is slow."""
        for _ in self._pieces(voice, voice.folder.alphabet.some, 1.0, lambda: False, lambda _: None):
            pass

    @property
    def _default(self) -> _Loaded:
        return next(iter(self._voices.values()))

    def _named(self, voice: str) -> _Loaded:
        if voice not in self._voices:
            raise UnknownVoice(f"voice: TTS_MODEL_DIR has no {voice!r}; there is: {', '.join(self._voices)}")
        return self._voices[voice]

    def _of_language(self, language: str) -> _Loaded:
        voices = list(self._voices.values())
        return voices[chosen(language, [voice.folder.language for voice in voices])]
