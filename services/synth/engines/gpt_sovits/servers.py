"""The server pool for several threads: sentences take servers, and each server has a thread that checks it.

A healthy idle server is checked every WATCH_S with a connect only. A failed server is checked with GET; it is healthy
again when it answers with a status below 500.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence

import structlog

from services.synth.engines.gpt_sovits import connection
from services.synth.engines.gpt_sovits.server_pool import Server, ServerPool, Weights

WATCH_S = 2.0
"""Less than the time of a server's restart, so that a restart, which loses the loaded weights, is noticed."""

log = structlog.get_logger()


class Servers:
    """The servers. Thread-safe. `close` ends the threads."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._pool = ServerPool(urls)
        self._changed = threading.Condition()
        self._closed = False
        for server in self._pool.servers:
            self._pool.failed(server, time.monotonic())  # none has answered yet
            threading.Thread(target=self._watch, args=(server,), name=f"watch {server.url}", daemon=True).start()

    def close(self) -> None:
        """Ends the threads. Sentences that are being spoken continue."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, healthy: int, timeout_s: float) -> int:
        """Waits at most `timeout_s` until that many servers are healthy; returns their number."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pool.healthy) >= healthy, timeout_s)
            return len(self._pool.healthy)

    def take(self, weights: Weights, but: Collection[str], timeout_s: float) -> Server | None:
        """Takes an idle healthy server until `free`; None if there is none within `timeout_s`."""
        with self._changed:
            deadline = time.monotonic() + timeout_s
            while (server := self._pool.take(weights, time.monotonic(), but=but)) is None:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    return None
            return server

    def any_left(self, but: Collection[str]) -> bool:
        """Whether there is a healthy server, busy or not, that is not in `but`."""
        with self._changed:
            return any(server.url not in but for server in self._pool.healthy)

    def free(self, server: Server) -> None:
        """The server has ended its sentence."""
        with self._now():
            self._pool.free(server)

    def weights_loaded(self, server: Server, weights: Weights) -> None:
        """The server has loaded these weights."""
        with self._now():
            self._pool.weights_loaded(server, weights)

    def failed(self, server: Server, problem: str) -> None:
        """The server has failed: it gets no sentence until it answers again."""
        with self._now():
            was_healthy = server.healthy
            self._pool.failed(server, time.monotonic())
        if was_healthy:
            log.warning("a GPT-SoVITS server fails", server=server.url, problem=problem)

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
            return seen_at + WATCH_S - time.monotonic()

        while True:
            with self._changed:
                while not self._closed and (left_s := due_s()) > 0:
                    self._changed.wait(left_s)
                if self._closed:
                    return
                healthy, busy = server.healthy, server.busy
            well = (healthy and busy) or self._look(connection.listens if healthy else connection.answers, server.url)
            seen_at = time.monotonic()
            with self._now():
                if not well and not (server.healthy and server.busy):  # busy: its SentenceRequest notices the failure
                    news = server.healthy
                    self._pool.failed(server, time.monotonic())
                elif well and healthy == server.healthy:  # else it has failed during the check
                    news = self._pool.answered(server)
                else:
                    news = False
            if news:
                say = log.info if well else log.warning
                say("a GPT-SoVITS server " + ("answers" if well else "does not answer"), server=server.url)

    @staticmethod
    def _look(ask: Callable[[str], bool], url: str) -> bool:
        try:
            return ask(url)
        except Exception:  # noqa: BLE001 - without its thread a server would never be healthy again
            log.exception("a GPT-SoVITS server could not be looked at", server=url)
            return False
