"""Reads text from stdin while it is written."""

from __future__ import annotations

import asyncio
import codecs
import os
import threading
from collections.abc import AsyncGenerator

_MAX_BYTES = 4096


async def typed(fd: int = 0) -> AsyncGenerator[str, None]:
    """Yield the text of a pipe, a file or a terminal in pieces until its end. Invalid UTF-8 becomes U+FFFD.

    The reading thread does not read ahead: it waits until its piece is taken. It is a daemon thread, because a blocked
    read of a terminal cannot be interrupted.
    """
    loop = asyncio.get_running_loop()
    come: asyncio.Queue[bytes] = asyncio.Queue(1)

    def read() -> None:
        while True:
            try:
                data = os.read(fd, _MAX_BYTES)
            except OSError:
                data = b""
            try:
                asyncio.run_coroutine_threadsafe(come.put(data), loop).result()
            except Exception:  # noqa: BLE001 - the event loop was closed, which raises different exceptions
                return
            if not data:
                return

    threading.Thread(target=read, name="stdin", daemon=True).start()
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := await come.get():
        if text := decoder.decode(data):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text
