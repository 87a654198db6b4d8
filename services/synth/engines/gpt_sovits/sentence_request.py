"""One sentence told to a server and heard from it, on a thread of its own: whoever listens can stop it at any time.

A server that fails before its first sample is left for another one, at once; afterwards the failure is raised.
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
from services.synth.engines.gpt_sovits.silence import SilenceGate, SilencePatience, SilentFailure
from services.synth.engines.gpt_sovits.wav import WavReader

WEIGHTS_S = 60.0
"""A server may take this long to load weights."""

_HANDOFF_PIECES = 32  # about 4 s; behind it the server waits, by TCP
_STEP_S = 0.1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RequestBody:
    """What is to be told."""

    sentence: str
    body: tts.Body
    weights: Weights
    rate_hz: int
    """Of the samples that are handed out, whatever the server's."""
    patience_s: float
    """How long there may be silence: from a server, and until one is free."""


class SentenceRequest:
    """Begins at once. `heard` and `abort` are the listener's; close it by `abort`, heard to the end or not."""

    def __init__(self, servers: Servers, asked: RequestBody, on_rate: Callable[[int], None]) -> None:
        """`on_rate` is called with the server's rate when it is not the one asked for, from another thread."""
        self._servers = servers
        self._asked = asked
        self._on_rate = on_rate
        self._handoff: queue.Queue[bytes | EngineError | None] = queue.Queue(_HANDOFF_PIECES)
        self._given = False  # whether the listener has some of it
        self._ended = False  # whether the listener was told of the end
        self._aborted = False
        self._connection: ServerConnection | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="gpt_sovits", daemon=True).start()

    def heard(self, timeout_s: float) -> bytes | None:
        """The next samples, none if there are none within that time, None at the end. Raises EngineError."""
        try:
            item = self._handoff.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if isinstance(item, EngineError):
            raise item
        return item

    def abort(self) -> None:
        """Close the connection, unless the end was heard. Returns at once; the server is free a moment later."""
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
            self._tell()
        except Aborted:
            pass
        except EngineError as exc:
            outcome = exc
        except Exception:  # noqa: BLE001 - the thread's border: the listener must hear of it
            log.exception("a sentence could not be told to a GPT-SoVITS server")
            outcome = EngineError("the GPT-SoVITS engine failed; its log says how")
        self._end(outcome)

    def _end(self, outcome: EngineError | None) -> None:
        """Tell the listener of the end. From then on `abort` does nothing."""
        while not self._ended and not self._aborted:
            with self._lock:
                if not self._handoff.full():  # nobody else puts
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

    def _tell(self) -> None:
        problems: dict[str, str] = {}
        while True:
            server = self._take(problems)
            try:
                self._tell_to(server)
                return
            except ServerFailed as exc:
                self._servers.failed(server, str(exc))
                if self._ended:
                    return
                problems[server.url] = str(exc)
                if self._given or isinstance(exc, Silent):  # no time is left for another one
                    raise EngineError(_told(problems)) from exc
            finally:
                self._servers.free(server)

    def _take(self, problems: dict[str, str]) -> Server:
        deadline = time.monotonic() + self._asked.patience_s
        while not self._aborted:
            if (server := self._servers.take(self._asked.weights, problems, _STEP_S)) is not None:
                return server
            if problems and not self._servers.any_left(problems):
                raise EngineError(_told(problems))
            if time.monotonic() > deadline:
                raise EngineError(
                    _told(problems)
                    or f"no GPT-SoVITS server was free within {self._asked.patience_s:g} s; do those in "
                    "GPT_SOVITS_URLS run?"
                )
        raise Aborted

    def _tell_to(self, server: Server) -> None:
        """Raises ServerFailed when it is the server's fault, EngineError when it is the sentence's or the profile's."""
        self._have_weights_loaded(server)
        try:
            self._listen_to(server, self._asked.body)
        except BrokenAnswer:
            if self._given or not self._asked.body["streaming_mode"]:
                raise
            # What fails before inference ends a stream without a word, and a whole answer with the reason.
            self._listen_to(server, tts.whole(self._asked.body))

    def _have_weights_loaded(self, server: Server) -> None:
        has = server.weights
        for number, path in enumerate(("/set_gpt_weights", "/set_sovits_weights")):
            wanted = self._asked.weights[number]
            if wanted is None or wanted == has[number]:
                continue
            with self._connected(server, WEIGHTS_S) as connection:
                status, said = connection.get(path, weights_path=wanted), connection.refusal()
            if status != 200:
                self._servers.told(server, NO_WEIGHTS)
                raise _refused(server, tts.reason(status, said, self._asked.sentence))
            has = (wanted, has[1]) if number == 0 else (has[0], wanted)
            self._servers.told(server, has)

    def _listen_to(self, server: Server, body: tts.Body) -> None:
        with self._connected(server, self._asked.patience_s) as connection:
            status = connection.post("/tts", body)
            if status >= 500:
                raise ServerFailed(f"answered {status}")
            if status != 200:
                raise _refused(server, tts.reason(status, connection.refusal(), self._asked.sentence))
            try:
                self._hear(connection)
            except SilentFailure:
                error = EngineError(
                    f"GPT-SoVITS server {server.url} gave silence: it failed inside inference; its log says why"
                )
                self._end(error)
                # It loads its models anew before it breaks off: it is of no use to anybody until then.
                with contextlib.suppress(BrokenAnswer):
                    while connection.read():
                        pass
            except ValueError as exc:
                raise EngineError(f"GPT-SoVITS server {server.url} gave something else than speech: {exc}") from exc

    def _hear(self, connection: ServerConnection) -> None:
        """Hands out the answer. Raises SilentFailure, ValueError for no WAV, Broken for less than its header says."""
        reader = WavReader()
        gate: SilenceGate | None = None
        resampler: Resampler | None = None
        patience = SilencePatience(self._asked.patience_s, self._asked.rate_hz)
        while data := self._read(connection, patience):
            pcm = reader.push(data)
            if reader.rate_hz is None:
                continue
            if gate is None or resampler is None:
                gate = SilenceGate(reader.rate_hz)
                resampler = Resampler(reader.rate_hz, self._asked.rate_hz)
            sound = gate.push(pcm)
            if sound and not self._given and reader.rate_hz != self._asked.rate_hz:
                self._on_rate(reader.rate_hz)
            patience.given(self._hand_out(resampler.push(sound) if sound else b""))
        if reader.missing_bytes:  # where the end of the connection is that of the answer, nobody else notices
            raise BrokenAnswer("broke off")
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
        self._hand_out(resampler.push(rest) + resampler.flush())

    def _read(self, connection: ServerConnection, patience: SilencePatience) -> bytes:
        """Raises Silent, also for a server that gives bytes and nothing that could be handed out."""
        if patience.left_s <= 0:
            raise Silent(f"gave nothing for {self._asked.patience_s:g} s")
        began = time.monotonic()
        data = connection.read(patience.left_s)
        patience.waited(time.monotonic() - began)
        return data

    def _hand_out(self, pcm: bytes) -> int:
        """How many bytes that was."""
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


def _told(problems: dict[str, str]) -> str:
    """Whose fault it is, for a report."""
    return "; ".join(f"GPT-SoVITS server {url} {problem}" for url, problem in problems.items())
