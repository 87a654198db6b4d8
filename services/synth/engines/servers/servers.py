"""The server pool for several threads: sentences take servers, and each server has a thread that checks it.

A healthy idle server is checked with a connect only. A failed server is checked with GET; it is healthy again when its
answer means that it can speak (`ServerCheck.answers`).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.synth.engines.servers.server_pool import Server, ServerPool

log = structlog.get_logger()


class ServerCheck(Protocol):
    """How the servers of an engine are checked. Called from several threads."""

    def listens(self, url: str) -> str:
        """Checks an idle server that was healthy. Returns what is wrong with it, or an empty string."""

    def answers(self, url: str) -> str:
        """Checks a server that has failed. Returns what is wrong with it, or an empty string."""


@dataclass(frozen=True, slots=True)
class ServerKind:
    """What differs between the engines."""

    name: str
    """The server in messages, such as `GPT-SoVITS server`."""
    setting: str
    """The setting with the addresses."""
    check: ServerCheck
    at_once: int = 1
    """Number of sentences that one server speaks at the same time."""
    unloaded: Hashable = None
    """See ServerPool."""
    watch_s: float = 2.0
    """Interval of the checks of an idle server, in seconds. The default is less than the time of a restart, so that a
    restart, which loses what was loaded, is noticed."""


class Servers:
    """The servers. Thread-safe. `close` ends the threads."""

    def __init__(self, urls: Sequence[str], kind: ServerKind) -> None:
        self.kind = kind
        self._pool = ServerPool(urls, at_once=kind.at_once, unloaded=kind.unloaded)
        self._changed = threading.Condition()
        self._closed = False
        for server in self._pool.servers:
            self._pool.failed(server, time.monotonic(), "")  # none has answered yet
            threading.Thread(target=self._watch, args=(server,), name=f"watch {server.url}", daemon=True).start()

    def close(self) -> None:
        """Ends the threads. Sentences that are being spoken continue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def count(self) -> int:
        """Number of servers, healthy or not."""
        return len(self._pool.servers)

    def wait(self, healthy: int, timeout_s: float) -> int:
        """Waits at most `timeout_s` until that many servers are healthy; returns their number."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pool.healthy) >= healthy, timeout_s)
            return len(self._pool.healthy)

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong with each failed server, by its URL."""
        with self._changed:
            return {server.url: server.problem for server in self._pool.servers if server.problem}

    def take(self, wanted: Hashable, but: Collection[str], timeout_s: float) -> Server | None:
        """Takes a place of a healthy server until `free`; None if there is none within `timeout_s`. See ServerPool."""
        with self._changed:
            deadline = time.monotonic() + timeout_s
            while (server := self._pool.take(wanted, now := time.monotonic(), but=but)) is None:
                if now >= deadline:
                    return None
                rest_end = self._pool.next_rest_end(now)
                self._changed.wait(min(deadline, rest_end if rest_end is not None else deadline) - now)
            return server

    def any_left(self, but: Collection[str]) -> bool:
        """Whether there is a healthy server, busy or not, that is not in `but`."""
        with self._changed:
            return any(server.url not in but for server in self._pool.healthy)

    def free(self, server: Server) -> None:
        """The server has ended a sentence."""
        with self._now():
            self._pool.free(server)

    def spoke(self, server: Server) -> None:
        """The server has spoken a whole sentence."""
        with self._now():
            self._pool.spoke(server)

    def rest(self, server: Server, seconds: float) -> None:
        """The server asks for no sentence for so long."""
        with self._now():
            self._pool.rest(server, time.monotonic() + seconds)

    def has_loaded(self, server: Server, loaded: Hashable) -> None:
        """The server has loaded that."""
        with self._now():
            self._pool.has_loaded(server, loaded)

    def failed(self, server: Server, problem: str) -> None:
        """The server has failed a sentence: it gets none until it answers again."""
        with self._now():
            was_healthy = server.healthy
            self._pool.sentence_failed(server, time.monotonic(), problem)
        if was_healthy:
            log.warning(f"a {self.kind.name} fails", server=server.url, problem=problem)

    @contextlib.contextmanager
    def _now(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    def _watch(self, server: Server) -> None:
        seen_at = float("-inf")

        def due_s() -> float:
            if not server.healthy:
                return server.ask_at - time.monotonic()
            return seen_at + self.kind.watch_s - time.monotonic()

        while True:
            with self._changed:
                while not self._closed and (left_s := due_s()) > 0:
                    self._changed.wait(left_s)
                if self._closed:
                    return
                healthy, busy = server.healthy, server.speaking > 0
            check = self.kind.check.listens if healthy else self.kind.check.answers
            problem = "" if healthy and busy else self._look(check, server.url)
            seen_at = time.monotonic()
            with self._now():
                if problem and not (server.healthy and server.speaking):  # busy: its sentence notices the failure
                    news = server.healthy
                    self._pool.failed(server, time.monotonic(), problem)
                elif not problem and healthy == server.healthy:  # else it has failed during the check
                    news = self._pool.answered(server)
                else:
                    news = False
            if news and problem:
                log.warning(f"a {self.kind.name} does not answer", server=server.url, problem=problem)
            elif news:
                log.info(f"a {self.kind.name} answers", server=server.url)

    def _look(self, check: Callable[[str], str], url: str) -> str:
        try:
            return check(url)
        except Exception:  # noqa: BLE001 - without its thread a server would never be healthy again
            log.exception(f"a {self.kind.name} could not be checked", server=url)
            return "it could not be checked; see the log"
