"""Clients that send a request and read nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def deaf(port: int, request: bytes, count: int) -> AsyncIterator[None]:
    """Connections to a loopback port, with the smallest buffers, that have sent this request and read nothing."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as opened:
        for _ in range(count):
            reader = opened.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.setblocking(False)
            await loop.sock_connect(reader, ("127.0.0.1", port))
            await loop.sock_sendall(reader, request)
        yield
