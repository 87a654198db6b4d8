"""Requests one sentence from a server, on a thread of its own, so that the caller can stop it at any time.

If a server fails before its first sample, the next one is tried at once. Later failures are raised: another attempt at
the request then begins the sentence again.

What `speak_on` raises, besides EngineError, which ends the sentence:

    ServerFailed   this server fails: it gets no sentence until it answers a check; another one is tried
    ├── KeyRefused it does not accept the key
    Unsuited       it works, but does not speak this sentence; another one is tried
    ├── NotThere   it does not have the voice or the model
    Busy           it asks to wait; another one is tried, or the same one later
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import structlog

from services.synth.engines.base import EngineError, Misconfigured, UnknownVoice
from services.synth.engines.servers.audio_timeout import AudioTimeout
from services.synth.engines.servers.connection import (
    Aborted,
    ServerAccess,
    ServerConnection,
    ServerFailed,
    Silent,
    silence,
)
from services.synth.engines.servers.server_pool import Server
from services.synth.engines.servers.servers import Servers

_HANDOFF_PIECES = 32  # about 4 s; when it is full, TCP makes the server wait
_STEP_S = 0.1

log = structlog.get_logger()


class KeyRefused(ServerFailed):
    """The server does not accept the key."""


class Unsuited(Exception):
    """The server works, but cannot speak this sentence. The message continues a text that names its address."""


class NotThere(Unsuited):
    """The server does not have the voice or the model."""


class Busy(Exception):
    """The server asks to send the sentence again after `rest_s` seconds."""

    def __init__(self, problem: str, rest_s: float) -> None:
        super().__init__(problem)
        self.rest_s = rest_s


@dataclass(frozen=True, slots=True)
class SentenceLimits:
    """Timeouts of a sentence, in seconds."""

    first_s: float
    """For the first audio of one server."""
    next_s: float
    """For more audio."""
    total_s: float
    """For a free server, and for all tries before the first audio."""


class ServerSentence(ABC):
    """One sentence, which begins at `start`. The caller uses `next_pcm` and `abort`, and ends with `abort` in any case.

    An engine derives its own class with `speak_on`.
    """

    def __init__(self, servers: Servers, wanted: Hashable, limits: SentenceLimits, access: ServerAccess) -> None:
        """`wanted` is what a server should have loaded (see ServerPool)."""
        self.servers = servers
        self._wanted = wanted
        self._limits = limits
        self._access = access
        self._until = time.monotonic() + limits.total_s
        self._handoff: queue.Queue[bytes | EngineError | None] = queue.Queue(_HANDOFF_PIECES)
        self.given = False
        """Whether samples were passed to the caller."""
        self._ended = False  # whether the outcome was passed to the caller
        self._aborted = False
        self._connection: ServerConnection | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begins the sentence. Call it once."""
        threading.Thread(target=self._run, name=self.servers.kind.name, daemon=True).start()

    def next_pcm(self, timeout_s: float) -> bytes | None:
        """Returns the next samples; empty if none come within `timeout_s`; None at the end. Raises EngineError."""
        try:
            item = self._handoff.get(timeout=timeout_s)
        except queue.Empty:
            with self._lock:
                if self._connection is not None:
                    self._connection.enforce()
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

    @abstractmethod
    def speak_on(self, server: Server) -> None:
        """Requests the sentence from this server and passes its audio to `deliver`. Raises as the module says."""

    def deliver(self, pcm: bytes) -> int:
        """Passes samples to the caller; returns their size in bytes. Waits while the caller takes none."""
        if pcm:
            self.given = True
            while not self._aborted:
                with contextlib.suppress(queue.Full):
                    self._handoff.put(pcm, timeout=_STEP_S)
                    return len(pcm)
            raise Aborted
        return 0

    def end(self, outcome: EngineError | None) -> None:
        """Passes the outcome to the caller. From then on `abort` does nothing."""
        while not self._ended and not self._aborted:
            with self._lock:
                if not self._handoff.full():  # stays true: only this thread puts
                    self._handoff.put_nowait(outcome)
                    self._ended = True
                    return
            time.sleep(_STEP_S)

    def first_s(self) -> float:
        """Returns the timeout for the first audio of the server that is asked now.

        At least half of the usual one: a server that is asked late must not count as failed at once.
        """
        return max(min(self._limits.first_s, self._until - time.monotonic()), self._limits.first_s / 2)

    def read(self, connection: ServerConnection, timeout: AudioTimeout) -> bytes:
        """Returns the next bytes. Raises Silent at the timeout, also if the server sends bytes without audio."""
        if timeout.left_s <= 0:
            raise Silent(silence(timeout.limit_s))
        began = time.monotonic()
        try:
            data = connection.read(timeout.left_s)
        except Silent:
            raise Silent(silence(timeout.limit_s)) from None
        timeout.waited(time.monotonic() - began)
        return data

    @contextlib.contextmanager
    def connected(self, server: Server, silence_s: float) -> Iterator[ServerConnection]:
        """A connection to the server, which `abort` closes."""
        with ServerConnection(server.url, silence_s=silence_s, access=self._access) as connection:
            with self._lock:
                if self._aborted:
                    raise Aborted
                self._connection = connection
            yield connection

    def _run(self) -> None:
        name, outcome = self.servers.kind.name, None
        try:
            self._request()
        except Aborted:
            pass
        except EngineError as exc:
            outcome = exc
        except Exception:  # noqa: BLE001 - last frame of the thread: else the caller would wait without end
            log.exception(f"a sentence could not be requested from a {name}")
            outcome = EngineError(f"the engine of the {name}s failed; see the log")
        self.end(outcome)

    def _request(self) -> None:
        problems: dict[str, Exception] = {}
        while True:
            server = self._take(problems)
            try:
                self.speak_on(server)
                self.servers.spoke(server)
                return
            except Busy as exc:
                self.servers.rest(server, exc.rest_s)
                problems[server.url] = exc
            except Unsuited as exc:
                problems[server.url] = exc
            except ServerFailed as exc:
                self.servers.failed(server, str(exc))
                if self._ended:
                    return
                problems[server.url] = exc
                if self.given or (isinstance(exc, Silent) and not self._has_time):
                    raise self._failure(problems) from exc
            finally:
                self.servers.free(server)

    @property
    def _has_time(self) -> bool:
        """Whether another server can still be tried after a silent one."""
        return self._until - time.monotonic() >= self._limits.first_s / 2

    def _take(self, problems: dict[str, Exception]) -> Server:
        while not self._aborted:
            but = [url for url, problem in problems.items() if not isinstance(problem, Busy)]
            if (server := self.servers.take(self._wanted, but, _STEP_S)) is not None:
                return server
            if but and not self.servers.any_left(but):
                raise self._failure(problems)
            if time.monotonic() > self._until:
                if problems:
                    raise self._failure(problems)
                raise EngineError(
                    f"no {self.servers.kind.name} was free within {self._limits.total_s:g} s; check that those in "
                    f"{self.servers.kind.setting} run"
                )
        raise Aborted

    def _failure(self, problems: dict[str, Exception]) -> EngineError:
        """Returns the error of a sentence that no server speaks, with the problems of all tried servers."""
        kind, said = self.servers.kind, list(problems.items())
        text = "; ".join(f"{kind.name} {url} {problem}" for url, problem in said)
        if all(isinstance(problem, NotThere) for _, problem in said):
            return UnknownVoice(f"voice: {text}")
        if all(isinstance(problem, KeyRefused) for _, problem in said):
            return Misconfigured(text)
        return EngineError(text)
