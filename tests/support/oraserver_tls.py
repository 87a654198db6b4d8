"""A receiver with TLS inside the test, and a TLS front for the reference OraServer, which has none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from aiohttp import web

from tests.support.tcp_server import serving

READ_BYTES = 1 << 16


@contextlib.asynccontextmanager
async def receiver(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Accept WebSockets on `/ws` and POSTs on `/tts`, by TLS if there is a context. Yields the port."""

    async def open_socket(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        async for _ in answer:
            pass
        return answer

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response()

    app = web.Application(client_max_size=1 << 26)
    app.router.add_get("/ws", open_socket)
    app.router.add_post("/tts", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def tls_front(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Accept TLS on another port, which it yields, and pass the bytes to and from the loopback `port`."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, outer))
                both.create_task(_copy(inner, writer))
        except* OSError:
            pass
        finally:
            outer.transport.abort()

    async with serving(forward, context=context) as front:
        yield front


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(READ_BYTES):
        target.write(data)
        await target.drain()
    target.close()
