"""Runs uvicorn inside a running event loop, without its own signal handling and logging."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.types import ASGIApp

from orastream.service.listening import cannot_listen, listener
from services.gateway.http.protocol import BoundedConfig, Bounds

log = structlog.get_logger()

KEEP_ALIVE_S = 75
"""Longer than common clients keep an idle connection: a client that reuses one would else write to a closing socket."""
SEND_BUFFER_BYTES = 128 * 1024
"""SO_SNDBUF of a connection. Linux would let it grow to megabytes, which is minutes of mp3: while an engine makes a
speech no faster than it is played, all of it would fit, and a reader that takes nothing would never be noticed."""
CUT_AFTER_S = 2.0
"""Time after `grace_s` in which requests whose connection was broken off can end."""


class HttpServer(uvicorn.Server):
    """A uvicorn server without signal handlers. `stop_taking()` stops it."""

    def __init__(self, config: uvicorn.Config, grace_s: float) -> None:
        """`grace_s`: how long answers may still be written after `stop_taking()`."""
        super().__init__(config)
        self._grace_s = grace_s
        self._cut_timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Do nothing: the process handles its signals itself."""
        yield

    def stop_taking(self) -> None:
        """Accept no more connections, and close each open one after its answer, or after `grace_s`."""
        self.should_exit = True
        if self._cut_timer is None:
            self._cut_timer = asyncio.get_running_loop().call_later(self._grace_s, self._cut)

    def ended(self) -> None:
        """Cancel what `stop_taking()` has planned, when the server has ended."""
        if self._cut_timer is not None:
            self._cut_timer.cancel()

    def _cut(self) -> None:
        """Break off the answers that are left, such as those to readers who take nothing.

        If their tasks were cancelled instead, uvicorn would log each as an error of the application.
        """
        left = list(self.server_state.connections)
        if left:
            log.warning("answers were broken off at the end of the drain", connections=len(left))
        for connection in left:
            connection.transport.abort()


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What is served: `spare_app` on connections beyond the limits of `bounds`, `app` on all others."""

    app: ASGIApp
    spare_app: ASGIApp
    bounds: Bounds


@contextlib.asynccontextmanager
async def serving(
    config: ServerConfig, host: str, port: int, *, grace_s: float, stop: asyncio.Event
) -> AsyncIterator[tuple[HttpServer, int]]:
    """Serve while the context is open; yields the server and its port (`port` 0 takes a free one).

    At the end, or from `stop_taking()` on, requests in flight have `grace_s` seconds to be answered; then their
    connections are broken off. If the server ends by itself, `stop` is set and
    the context raises its error at the end. Raises SettingsError when the port is taken.
    """
    listener = _listen(host, port)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # its connections inherit it
    bounded = BoundedConfig(
        config.app,
        config.bounds,
        config.spare_app,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=int(grace_s + CUT_AFTER_S),
    )
    server = HttpServer(bounded, grace_s)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http server")
    task.add_done_callback(lambda _: stop.set())
    try:
        yield server, listener.getsockname()[1]
    finally:
        server.stop_taking()
        try:
            await task
        finally:
            server.ended()


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listener(host, port)
    except (OSError, UnicodeError) as exc:
        raise cannot_listen("GATEWAY_PORT", host, port, exc) from exc
