"""Raw NATS bytes, which a client library would refuse to send, and the first line of a server."""

from __future__ import annotations

import asyncio

INFO = b'INFO {"server_id":"s","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n'
_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n'


async def send(port: int, *operations: bytes) -> bytes:
    """Send operations over one connection to the nats-server on `port`; returns its errors, or b"" without errors."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            await reader.readline()  # INFO
            writer.write(_CONNECT + b"PING\r\n" + b"".join(operations) + b"PING\r\n")
            received, pongs = b"", 0
            while pongs < 2 and (line := await reader.readline()):
                pongs += line == b"PONG\r\n"
                received += b"" if line == b"PONG\r\n" or line.startswith(b"INFO ") else line
            return received
    finally:
        writer.close()


def pub(subject: bytes, data: bytes, *, reply: bytes = b"", block: bytes | None = None) -> bytes:
    """A PUB, or with a header block an HPUB, with any bytes."""
    words = [b"PUB" if block is None else b"HPUB", subject, *([reply] if reply else [])]
    sizes = [b"%d" % len(part) for part in ([] if block is None else [block])]
    return b" ".join([*words, *sizes, b"%d" % len((block or b"") + data)]) + b"\r\n" + (block or b"") + data + b"\r\n"
