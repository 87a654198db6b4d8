"""Requests one sentence from a GPT-SoVITS server (see `servers/server_sentence.py`)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.synth.audio.resample import Resampler
from services.synth.engines.base import EngineError
from services.synth.engines.gpt_sovits import tts
from services.synth.engines.gpt_sovits.silence import SilenceGate, SilentFailure
from services.synth.engines.gpt_sovits.weights import NO_WEIGHTS, Weights
from services.synth.engines.servers.audio_timeout import AudioTimeout
from services.synth.engines.servers.connection import BrokenAnswer, ServerAccess, ServerConnection, ServerFailed
from services.synth.engines.servers.quoting import has_something_to_say
from services.synth.engines.servers.server_pool import Server
from services.synth.engines.servers.server_sentence import SentenceLimits, ServerSentence
from services.synth.engines.servers.servers import Servers
from services.synth.engines.servers.wav import WavReader

WEIGHTS_S = 60.0
"""Timeout for a server that loads weights, also again after a failure inside inference."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What to request."""

    sentence: str
    body: tts.Body
    weights: Weights
    rate_hz: int
    """Rate of the returned samples, independent of the server's."""
    silence_timeout_s: float
    """Timeout for audio from a server, and for a free server."""


class SentenceRequest(ServerSentence):
    """One request, which begins at once. See ServerSentence."""

    def __init__(self, servers: Servers, asked: RequestBody, on_rate: Callable[[int], None]) -> None:
        """`on_rate` is called from another thread with the server's rate if that is not the requested one."""
        silence_s = asked.silence_timeout_s
        super().__init__(servers, asked.weights, SentenceLimits(silence_s, silence_s, silence_s), ServerAccess())
        self._asked = asked
        self._on_rate = on_rate
        self.start()

    def speak_on(self, server: Server) -> None:
        """See ServerSentence. Raises EngineError if the server refuses the sentence or the profile."""
        self._have_weights_loaded(server)
        try:
            self._speak(server, self._asked.body)
        except BrokenAnswer:
            if self.given or not self._asked.body["streaming_mode"]:
                raise
            # A failure before inference ends a stream without a message. Mode 0 answers with the reason.
            self._speak(server, tts.whole(self._asked.body))

    def _have_weights_loaded(self, server: Server) -> None:
        has = server.loaded if isinstance(server.loaded, tuple) else NO_WEIGHTS
        for number, path in enumerate(("/set_gpt_weights", "/set_sovits_weights")):
            wanted = self._asked.weights[number]
            if wanted is None or wanted == has[number]:
                continue
            with self.connected(server, WEIGHTS_S) as connection:
                status, said = connection.get(path, weights_path=wanted), connection.refusal()
            if status != 200:
                self.servers.has_loaded(server, NO_WEIGHTS)
                raise _refused(server, tts.reason(status, said, self._asked.sentence))
            has = (wanted, has[1]) if number == 0 else (has[0], wanted)
            self.servers.has_loaded(server, has)

    def _speak(self, server: Server, body: tts.Body) -> None:
        with self.connected(server, self._asked.silence_timeout_s) as connection:
            status = connection.post("/tts", body)
            if status >= 500:
                raise ServerFailed(f"answered {status}")
            if status != 200:
                raise _refused(server, tts.reason(status, connection.refusal(), self._asked.sentence))
            try:
                self._pass_on(connection)
            except SilentFailure:
                error = EngineError(
                    f"GPT-SoVITS server {server.url} sent silence: it failed inside inference; see its log"
                )
                self.end(error)
                # The server loads its models again before it closes the connection: keep it busy until then.
                until = time.monotonic() + WEIGHTS_S
                with contextlib.suppress(BrokenAnswer):
                    while connection.read():
                        if time.monotonic() > until:
                            raise ServerFailed("sent silence without an end") from None
            except ValueError as exc:
                raise EngineError(f"GPT-SoVITS server {server.url} sent something else than speech: {exc}") from exc

    def _pass_on(self, connection: ServerConnection) -> None:
        """Passes the answer on. Raises SilentFailure, ValueError if it is not WAV, BrokenAnswer if it is too short."""
        reader = WavReader()
        gate: SilenceGate | None = None
        resampler: Resampler | None = None
        # Held zeros do not restart the timeout, because the listener does not get them. Pauses are much shorter.
        silence_s = self._asked.silence_timeout_s
        timeout = AudioTimeout(silence_s, silence_s, self._asked.rate_hz)
        while data := self.read(connection, timeout):
            pcm = reader.push(data)
            if reader.rate_hz is None:
                continue
            if gate is None or resampler is None:
                gate = SilenceGate(reader.rate_hz)
                resampler = Resampler(reader.rate_hz, self._asked.rate_hz)
            sound = gate.push(pcm)
            if sound and not self.given and reader.rate_hz != self._asked.rate_hz:
                self._on_rate(reader.rate_hz)
            timeout.given(self.deliver(resampler.push(sound) if sound else b""))
        if reader.missing_bytes:  # an answer without a size ends with the connection: HTTP cannot notice the loss
            raise BrokenAnswer("ended its answer too early")
        if gate is None or resampler is None:
            if has_something_to_say(self._asked.sentence):
                raise SilentFailure
            return
        try:
            rest = gate.end()
        except SilentFailure:
            if has_something_to_say(self._asked.sentence):
                raise
            return
        self.deliver(resampler.push(rest) + resampler.flush())


def _refused(server: Server, why: str) -> EngineError:
    return EngineError(f"GPT-SoVITS server {server.url} refuses: {why}")
