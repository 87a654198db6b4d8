"""The roster as threads share it: who speaks takes a server, and each server has a thread that watches over it.

A healthy idle server is seen to every WATCH_S by a bare connect, an ill one is asked with GET, which any answer below
500 satisfies: that is when it comes back.
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
"""A server that is started anew takes longer than that, so its loss of weights is noticed."""

log = structlog.get_logger()


class Servers:
    """The pool. Thread-safe. `close` ends its threads."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._pool = ServerPool(urls)
        self._changed = threading.Condition()
        self._closed = False
        for server in self._pool.servers:
            self._pool.failed(server, time.monotonic())  # none has answered yet
            threading.Thread(target=self._watch, args=(server,), name=f"watch {server.url}", daemon=True).start()

    def close(self) -> None:
        """End the threads. What speaks goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, healthy: int, timeout_s: float) -> int:
        """Waits until so many servers are healthy, or the time is over; how many are."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._pool.healthy) >= healthy, timeout_s)
            return len(self._pool.healthy)

    def take(self, weights: Weights, but: Collection[str], timeout_s: float) -> Server | None:
        """An idle healthy server, the caller's until `free`; None if there is none within that time."""
        with self._changed:
            deadline = time.monotonic() + timeout_s
            while (server := self._pool.take(weights, time.monotonic(), but=but)) is None:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    return None
            return server

    def any_left(self, but: Collection[str]) -> bool:
        """Whether one of the healthy servers, busy or not, was not tried yet."""
        with self._changed:
            return any(server.url not in but for server in self._pool.healthy)

    def free(self, server: Server) -> None:
        """It has ended its sentence."""
        with self._now():
            self._pool.free(server)

    def told(self, server: Server, weights: Weights) -> None:
        """It has loaded these weights."""
        with self._now():
            self._pool.told(server, weights)

    def failed(self, server: Server, problem: str) -> None:
        """It does not do as it should: it gets no sentence until it answers again."""
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
                if not well and not (server.healthy and server.busy):  # who uses it will see for himself
                    news = server.healthy
                    self._pool.failed(server, time.monotonic())
                elif well and healthy == server.healthy:  # else it has failed while it was looked at
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
        except Exception:  # noqa: BLE001 - the thread's border: a server that is not watched would never come back
            log.exception("a GPT-SoVITS server could not be looked at", server=url)
            return False
