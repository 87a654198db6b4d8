"""Why an utterance that was POSTed is not delivered, in words for logs and reports. Pure."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from orastream import tls
from orastream.tls import ClientTls

CONTENT_TOO_LARGE = 413


def answered(status: int, size: int) -> str:
    """Return why a POST with a body of `size` bytes that got this status is not delivered."""
    if status == CONTENT_TOO_LARGE:
        return f"the POST was answered by HTTP {status}: OraServer does not take a body of {size} bytes"
    return f"the POST was answered by HTTP {status}"


@dataclass(frozen=True, slots=True)
class PostReasons:
    """The reasons for POSTs to one address of OraServer."""

    url: str
    client_tls: ClientTls

    def failed(self, exc: Exception, size: int, *, untried: bool) -> str:
        """Return why a POST with a body of `size` bytes got no answer. aiohttp's own text may be empty, or a context.

        `untried`: it was the first of its connection, so that a refused client certificate may have ended it.
        """
        if self.url.startswith("https://"):
            where = urlsplit(self.url)
            name = f"OraServer at {where.hostname}:{where.port or 443}"
            peer = self.client_tls.files.peer(name, "ORASERVER_HTTP_URL")
            cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
            if (explained := tls.explain(str(cause), peer)) is not None:
                return explained
            if untried or tls.ended_by_peer(cause):
                return f"{tls.closed_early(peer)} ({type(exc).__name__})"
        if isinstance(exc, aiohttp.ClientOSError) and not isinstance(exc, aiohttp.ClientConnectorError):
            # Some servers answer 413 and close the connection without reading the rest: then the answer may be lost.
            return f"the connection broke during the POST of {size} bytes ({_system_words(exc)})"
        if isinstance(exc, aiohttp.ClientConnectorError):
            return f"cannot connect to {exc.host}:{exc.port} ({_system_words(exc.os_error)})"
        if isinstance(exc, ValueError):
            return f"ORASERVER_HTTP_URL cannot be used, or not beside ORASERVER_TOKEN ({type(exc).__name__})"
        if isinstance(exc, aiohttp.ServerDisconnectedError):
            return "the connection ended without an answer to the POST"
        return f"the POST failed ({type(exc).__name__})"


def _system_words(exc: OSError) -> str:
    """Return the system's words for an error. `strerror` may have the whole address, with what is secret in it."""
    return os.strerror(exc.errno) if exc.errno and exc.errno > 0 else type(exc).__name__
