"""The audio of one session: one subscription for all its utterances.

It exists before a later utterance is asked for. So that utterance's audio comes live from its first message on, and
nothing of it need be read from the stream, unless a message is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.broker import Headers, OnMessage, Subscription
from orastream.contract import stream_names, subjects
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed

SETTLED_S = 1.0
"""So long after the subscription each server of a cluster knows of it."""
MAX_BEGUN = 32
"""How many utterances are remembered. Those that were asked for before these are read from the stream."""


class SessionAudio:
    """Opens the feeds of a session's utterances. `session` is its subject token. For one event loop; call `close`."""

    def __init__(self, js: JetStream, session: str) -> None:
        self._js = js
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._subscription: Subscription | None = None
        self._unhook: list[Callable[[], None]] = []
        self._unbroken_since = float("inf")
        """Since when, on the loop's clock, the subscription exists without a break of the connection."""
        self._readers: dict[str, OnMessage] = {}
        self._begun: set[str] = set()
        """Subjects of which messages have come, or may have come, before a new feed of them."""

    async def open(self, stored: StoredRequest, asked_at: float, wake: Callable[[], None]) -> Feed:
        """Return an open feed of the request's audio; end it with `__aexit__`. Raises NodeUnavailable.

        `asked_at` is when the request was stored, on the loop's clock. One feed of a request at a time.
        """
        if self._subscription is None:
            broker = self._js.broker
            self._unhook = [broker.on_disconnect(self._on_disconnect), broker.on_reconnect(self._on_connected)]
            self._on_connected()
            self._subscription = await broker.subscribe(subjects.audio(self._session, "*"), self._on_message)
        subject = subjects.audio(self._session, stored.token)
        complete = asked_at > self._unbroken_since + SETTLED_S and subject not in self._begun
        self._begins(subject)
        feed = Feed(self._js, stream_names.AUDIO, subject, wake=wake, source=self._source, complete=complete)
        return await feed.__aenter__()

    async def close(self) -> None:
        """End the subscription. Raises nothing while NATS is away."""
        unhook, self._unhook = self._unhook, []
        for remove in unhook:
            remove()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    async def _source(self, subject: str, on_message: OnMessage) -> _Reader:
        self._readers[subject] = on_message
        return _Reader(self._readers, subject)

    def _on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        reader = self._readers.get(subject)
        if reader is not None:
            reader(subject, reply, data, headers)
        else:
            self._begins(subject)

    def _begins(self, subject: str) -> None:
        if len(self._begun) >= MAX_BEGUN:
            self._begun.clear()
            self._on_connected()  # for those that were forgotten
        self._begun.add(subject)

    def _on_connected(self) -> None:
        self._unbroken_since = self._clock()

    def _on_disconnect(self) -> None:
        self._unbroken_since = float("inf")


class _Reader:
    """What a feed closes in place of a subscription."""

    def __init__(self, readers: dict[str, OnMessage], subject: str) -> None:
        self._readers = readers
        self._subject = subject

    async def close(self) -> None:
        """The feed wants no more messages."""
        self._readers.pop(self._subject, None)
