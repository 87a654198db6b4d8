"""The engine `gpt_sovits_local`: a voice is a profile of `voices.yaml`, spoken by GPT-SoVITS in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import structlog

from services.synth.audio import resample
from services.synth.audio.resample import Resampler
from services.synth.engines.base import EngineError, Misconfigured, Voice
from services.synth.engines.digest import digest_of
from services.synth.engines.gpt_sovits.voices import Profile, Voices
from services.synth.engines.gpt_sovits.voices_file import read_voices
from services.synth.engines.gpt_sovits_local import files
from services.synth.engines.gpt_sovits_local.files import ModelsFolder
from services.synth.engines.gpt_sovits_local.request_body import asked
from services.synth.engines.gpt_sovits_local.runtime import ENGLISH, RECORDING_S, Runtime
from services.synth.engines.gpt_sovits_local.settings import GptSovitsLocalSettings
from services.synth.engines.servers.quoting import has_something_to_say

_RULES = "1"  # part of the version; raise it when requests or the handling of the audio change the sound
_PIECE_BYTES = 8 * 1024  # 128 ms at 32 kHz: the package yields about a second at once

log = structlog.get_logger()


class GptSovitsLocalEngine:
    """GPT-SoVITS without a server: one sentence at a time, on the CPU."""

    name = "GPT-sovits"
    deterministic = (
        False  # sampling is random, and a seed gives the same result only for one number of threads and kind of CPU
    )
    at_once = 1
    scales = True
    max_growth_mb = None
    trained = True

    def __init__(self) -> None:
        self.version = ""
        self._voices: Voices | None = None
        self._runtime: Runtime | None = None

    def load(self) -> None:
        """Checks every file, then loads the models. Raises Misconfigured that names setting or profile, and file."""
        settings = GptSovitsLocalSettings.load()
        models, source = ModelsFolder(settings.models), settings.gpt_sovits_voices.absolute()
        voices = read_voices(source)
        voices.profiles = files.on_this_machine(voices, models, source)
        resample.load()
        runtime = Runtime(models)
        for name, profile in voices.profiles.items():
            _check_recordings(runtime, profile, f"{source}: voice {name!r}")
        first = next(iter(voices.profiles.values()))
        runtime.use(first)
        for name, profile in voices.profiles.items():
            for language in sorted(files.languages_of(profile)):
                try:
                    runtime.try_language(language, profile.version)
                except EngineError as exc:
                    raise Misconfigured(f"{source}: voice {name!r}: {exc}") from exc
        if not runtime.has_english:
            log.warning(
                "GPT-SoVITS cannot speak some English words: data is missing", fix=f"put {ENGLISH} in NLTK_DATA"
            )
        own = (path for profile in voices.profiles.values() for path in files.files_of(profile))
        digest = digest_of(dict.fromkeys([*files.models_of(models), *own]))  # each file once
        self.version = f"{_RULES}-{runtime.version}-{voices.digest}-{digest}"
        self._voices, self._runtime = voices, runtime

    def voices(self) -> Sequence[Voice]:
        """Returns the profiles, in the order of the file."""
        return self._profiles.listed()

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the declared rate of the profile; without a voice, of the first one. Raises UnknownVoice."""
        return self._profiles.sample_rate_hz(voice)

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM in pieces of at most 128 ms. See `Engine.synthesize`. A stop takes effect within a step (1 s)."""
        assert self._runtime is not None, "the engine was not loaded"
        profile = self._profiles.named(voice) if voice is not None else self._profiles.of_language(language)
        body = asked(profile, sentence, language=language, speed=speed)
        if not has_something_to_say(sentence):
            return
        rate_hz = self.sample_rate_hz(voice)
        resampler: Resampler | None = None
        with closing(self._runtime.speak(profile, body, stop)) as speech:
            for made_hz, pcm in speech:
                resampler = resampler or Resampler(made_hz, rate_hz)
                yield from _pieces(resampler.push(pcm))
        if resampler is not None:
            yield from _pieces(resampler.flush())

    @property
    def _profiles(self) -> Voices:
        assert self._voices is not None, "the engine was not loaded"
        return self._voices


def _pieces(pcm: bytes) -> Iterator[bytes]:
    for at in range(0, len(pcm), _PIECE_BYTES):
        yield pcm[at : at + _PIECE_BYTES]


def _check_recordings(runtime: Runtime, profile: Profile, where: str) -> None:
    """Raises Misconfigured for a recording that cannot be decoded, or is too short or too long."""
    shortest, longest = RECORDING_S
    try:
        lasts = runtime.recording_s(profile.ref_audio_path)
    except Misconfigured as exc:
        raise Misconfigured(f"{where}: ref_audio_path: {exc}") from exc
    if not shortest <= lasts <= longest:
        raise Misconfigured(
            f"{where}: ref_audio_path: {profile.ref_audio_path} lasts {lasts:.1f} s; "
            f"it must last {shortest:g} to {longest:g} s"
        )
    for path in profile.aux_ref_audio_paths:
        try:
            runtime.recording_s(path)
        except Misconfigured as exc:
            raise Misconfigured(f"{where}: aux_ref_audio_paths: {exc}") from exc
