"""Which server speaks next, and which ones are ill. Pure: times are given.

A server speaks one sentence at a time. It is healthy until it fails; then it is asked again and again, with growing
waits, until it answers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

Weights = tuple[str | None, str | None]
"""GPT's and SoVITS'; None is whatever the server was started with."""

NO_WEIGHTS: Weights = (None, None)
_AGAIN_S = 0.5
_MAX_AGAIN_S = 10.0


@dataclass(slots=True)
class Server:
    """What is known of one server."""

    url: str
    healthy: bool = True
    busy: bool = False
    used_at: float = float("-inf")
    """When it began its last sentence."""
    failures: int = 0
    """Times in a row that it did not answer."""
    ask_at: float = 0.0
    """When an ill one is to be asked whether it is well again."""
    weights: Weights = NO_WEIGHTS
    """What it was last told to use, since it was last known to be well."""


class ServerPool:
    """The servers. Not thread-safe."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.servers = [Server(url) for url in urls]

    @property
    def healthy(self) -> list[Server]:
        """Those that may be used, busy ones included."""
        return [server for server in self.servers if server.healthy]

    def take(self, weights: Weights, now: float, *, but: Collection[str] = ()) -> Server | None:
        """An idle healthy server, busy from now on; None if there is none. `but` were tried already, by their URLs.

        The least recently used one, among those that need no other weights if there are any: new ones take seconds.
        """
        idle = [server for server in self.servers if server.healthy and not server.busy and server.url not in but]
        if not idle:
            return None
        chosen = min(idle, key=lambda server: (server.weights != weights, server.used_at))
        chosen.busy, chosen.used_at = True, now
        return chosen

    def free(self, server: Server) -> None:
        """It has ended its sentence."""
        server.busy = False

    def told(self, server: Server, weights: Weights) -> None:
        """It has loaded these."""
        server.weights = weights

    def failed(self, server: Server, now: float) -> None:
        """It does not do as it should: it is asked at once, then with growing waits, and its weights are unknown."""
        if server.healthy:
            server.healthy, server.failures, server.ask_at = False, 0, now
        else:
            server.failures += 1
            server.ask_at = now + min(_AGAIN_S * 2.0 ** min(server.failures - 1, 16), _MAX_AGAIN_S)
        server.weights = NO_WEIGHTS

    def answered(self, server: Server) -> bool:
        """It is well. Whether that is news."""
        news, server.healthy, server.failures = not server.healthy, True, 0
        return news
