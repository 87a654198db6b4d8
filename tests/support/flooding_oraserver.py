"""An OraServer for tests that floods some sessions: `python -m tests.support.flooding_oraserver` prints its port.

It reads all frames and answers pings. A session whose id begins with `ping` gets pings, one with `text` small text
frames, one with `large` text frames of 1 MiB, without an end and as fast as ws_bridge reads them. It is a process of
its own, so that its work does not delay the test.
"""

from __future__ import annotations

import asyncio
import contextlib

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

_LARGE = 1 << 20
FLOODS = {
    "ping": b"\x89\x00" * 8192,
    "text": b"\x81\x02{}" * 4096,
    "large": b"\x81\x7f" + (_LARGE - 64).to_bytes(8, "big") + b"x" * (_LARGE - 64),
}
"""Unmasked frames, by the kind of flood."""


class _Discard(asyncio.Protocol):
    """Reads and drops what the bridge sends, which costs less than what the bridge does for it."""


async def _flood(connection: ServerConnection, frames: bytes) -> None:
    connection.transport.set_protocol(_Discard())
    while not connection.transport.is_closing():
        connection.transport.write(frames)
        while connection.transport.get_write_buffer_size():
            await asyncio.sleep(0.001)


async def _handle(connection: ServerConnection) -> None:
    session = connection.request.headers.get("session-id", "") if connection.request else ""
    frames = next((frames for kind, frames in FLOODS.items() if session.startswith(kind)), None)
    flooding = asyncio.create_task(_flood(connection, frames)) if frames else None
    try:
        with contextlib.suppress(ConnectionClosed):
            async for _ in connection:
                pass
    finally:
        if flooding is not None:
            flooding.cancel()


async def _main() -> None:
    async with serve(_handle, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
