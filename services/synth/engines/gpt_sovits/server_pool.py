"""Which server speaks next, and which ones have failed. Pure: the caller passes times, in seconds.

A server speaks one sentence at a time. It is healthy until it fails. Then it is checked with a growing delay until it
answers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

Weights = tuple[str | None, str | None]
"""Paths of the GPT and SoVITS weights; None: those that the server was started with."""

NO_WEIGHTS: Weights = (None, None)
_AGAIN_S = 0.5
_MAX_AGAIN_S = 10.0


@dataclass(slots=True)
class Server:
    """State of one server."""

    url: str
    healthy: bool = True
    busy: bool = False
    used_at: float = float("-inf")
    """When it began its last sentence."""
    failures: int = 0
    """Number of failed checks in a row."""
    ask_at: float = 0.0
    """Time of the next check of a server that has failed."""
    weights: Weights = NO_WEIGHTS
    """The weights that it has loaded for us; reset when it fails."""


class ServerPool:
    """All servers. Not thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.servers = [Server(url) for url in urls]

    @property
    def healthy(self) -> list[Server]:
        """Healthy servers, busy ones included."""
        return [server for server in self.servers if server.healthy]

    def take(self, weights: Weights, now: float, *, but: Collection[str] = ()) -> Server | None:
        """Takes an idle healthy server and marks it busy; None if there is none. `but` are URLs to leave out.

        It prefers servers that have these weights loaded (a load takes seconds), then the least recently used one.
        """
        idle = [server for server in self.servers if server.healthy and not server.busy and server.url not in but]
        if not idle:
            return None
        chosen = min(idle, key=lambda server: (server.weights != weights, server.used_at))
        chosen.busy, chosen.used_at = True, now
        return chosen

    def free(self, server: Server) -> None:
        """The server has ended its sentence."""
        server.busy = False

    def weights_loaded(self, server: Server, weights: Weights) -> None:
        """The server has loaded these weights."""
        server.weights = weights

    def failed(self, server: Server, now: float) -> None:
        """The server has failed: check it at once, then with a growing delay. Its weights are unknown."""
        if server.healthy:
            server.healthy, server.failures, server.ask_at = False, 0, now
        else:
            server.failures += 1
            server.ask_at = now + min(_AGAIN_S * 2.0 ** min(server.failures - 1, 16), _MAX_AGAIN_S)
        server.weights = NO_WEIGHTS

    def answered(self, server: Server) -> bool:
        """The server answers; returns whether it was failed before."""
        news, server.healthy, server.failures = not server.healthy, True, 0
        return news
