"""Reads the stored messages of a subject, live and complete, with bounded memory.

A feed subscribes, reads the stored messages by batched direct get (backfill), and merges both by sequence
(`feed_merge.py` has the rules). A gap, a slow-consumer drop, a reconnect and a slow reader all lead to the same
backfill. A lost last message leaves no gap, so a feed that expects messages also reads again after a silence.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self

from orastream.base import logger, tasks
from orastream.base.backoff import Backoff
from orastream.broker import Headers, OnMessage
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed_merge import FeedMerge
from orastream.jetstream.place import place_of, stream_of
from orastream.jetstream.silence import SilenceWatch

MAX_TAILS = 256
"""A feed that has seen more literal subjects reads again: then it need not remember where each of them ends."""
MAX_BUFFERED_BYTES = 2 << 20
MAX_PAGE_BYTES = 256 << 10

log = logger.named(__name__)


class Subscribed(Protocol):
    """What a source returns."""

    async def close(self) -> None:
        """End the subscription. May be called twice, and while disconnected."""
        ...


Source = Callable[[str, OnMessage], Awaitable[Subscribed]]
"""Subscribes to a republished subject: `Broker.subscribe`, or what shares one subscription among several feeds."""


def _nobody() -> None:
    """The reader of a closed feed."""


class Feed:
    """Messages of `subject` (wildcards allowed) stored above `after`, each exactly once, in order per literal subject.

    Messages under a subject that is not legible (`subjects.legible`) are left out.

    `async with Feed(...) as feed:` subscribes. Call `pop()` until it returns None, then wait until `wake` is called.
    A slow reader loses nothing: beyond `max_buffered_bytes` the feed stops buffering and reads the stream again later.
    """

    def __init__(  # noqa: PLR0913 - options with defaults, by keyword
        self,
        js: JetStream,
        stream: str,
        subject: str,
        *,
        wake: Callable[[], None],
        after: int = 0,
        max_buffered_bytes: int = MAX_BUFFERED_BYTES,
        expecting: bool = True,
        at_rest_s: float | None = None,
        source: Source | None = None,
        complete: bool = False,
        max_tails: int = MAX_TAILS,
        wakes: Callable[[Stored], bool] | None = None,
    ) -> None:
        """`expecting`: see the property. `at_rest_s`: how often the feed reads while it expects nothing; None: never.

        `source` subscribes in place of the broker. `complete`: it did so before the first message above `after` was
        stored. Then nothing needs to be read unless a gap, or a silence, shows that a live message was lost.
        `wakes` says of a message whether `wake` is called for it; None: for each one.
        """
        self._js = js
        self._stream = stream
        self._stream_header = stream.encode()
        self.subject = subject
        self._wake_reader = wake
        self._wakes = wakes
        self._merge: FeedMerge[Stored] = FeedMerge(after, complete=complete)
        self._buffer: deque[Stored] = deque()
        self._buffered = 0
        self._max_bytes = max_buffered_bytes
        self._no_room: asyncio.Event | None = None
        """Set when the buffer has room again; None while it has."""
        self._source: Source = source or js.broker.subscribe
        self._subscription: Subscribed | None = None
        self._unhook: list[Callable[[], None]] = []
        self._connection = 0
        self._read_connection = 0 if complete else -1
        self._reading: asyncio.Task[None] | None = None
        self._max_tails = max_tails
        self._silence = SilenceWatch(self.look, expecting=expecting, at_rest_s=at_rest_s)

    async def __aenter__(self) -> Self:
        broker = self._js.broker
        self._unhook = [broker.on_disconnect(self._on_disconnect), broker.on_reconnect(self._on_reconnect)]
        self._subscription = await self._source(self.subject, self._on_live)
        self._read_if_needed()
        self._silence.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        unhook, self._unhook = self._unhook, []
        for remove in unhook:
            remove()
        # From here on nothing refers to the feed in a circle, so that it is freed at once with what it has buffered.
        self._wake_reader, self._wakes = _nobody, None
        subscription, self._subscription = self._subscription, None
        self._silence.stop()
        reading, self._reading = self._reading, None
        if reading is not None:
            await tasks.end(reading)
        if subscription is not None:
            await subscription.close()

    # ---- the reader's side

    def pop(self) -> Stored | None:
        """The next message, or None when there is none now."""
        if not self._buffer:
            return None
        message = self._buffer.popleft()
        self._buffered -= message.size
        if self._no_room is not None and self._buffered < self._max_bytes // 2:
            self._has_room()
        return message

    def limit(self, max_bytes: int) -> None:
        """Buffer at most `max_bytes` and a message from now on. What is buffered beyond it is read again later.

        Only for a feed without wildcards: the order of its buffer is that of the stream. Cheap if nothing changes.
        """
        if max_bytes == self._max_bytes:
            return
        assert not set("*>") & set(self.subject), "a limit would lose messages of other subjects"
        self._max_bytes = max_bytes
        self._merge.max_held_bytes = max_bytes // 2
        if self._buffered > max_bytes:
            while self._buffered > max_bytes and len(self._buffer) > 1:
                self._buffered -= self._buffer.pop().size
            self._merge = self._merge.restarted(self._buffer[-1])
        if self._buffered < max_bytes // 2:
            self._has_room()
        else:
            self._is_full()
        self._read_if_needed()

    @property
    def buffered(self) -> bool:
        """Whether `pop` returns a message."""
        return bool(self._buffer)

    @property
    def verified(self) -> int:
        """The sequence up to which a read of the stored messages has found every message."""
        return self._merge.verified

    def exists(self, sequence: int) -> None:
        """Report that the stream has stored a message of this feed at this sequence, as a consumer's delivery shows.

        The next complete read then raises `verified` to it, even if the message has been deleted.
        """
        self._merge.exists(sequence)

    def look(self) -> None:
        """Read what is stored: a live message may have been lost."""
        self._merge.lost()
        self._read_if_needed()

    @property
    def current(self) -> bool:
        """Whether all stored messages have been read since the last (re)connect, and the buffer is empty."""
        return self._read_connection == self._connection and not self._buffer

    @property
    def expecting(self) -> bool:
        """Whether the reader expects a message: then a silence causes a read. Gaps and reconnects always do."""
        return self._silence.expecting

    @expecting.setter
    def expecting(self, expecting: bool) -> None:
        self._silence.expecting = expecting

    # ---- the broker's side

    def _on_live(self, subject: str, _reply: str, data: bytes, headers: Headers) -> None:
        try:
            _, sequence, time, before = place_of(headers)
        except (KeyError, ValueError):  # not republished by a stream, so it may be forged
            return
        if stream_of(headers) != self._stream_header:
            return  # of another node: those behind one front door publish reports and audio on the same subjects
        if not subjects.legible(subject):  # the leader's JSON spells the subject differently: it would come twice
            return
        self._silence.heard()
        if self._buffered > self._max_bytes:
            self._is_full()
            self.look()
            return
        self._append(self._merge.live(Stored(subject, sequence, time, data, headers), before))
        if self._merge.needs_read:
            self._read_if_needed()
        elif self._merge.tails > self._max_tails:
            self.look()

    def _on_disconnect(self) -> None:
        self._connection += 1
        self._wake_reader()

    def _on_reconnect(self) -> None:
        self.look()

    def _append(self, messages: list[Stored]) -> None:
        if messages:
            self._buffer.extend(messages)
            for message in messages:
                self._buffered += message.size
            if self._wakes is None or any(map(self._wakes, messages)):
                self._wake_reader()

    def _is_full(self) -> None:
        if self._no_room is None:
            self._no_room = asyncio.Event()

    def _has_room(self) -> None:
        if self._no_room is not None:
            self._no_room.set()
            self._no_room = None

    # ---- backfill

    def _read_if_needed(self) -> None:
        if self._merge.needs_read and self._reading is None and self._subscription is not None:
            self._reading = asyncio.create_task(self._run(), name=f"feed {self.subject}")

    async def _run(self) -> None:
        """Read until nothing is missing."""
        backoff = Backoff(0.1, 1.0)
        try:
            while self._merge.needs_read:
                try:
                    await self._read()
                    backoff.reset()
                except NodeUnavailable as exc:
                    log.debug("a feed could not read and tries again", subject=self.subject, error=str(exc))
                    self._merge.lost()
                    await asyncio.sleep(backoff.next_s())
        finally:
            self._reading = None  # also after an error of ours: else the feed would never read again

    async def _read(self) -> None:
        """Read everything stored above `verified`, until the stream's leader confirms the end."""
        connection = self._connection
        first = self._read_connection < 0
        await self._js.broker.wait_connected(30)
        merge = self._merge
        merge.begin_read()
        ended = False
        while True:
            if self._no_room is not None:
                await self._no_room.wait()
            most = min(MAX_PAGE_BYTES, self._max_bytes)
            page = [] if ended else await self._js.read(self._stream, self.subject, merge.verified, max_bytes=most)
            # A replica may lag behind, so only the leader can confirm the end.
            message = None if page else await self._js.after(self._stream, self.subject, merge.verified)
            if self._merge is not merge:
                return  # `limit` has dropped messages: begin again after those that were kept
            if message is not None:
                page = [message]
            if not page:
                break
            ended = page[-1].ends_read
            verified = merge.verified
            fresh = [message for message in merge.page(page) if subjects.legible(message.subject)]
            if merge.verified <= verified:
                raise NodeUnavailable(f"{self._stream}: a read of {self.subject} returns no new messages")
            self._js.broker.repairs.backfilled += 0 if first else len(fresh)
            self._append(fresh)
            if self._buffered > self._max_bytes:
                self._is_full()
        self._append(merge.end_read())
        if self._connection == connection:
            self._read_connection = connection
            self._wake_reader()
