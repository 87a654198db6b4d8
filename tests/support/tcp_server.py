"""A TCP server on loopback in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from orastream.base import tasks

LIMIT_BYTES = 1 << 16
"""What a StreamReader holds before it stops reading is twice as much."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    serve: Serve,
    *,
    listening: socket.socket | None = None,
    limit: int = LIMIT_BYTES,
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Listen inside the context, by TLS if there is an SSL context, and yield the port.

    `serve` handles a connection, which is closed after it.

    At the end `serve` is cancelled for the connections that are still open, and they are closed.
    """
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        task.add_done_callback(handling.discard)
        # On Python 3.11 asyncio logs an error for a task of a connection that was cancelled.
        ended = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
        with contextlib.closing(writer), contextlib.suppress(*ended):
            await serve(reader, writer)

    listening = listening or socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(handle, sock=listening, limit=limit, ssl=context)
    try:
        yield listening.getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)  # a connection that was accepted just now gets its task
        await tasks.end(*handling)
