"""Requests one sentence from a speech server (see `servers/server_sentence.py`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from services.synth.audio.resample import Resampler
from services.synth.audio.tempo import Stretcher
from services.synth.engines.base import SentenceRefused
from services.synth.engines.openai_speech import answer
from services.synth.engines.openai_speech.answer import AnswerKind, JudgedAnswer
from services.synth.engines.openai_speech.speech_audio import SpeechAudio
from services.synth.engines.openai_speech.speech_body import PATH, SpeechFields
from services.synth.engines.servers.audio_timeout import AudioTimeout
from services.synth.engines.servers.connection import BrokenAnswer, ServerAccess, ServerConnection, ServerFailed
from services.synth.engines.servers.quoting import has_something_to_say
from services.synth.engines.servers.server_pool import Server
from services.synth.engines.servers.server_sentence import (
    Busy,
    KeyRefused,
    NotThere,
    SentenceLimits,
    ServerSentence,
    Unsuited,
)
from services.synth.engines.servers.servers import Servers


@dataclass(frozen=True, slots=True)
class SpeechAsked:
    """What to request, and in which form to return it."""

    sentence: str
    body: SpeechFields
    wav: bool
    """Whether WAV was asked for, and not PCM."""
    rate_hz: int
    """The rate of PCM."""
    out_hz: int
    """Rate of the returned samples."""
    tempo: float
    """By how much the audio is made faster."""
    secret: str
    """The key, which no message may contain."""


class SpeechSentence(ServerSentence):
    """One request, which begins at once. See ServerSentence."""

    def __init__(
        self,
        servers: Servers,
        asked: SpeechAsked,
        limits: SentenceLimits,
        access: ServerAccess,
        on_rate: Callable[[int], None],
    ) -> None:
        """`on_rate` is called from another thread with the server's rate if that is not the one of the result."""
        super().__init__(servers, None, limits, access)
        self._asked = asked
        self._next_s = limits.next_s
        self._on_rate = on_rate
        self.start()

    def speak_on(self, server: Server) -> None:
        """See ServerSentence. Raises SentenceRefused if the server refuses the sentence."""
        first_s = self.first_s()
        timeout = AudioTimeout(first_s, self._next_s, self._asked.out_hz)
        with self.connected(server, first_s) as connection:
            began = time.monotonic()
            status = connection.post(PATH, self._asked.body, accept="audio/wav" if self._asked.wav else "audio/*")
            timeout.waited(time.monotonic() - began)
            content_type = connection.header("Content-Type")
            judged = answer.judge(
                status,
                content_type,
                connection.header("Content-Encoding"),
                connection.header("Retry-After"),
                datetime.now(UTC),
            )
            if judged.kind is not AnswerKind.SPEECH:
                raise self._problem(server, judged, connection)
            try:
                self._pass_on(connection, timeout, content_type)
            except ValueError as exc:
                raise ServerFailed(f"sent something else than speech: {exc}") from exc

    def _problem(self, server: Server, judged: JudgedAnswer, connection: ServerConnection) -> Exception:
        """Returns the exception for an answer without speech."""
        if judged.kind is AnswerKind.KEY_REFUSED:  # its message may quote the key
            return KeyRefused(judged.problem)
        try:
            body = connection.refusal()
        except ServerFailed:
            body = b""
        problem = judged.problem + answer.reason(body, self._asked.sentence, self._asked.secret)
        match judged.kind:
            case AnswerKind.NOT_THERE:
                return NotThere(problem)
            case AnswerKind.BUSY:
                return Busy(problem, judged.rest_s)
            case AnswerKind.REFUSED:
                return SentenceRefused(f"{answer.refused_field(body)}: speech server {server.url} {problem}")
        return ServerFailed(problem)

    def _pass_on(self, connection: ServerConnection, timeout: AudioTimeout, content_type: str) -> None:
        """Passes the answer on. Raises ValueError if it is not mono PCM16, BrokenAnswer if it is too short."""
        asked = self._asked
        audio = SpeechAudio(asked.rate_hz, content_type, wav=asked.wav)
        shape: _Shape | None = None
        while data := self.read(connection, timeout):
            pcm = audio.push(data)
            if audio.rate_hz is None:
                continue
            if shape is None:
                shape = self._shape(audio.rate_hz)
            self.deliver(shape.push(pcm))
            timeout.given(len(pcm))
        if audio.missing_bytes:  # an answer without a size ends with the connection: HTTP cannot notice the loss
            raise BrokenAnswer("ended its answer too early")
        rest = audio.end()
        if shape is None and audio.rate_hz is not None:
            shape = self._shape(audio.rate_hz)
        if shape is not None:
            self.deliver(shape.push(rest) + shape.flush())
        if not self.given and has_something_to_say(asked.sentence):
            raise Unsuited("sent no audio for this sentence")

    def _shape(self, rate_hz: int) -> _Shape:
        if rate_hz != self._asked.out_hz:
            self._on_rate(rate_hz)
        return _Shape(rate_hz, self._asked)


class _Shape:
    """Resamples the server's audio, and changes its tempo. Not thread-safe."""

    def __init__(self, rate_hz: int, asked: SpeechAsked) -> None:
        self._resampler = Resampler(rate_hz, asked.out_hz)
        self._stretcher = Stretcher(asked.out_hz, asked.tempo)

    def push(self, pcm: bytes) -> bytes:
        """Returns the samples that these complete."""
        return self._stretcher.push(self._resampler.push(pcm)) if pcm else b""

    def flush(self) -> bytes:
        """Returns the rest."""
        return self._stretcher.push(self._resampler.flush()) + self._stretcher.flush()
