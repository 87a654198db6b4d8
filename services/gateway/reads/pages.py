"""Reads a page of a stream: what is stored above a sequence, or what comes within some seconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from orastream.contract import subjects
from orastream.contract.reads import MAX_PAGE_BYTES
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from services.gateway.request_service import RequestService


async def stored_page(js: JetStream, stream: str, subject: str, after: int) -> list[Stored]:
    """Return the next messages of `subject` above `after`, up to MAX_PAGE_BYTES; [] proves that there is none.

    Raises NodeUnavailable. Cancel-safe.
    """
    page = await js.read(stream, subject, after, max_bytes=MAX_PAGE_BYTES)
    if not page and (message := await js.after(stream, subject, after)) is not None:
        page = [message]  # a replica may lag behind, the leader does not
    return [message for message in page if subjects.legible(message.subject)]


async def live_page(
    feed: Feed, changed: asyncio.Event, service: RequestService, wait_s: float
) -> AsyncGenerator[Stored, None]:
    """Yield the messages of an open feed, which sets `changed`, until MAX_PAGE_BYTES or `wait_s` seconds are reached.

    Ends early when the gateway ends.
    """
    deadline = asyncio.get_running_loop().time() + wait_s
    size = 0
    with service.calling_on_close(changed.set):
        while size < MAX_PAGE_BYTES:
            changed.clear()
            while size < MAX_PAGE_BYTES and (message := feed.pop()) is not None:
                size += message.size
                yield message
            if service.closing or asyncio.get_running_loop().time() >= deadline:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
