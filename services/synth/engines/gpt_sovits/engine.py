"""The engine `gpt_sovits`: a voice is a profile of `voices.yaml`, spoken by one of the servers in GPT_SOVITS_URLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import structlog

from services.synth.audio import resample
from services.synth.engines.base import EngineError, Voice
from services.synth.engines.gpt_sovits import tts
from services.synth.engines.gpt_sovits.sentence_request import RequestBody, SentenceRequest
from services.synth.engines.gpt_sovits.settings import GptSovitsSettings
from services.synth.engines.gpt_sovits.voices import Voices
from services.synth.engines.gpt_sovits.voices_file import read_voices
from services.synth.engines.gpt_sovits.weights import GPT_SOVITS
from services.synth.engines.servers.engine_speech import spoken_by
from services.synth.engines.servers.other_rate import OtherRateWarning
from services.synth.engines.servers.servers import Servers

ANSWER_S = 30.0
"""Timeout of `load` for the first server; a server that was started at the same time still loads its models."""

_OTHERS_S = 2.0
_RULES = "1"  # part of the version; raise it when requests or the handling of answers change the sound

log = structlog.get_logger()


class GptSovitsEngine:
    """Speaks through GPT-SoVITS servers, each of which speaks one sentence at a time. `synthesize` is thread-safe."""

    name = "GPT-sovits"
    deterministic = False  # sampling is random, and a seed gives the same result only on one kind of device
    scales = False
    max_growth_mb = None
    trained = True

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self.at_once = 1
        self.version = ""
        self._answer_s = answer_s
        self._silence_timeout_s = 0.0
        self._voices: Voices | None = None
        self._servers: Servers | None = None
        self._other_rate = OtherRateWarning("a GPT-SoVITS server", "sample_rate_hz or version in the voices file")

    def load(self) -> None:
        """Reads the profiles and waits for a server. Raises EngineError that names the file or servers, and the fix."""
        settings = GptSovitsSettings.load()
        self._voices = read_voices(settings.gpt_sovits_voices)
        self.version = f"{_RULES}-{self._voices.digest}"
        self._silence_timeout_s = settings.silence_timeout_s
        urls = settings.urls
        self.at_once = len(urls)
        self._servers = Servers(urls, GPT_SOVITS)
        if not self._servers.wait(1, self._answer_s):
            self._servers.close()
            raise EngineError(
                f"no GPT-SoVITS server answers at {', '.join(urls)} within {self._answer_s:g} s; start api_v2.py "
                "there, or set GPT_SOVITS_URLS"
            )
        if (answering := self._servers.wait(len(urls), _OTHERS_S)) < len(urls):
            log.warning("some GPT-SoVITS servers do not answer yet", answering=answering, servers=len(urls))
        resample.load()

    def close(self) -> None:
        """Ends the threads that check the servers. Idempotent."""
        if self._servers is not None:
            self._servers.close()

    def voices(self) -> Sequence[Voice]:
        """Returns the profiles, in the order of the file."""
        return self._profiles.listed()

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the declared rate of the profile; without a voice, of the first one. Raises UnknownVoice."""
        return self._profiles.sample_rate_hz(voice)

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM as the server sends it, and an empty piece every second without audio. See `Engine.synthesize`.

        Stopped or closed, it closes the connection to the server at once.
        """
        assert self._servers is not None, "the engine was not loaded"
        profile = self._profiles.named(voice) if voice is not None else self._profiles.of_language(language)
        asked = RequestBody(
            sentence,
            tts.body(profile, sentence, language=language, speed=speed),
            profile.weights,
            self.sample_rate_hz(voice),
            self._silence_timeout_s,
        )
        request = SentenceRequest(
            self._servers, asked, lambda rate_hz: self._other_rate.warn(voice, asked.rate_hz, rate_hz)
        )
        yield from spoken_by(request, stop)

    @property
    def _profiles(self) -> Voices:
        assert self._voices is not None, "the engine was not loaded"
        return self._voices
