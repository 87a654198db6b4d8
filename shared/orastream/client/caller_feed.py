"""A feed for callers: like `jetstream/feed.py`, which it uses where this user may read the stream, else by pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from orastream.base import logger, tasks
from orastream.base.backoff import Backoff
from orastream.broker import Broker
from orastream.client.served_reads import PageEnd, read_page
from orastream.contract.errors import NoResponders, OrastreamError
from orastream.contract.reads import ReadQuery
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import MAX_BUFFERED_BYTES, Feed

POLL_S = 5.0
"""How long the gateway waits for the next message before it ends a page. A gateway that died is noticed after it."""

log = logger.named(__name__)


class ReadRights(Protocol):
    """What a feed needs of the reads of its client."""

    js: JetStream

    @property
    def broker(self) -> Broker:
        """The NATS connection."""
        ...

    async def direct(self, stream: str) -> bool:
        """Whether this user reads the stream itself. Raises NodeUnavailable."""
        ...

    def no_gateway(self, stream: str) -> None:
        """No gateway answers."""
        ...


class CallerFeed:
    """Messages of `subject` stored above `after`, each once, in order per literal subject, with bounded memory.

    `async with …:` opens it. Call `pop()` until it returns None, then wait until `wake` is called. While neither the
    stream nor a gateway answers, it waits and tries again.
    """

    def __init__(
        self, reads: ReadRights, stream: str, subject: str, *, wake: Callable[[], None], after: int | None
    ) -> None:
        self._reads = reads
        self._stream = stream
        self._subject = subject
        self._wake = wake
        self._after = after
        self._feed: Feed | None = None
        self._buffer: deque[Stored] = deque()
        self._buffered = 0
        self._room = asyncio.Event()
        self._room.set()
        self._task: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name=f"feed {self._subject}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            await tasks.end(self._task)
        await self._stack.aclose()

    def pop(self) -> Stored | None:
        """The next message, or None when there is none now."""
        if self._feed is not None and not self._buffer:
            return self._feed.pop()
        if not self._buffer:
            return None
        message = self._buffer.popleft()
        self._buffered -= message.size
        if self._buffered < MAX_BUFFERED_BYTES // 2:
            self._room.set()
        return message

    async def _run(self) -> None:
        backoff = Backoff(0.1, 1.0)
        while self._feed is None:
            try:
                await self._reads.broker.wait_connected(30)
                if await self._reads.direct(self._stream):
                    await self._open_direct()
                else:
                    await self._read_page()
                backoff.reset()
            except OrastreamError as exc:  # also a refusal: if the task ended, the reader would wait for ever
                if isinstance(exc, NoResponders):
                    self._reads.no_gateway(self._stream)
                log.debug("a feed could not read and tries again", subject=self._subject, error=str(exc))
                await asyncio.sleep(backoff.next_s())

    async def _open_direct(self) -> None:
        js = self._reads.js
        if self._after is None:
            last = await js.last(self._stream, self._subject)
            self._after = last.sequence if last is not None else 0
        feed = Feed(js, self._stream, self._subject, wake=self._wake, after=self._after)
        self._feed = await self._stack.enter_async_context(feed)

    async def _read_page(self) -> None:
        await self._room.wait()
        # "From now on" is answered at once, so that a second question begins at the same place if its gateway dies.
        query = ReadQuery(self._after, POLL_S if self._after is not None else 0.0)
        async with contextlib.aclosing(
            read_page(self._reads.broker, self._reads.js.names.question_of(self._subject), query)
        ) as page:
            async for message in page:
                if isinstance(message, PageEnd):
                    self._after = int(message)
                    return
                self._after = message.sequence
                self._buffer.append(message)
                self._buffered += message.size
                if self._buffered > MAX_BUFFERED_BYTES:
                    self._room.clear()
                self._wake()
