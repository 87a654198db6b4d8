"""Reads the body of an HTTP request, with limits on its size and on the time it takes."""

from __future__ import annotations

import asyncio

from fastapi import Request

from services.gateway.http.responses import Refused, error

MAX_BYTES = 1 << 20
MAX_DISCARDED_BYTES = 8 << 20
"""How much of a too large body is read. A client that writes all before it reads would otherwise never see the 413."""
TIMEOUT_S = 15.0


async def body_of(request: Request) -> bytes:
    """The raw body. Raises Refused (413, 408) and ClientDisconnect."""
    body = bytearray()
    read = 0
    try:
        async with asyncio.timeout(TIMEOUT_S):
            async for piece in request.stream():
                read += len(piece)
                if read <= MAX_BYTES:
                    body += piece
                elif read > MAX_DISCARDED_BYTES:
                    break
    except TimeoutError:
        raise Refused(error(408, "body_timeout", f"no complete body within {TIMEOUT_S:g} s", retryable=True)) from None
    if read > MAX_BYTES:
        raise Refused(error(413, "too_large", f"the body has more than {MAX_BYTES} bytes"))
    return bytes(body)
