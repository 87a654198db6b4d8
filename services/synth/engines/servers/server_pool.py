"""Which server speaks next, and which ones have failed. Pure: the caller passes times, in seconds.

A server speaks up to `at_once` sentences at a time. It is healthy until it fails. Then it is checked with a growing
delay until it answers. A server that has just failed a sentence, although it answers checks, is used last for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

_AGAIN_S = 0.5
_MAX_AGAIN_S = 10.0
_SUSPECT_S = 1.0
_MAX_SUSPECT_S = 30.0


@dataclass(slots=True)
class Server:
    """State of one server."""

    url: str
    loaded: Hashable
    """What it has loaded for us, as the engine names it (gpt_sovits: the weights)."""
    healthy: bool = True
    speaking: int = 0
    """Number of sentences that it speaks now."""
    used_at: float = float("-inf")
    """When it began its last sentence."""
    failures: int = 0
    """Number of failed checks in a row."""
    ask_at: float = 0.0
    """Time of the next check of a server that has failed."""
    failed_sentences: int = 0
    """Number of sentences in a row that it failed."""
    suspect_until: float = float("-inf")
    """Until then it is used only if no other server is free."""
    rests_until: float = float("-inf")
    """Until then it gets no sentence: it has asked for that."""
    problem: str = ""
    """Why the last check or sentence failed; empty when it answers."""


class ServerPool:
    """All servers. Not thread-safe."""

    def __init__(self, urls: Sequence[str], *, at_once: int = 1, unloaded: Hashable = None) -> None:
        """`unloaded` is the value of `Server.loaded` for a server of which nothing is known."""
        self._at_once = at_once
        self._unloaded = unloaded
        self.servers = [Server(url, unloaded) for url in urls]

    @property
    def healthy(self) -> list[Server]:
        """Healthy servers, busy ones included."""
        return [server for server in self.servers if server.healthy]

    def take(self, wanted: Hashable, now: float, *, but: Collection[str] = ()) -> Server | None:
        """Takes a place of a healthy server for one sentence; None if there is none. `but` are URLs to leave out.

        It prefers servers that did not fail the last sentence, then those that have loaded `wanted` (a load takes
        seconds), then the one that speaks the fewest sentences, then the least recently used one.
        """
        free = [server for server in self.servers if self._is_free(server, now) and server.url not in but]
        if not free:
            return None

        def rank(server: Server) -> tuple[bool, bool, int, float]:
            return server.suspect_until > now, server.loaded != wanted, server.speaking, server.used_at

        chosen = min(free, key=rank)
        chosen.speaking += 1
        chosen.used_at = now
        return chosen

    def _is_free(self, server: Server, now: float) -> bool:
        return server.healthy and server.speaking < self._at_once and server.rests_until <= now

    def free(self, server: Server) -> None:
        """The server has ended a sentence."""
        server.speaking -= 1

    def spoke(self, server: Server) -> None:
        """The server has spoken a whole sentence."""
        server.failed_sentences, server.suspect_until = 0, float("-inf")

    def rest(self, server: Server, until: float) -> None:
        """The server asks for no sentence until then. It stays healthy."""
        server.rests_until = max(server.rests_until, until)

    def next_rest_end(self, now: float) -> float | None:
        """Returns when the first resting healthy server may be used again; None if none rests."""
        return min((server.rests_until for server in self.healthy if server.rests_until > now), default=None)

    def has_loaded(self, server: Server, loaded: Hashable) -> None:
        """The server has loaded that."""
        server.loaded = loaded

    def sentence_failed(self, server: Server, now: float, problem: str) -> None:
        """The server has failed a sentence: check it at once, and prefer others for a growing time.

        Several sentences that fail at the same time, because the server died, count as one.
        """
        if not server.healthy:
            return
        server.failed_sentences += 1
        server.suspect_until = now + min(_SUSPECT_S * 2.0 ** min(server.failed_sentences - 1, 16), _MAX_SUSPECT_S)
        self.failed(server, now, problem)

    def failed(self, server: Server, now: float, problem: str) -> None:
        """The server has failed: check it at once, then with a growing delay. What it has loaded is unknown."""
        if server.healthy:
            server.healthy, server.failures, server.ask_at = False, 0, now
        else:
            server.failures += 1
            server.ask_at = now + min(_AGAIN_S * 2.0 ** min(server.failures - 1, 16), _MAX_AGAIN_S)
        server.loaded, server.problem = self._unloaded, problem

    def answered(self, server: Server) -> bool:
        """The server answers; returns whether it was failed before."""
        news, server.healthy, server.failures, server.problem = not server.healthy, True, 0, ""
        return news
