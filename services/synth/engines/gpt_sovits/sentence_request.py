"""Requests one sentence from a server, on a thread of its own, so that the caller can stop it at any time.

If a server fails before its first sample, the next one is tried at once. Later failures are raised.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from services.synth.audio.resample import Resampler
from services.synth.engines.base import EngineError
from services.synth.engines.gpt_sovits import tts
from services.synth.engines.gpt_sovits.connection import Aborted, BrokenAnswer, ServerConnection, ServerFailed, Silent
from services.synth.engines.gpt_sovits.server_pool import NO_WEIGHTS, Server, Weights
from services.synth.engines.gpt_sovits.servers import Servers
from services.synth.engines.gpt_sovits.silence import SilenceGate, SilenceTimeout, SilentFailure
from services.synth.engines.gpt_sovits.wav import WavReader

WEIGHTS_S = 60.0
"""Timeout for a server that loads weights."""

_HANDOFF_PIECES = 32  # about 4 s; when it is full, TCP makes the server wait
_STEP_S = 0.1

log = structlog.get_logger()


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


class SentenceRequest:
    """One request, which begins at once. The caller uses `next_pcm` and `abort`, and ends with `abort` in any case."""

    def __init__(self, servers: Servers, asked: RequestBody, on_rate: Callable[[int], None]) -> None:
        """`on_rate` is called from another thread with the server's rate if that is not the requested one."""
        self._servers = servers
        self._asked = asked
        self._on_rate = on_rate
        self._handoff: queue.Queue[bytes | EngineError | None] = queue.Queue(_HANDOFF_PIECES)
        self._given = False  # whether samples were passed to the caller
        self._ended = False  # whether the outcome was passed to the caller
        self._aborted = False
        self._connection: ServerConnection | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="gpt_sovits", daemon=True).start()

    def next_pcm(self, timeout_s: float) -> bytes | None:
        """Returns the next samples; empty if none come within `timeout_s`; None at the end. Raises EngineError."""
        try:
            item = self._handoff.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if isinstance(item, EngineError):
            raise item
        return item

    def abort(self) -> None:
        """Closes the connection, unless the request has ended. Never waits; the server is free a moment later."""
        with self._lock:
            if self._ended:
                return
            self._aborted = True
            if self._connection is not None:
                self._connection.abort()

    # ---- on the thread

    def _run(self) -> None:
        outcome: EngineError | None = None
        try:
            self._request()
        except Aborted:
            pass
        except EngineError as exc:
            outcome = exc
        except Exception:  # noqa: BLE001 - last frame of the thread: else the caller would wait without end
            log.exception("a sentence could not be told to a GPT-SoVITS server")
            outcome = EngineError("the GPT-SoVITS engine failed; see the log")
        self._end(outcome)

    def _end(self, outcome: EngineError | None) -> None:
        """Pass the outcome to the caller. From then on `abort` does nothing."""
        while not self._ended and not self._aborted:
            with self._lock:
                if not self._handoff.full():  # stays true: only this thread puts
                    self._handoff.put_nowait(outcome)
                    self._ended = True
                    return
            time.sleep(_STEP_S)

    def _give(self, pcm: bytes) -> None:
        while not self._aborted:
            with contextlib.suppress(queue.Full):
                self._handoff.put(pcm, timeout=_STEP_S)
                return
        raise Aborted

    def _request(self) -> None:
        problems: dict[str, str] = {}
        while True:
            server = self._take(problems)
            try:
                self._request_from(server)
                return
            except ServerFailed as exc:
                self._servers.failed(server, str(exc))
                if self._ended:
                    return
                problems[server.url] = str(exc)
                if self._given or isinstance(exc, Silent):  # Silent: no time is left for another server
                    raise EngineError(_described(problems)) from exc
            finally:
                self._servers.free(server)

    def _take(self, problems: dict[str, str]) -> Server:
        deadline = time.monotonic() + self._asked.silence_timeout_s
        while not self._aborted:
            if (server := self._servers.take(self._asked.weights, problems, _STEP_S)) is not None:
                return server
            if problems and not self._servers.any_left(problems):
                raise EngineError(_described(problems))
            if time.monotonic() > deadline:
                raise EngineError(
                    _described(problems)
                    or f"no GPT-SoVITS server was free within {self._asked.silence_timeout_s:g} s; check that those in "
                    "GPT_SOVITS_URLS run"
                )
        raise Aborted

    def _request_from(self, server: Server) -> None:
        """Raises ServerFailed if the server fails, EngineError if it refuses the sentence or the profile."""
        self._have_weights_loaded(server)
        try:
            self._speak_on(server, self._asked.body)
        except BrokenAnswer:
            if self._given or not self._asked.body["streaming_mode"]:
                raise
            # A failure before inference ends a stream without a message. Mode 0 answers with the reason.
            self._speak_on(server, tts.whole(self._asked.body))

    def _have_weights_loaded(self, server: Server) -> None:
        has = server.weights
        for number, path in enumerate(("/set_gpt_weights", "/set_sovits_weights")):
            wanted = self._asked.weights[number]
            if wanted is None or wanted == has[number]:
                continue
            with self._connected(server, WEIGHTS_S) as connection:
                status, said = connection.get(path, weights_path=wanted), connection.refusal()
            if status != 200:
                self._servers.weights_loaded(server, NO_WEIGHTS)
                raise _refused(server, tts.reason(status, said, self._asked.sentence))
            has = (wanted, has[1]) if number == 0 else (has[0], wanted)
            self._servers.weights_loaded(server, has)

    def _speak_on(self, server: Server, body: tts.Body) -> None:
        with self._connected(server, self._asked.silence_timeout_s) as connection:
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
                self._end(error)
                # The server loads its models again before it closes the connection: keep it busy until then.
                with contextlib.suppress(BrokenAnswer):
                    while connection.read():
                        pass
            except ValueError as exc:
                raise EngineError(f"GPT-SoVITS server {server.url} sent something else than speech: {exc}") from exc

    def _pass_on(self, connection: ServerConnection) -> None:
        """Passes the answer on. Raises SilentFailure, ValueError if it is not WAV, BrokenAnswer if it is too short."""
        reader = WavReader()
        gate: SilenceGate | None = None
        resampler: Resampler | None = None
        timeout = SilenceTimeout(self._asked.silence_timeout_s, self._asked.rate_hz)
        while data := self._read(connection, timeout):
            pcm = reader.push(data)
            if reader.rate_hz is None:
                continue
            if gate is None or resampler is None:
                gate = SilenceGate(reader.rate_hz)
                resampler = Resampler(reader.rate_hz, self._asked.rate_hz)
            sound = gate.push(pcm)
            if sound and not self._given and reader.rate_hz != self._asked.rate_hz:
                self._on_rate(reader.rate_hz)
            timeout.given(self._deliver(resampler.push(sound) if sound else b""))
        if reader.missing_bytes:  # an answer without a size ends with the connection: HTTP cannot notice the loss
            raise BrokenAnswer("ended its answer too early")
        if gate is None or resampler is None:
            if tts.has_something_to_say(self._asked.sentence):
                raise SilentFailure
            return
        try:
            rest = gate.end()
        except SilentFailure:
            if tts.has_something_to_say(self._asked.sentence):
                raise
            return
        self._deliver(resampler.push(rest) + resampler.flush())

    def _read(self, connection: ServerConnection, timeout: SilenceTimeout) -> bytes:
        """Returns the next bytes. Raises Silent at the timeout, also if the server sends bytes without sound."""
        if timeout.left_s <= 0:
            raise Silent(f"sent nothing for {self._asked.silence_timeout_s:g} s")
        began = time.monotonic()
        data = connection.read(timeout.left_s)
        timeout.waited(time.monotonic() - began)
        return data

    def _deliver(self, pcm: bytes) -> int:
        """Passes samples to the caller; returns their size in bytes."""
        if pcm:
            self._given = True
            self._give(pcm)
        return len(pcm)

    @contextlib.contextmanager
    def _connected(self, server: Server, silence_s: float) -> Iterator[ServerConnection]:
        with ServerConnection(server.url, silence_s=silence_s) as connection:
            with self._lock:
                if self._aborted:
                    raise Aborted
                self._connection = connection
            yield connection


def _refused(server: Server, why: str) -> EngineError:
    return EngineError(f"GPT-SoVITS server {server.url} refuses: {why}")


def _described(problems: dict[str, str]) -> str:
    """Returns the problems of all tried servers as a text."""
    return "; ".join(f"GPT-SoVITS server {url} {problem}" for url, problem in problems.items())
