"""Reply subjects under one wildcard subscription: opening one needs no round trip."""

from __future__ import annotations

from orastream.broker.fastpath.dispatch import OnMessage
from orastream.broker.fastpath.headers import Headers


class Inboxes:
    """The open inboxes of one connection, below `base`. Not thread-safe."""

    def __init__(self) -> None:
        self.base = ""
        """The subject above the inboxes. Set when the connection is open."""
        self._routes: dict[str, OnMessage] = {}
        self._opened = 0

    def open(self, on_message: OnMessage) -> str:
        """Return a new subject whose messages go to `on_message` until `close`."""
        self._opened += 1
        key = str(self._opened)
        self._routes[key] = on_message
        return f"{self.base}.{key}"

    def close(self, subject: str) -> None:
        """Close an inbox. Messages that arrive for it later are dropped."""
        self._routes.pop(subject.rpartition(".")[2], None)

    def on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """Pass a message of the wildcard subscription to its inbox."""
        if (route := self._routes.get(subject.rpartition(".")[2])) is not None:
            route(subject, reply, data, headers)
