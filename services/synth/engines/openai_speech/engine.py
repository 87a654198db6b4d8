"""The engine `openai_speech`: a voice is spoken by one of the servers in OPENAI_SPEECH_URLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import structlog

from services.synth.audio import resample
from services.synth.engines.base import EngineError, Misconfigured, Voice
from services.synth.engines.openai_speech.answer import KEY_PROBLEM
from services.synth.engines.openai_speech.server_check import SpeechServerCheck
from services.synth.engines.openai_speech.settings import OpenAiSpeechSettings
from services.synth.engines.openai_speech.speech_body import speech_body, tempo
from services.synth.engines.openai_speech.speech_sentence import SpeechAsked, SpeechSentence
from services.synth.engines.openai_speech.voices import SpeechVoices
from services.synth.engines.openai_speech.voices_file import read_speech_voices
from services.synth.engines.servers.engine_speech import spoken_by
from services.synth.engines.servers.other_rate import OtherRateWarning
from services.synth.engines.servers.servers import ServerKind, Servers

ANSWER_S = 30.0
"""Timeout of `load` for the first server; a server that was started at the same time still loads its model."""

_OTHERS_S = 2.0
_MAX_AT_ONCE = 256  # threads of the process; synth has no more slots
_WATCH_S = 10.0  # servers load nothing for us, so a restart need not be noticed
_RULES = "1"  # part of the version; raise it when requests or the handling of answers change the sound

log = structlog.get_logger()


class OpenAiSpeechEngine:
    """Speaks through servers with OpenAI's speech API. `synthesize` is thread-safe."""

    name = "openai_speech"
    scales = False
    max_growth_mb = None

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self.at_once = 1
        self.version = ""
        self.deterministic = False
        self._answer_s = answer_s
        self._settings: OpenAiSpeechSettings | None = None
        self._voices: SpeechVoices | None = None
        self._servers: Servers | None = None
        self._other_rate = OtherRateWarning(
            "a speech server", "sample_rate_hz in the voices file, or OPENAI_SPEECH_SAMPLE_RATE"
        )

    def load(self) -> None:
        """Reads settings and voices, and waits for a server.

        Raises Misconfigured for a wrong setting or file, or a key that no server accepts; EngineError if no server
        answers. The message names the setting, the file or the servers, and the fix.
        """
        settings = self._settings = OpenAiSpeechSettings.load()
        self._voices = read_speech_voices(settings)
        self.version = f"{_RULES}-{self._voices.digest}"
        self.deterministic = self._voices.deterministic
        check = SpeechServerCheck(settings.openai_speech_health_path, settings.access)
        at_once, urls = settings.openai_speech_at_once, settings.urls
        self.at_once = min(at_once * len(urls), _MAX_AT_ONCE)
        kind = ServerKind("speech server", "OPENAI_SPEECH_URLS", check, at_once=at_once, watch_s=_WATCH_S)
        self._servers = Servers(urls, kind)
        self._wait_for(self._servers, urls)
        resample.load()

    def _wait_for(self, servers: Servers, urls: Sequence[str]) -> None:
        until_refused = min(_OTHERS_S, self._answer_s)
        if not servers.wait(1, until_refused) and not _all_refuse_the_key(servers):
            servers.wait(1, self._answer_s - until_refused)
        answering = servers.wait(1, 0)
        if not answering:
            problems, refused = servers.problems, _all_refuse_the_key(servers)
            servers.close()
            said = "; ".join(f"speech server {url} {problems.get(url, 'does not answer')}" for url in urls)
            if refused:
                raise Misconfigured(f"OPENAI_SPEECH_API_KEY: {said}")
            raise EngineError(
                f"no speech server answers within {self._answer_s:g} s: {said}; start one there, or set "
                "OPENAI_SPEECH_URLS and OPENAI_SPEECH_HEALTH_PATH"
            )
        if (answering := servers.wait(len(urls), _OTHERS_S)) < len(urls):
            log.warning("some speech servers do not answer yet", answering=answering, servers=len(urls))

    def close(self) -> None:
        """Ends the threads that check the servers. Idempotent."""
        if self._servers is not None:
            self._servers.close()

    def voices(self) -> Sequence[Voice]:
        """Returns the voices, in the order of the file."""
        return self._known.listed()

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the declared rate of the voice; without a voice, of the first one. Raises UnknownVoice."""
        known = self._known
        return (known.named(voice) if voice is not None else known.first).sample_rate_hz

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields PCM as the server sends it, and an empty piece every second without audio. See `Engine.synthesize`.

        Stopped or closed, it closes the connection to the server at once. Raises SentenceRefused if the server refuses
        the sentence.
        """
        assert self._servers is not None and self._settings is not None, "the engine was not loaded"
        spoken = self._known.named(voice) if voice is not None else self._known.of_language(language)
        key = self._settings.openai_speech_api_key
        asked = SpeechAsked(
            sentence,
            speech_body(spoken, sentence, language=language, speed=speed),
            wav=spoken.format == "wav",
            rate_hz=spoken.sample_rate_hz,
            out_hz=self.sample_rate_hz(voice),
            tempo=tempo(spoken, speed),
            secret=key.get_secret_value() if key is not None else "",
        )
        request = SpeechSentence(
            self._servers,
            asked,
            self._settings.limits,
            self._settings.access,
            lambda rate_hz: self._other_rate.warn(voice, asked.out_hz, rate_hz),
        )
        yield from spoken_by(request, stop)

    @property
    def _known(self) -> SpeechVoices:
        assert self._voices is not None, "the engine was not loaded"
        return self._voices


def _all_refuse_the_key(servers: Servers) -> bool:
    problems = servers.problems
    return len(problems) == servers.count and all(
        problem in (KEY_PROBLEM.format(status=401), KEY_PROBLEM.format(status=403)) for problem in problems.values()
    )
