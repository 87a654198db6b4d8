"""The audio of one session: one subscription for all its utterances.

It exists before a later utterance is asked for. So that utterance's audio comes live from its first message on, and
nothing of it need be read from the stream, unless a message is lost. What comes before its delivery begins is kept
(`EarlyAudio`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.broker import Headers, OnMessage, Subscription
from orastream.contract.stored_requests import StoredRequest
from orastream.delivery.rules.early_audio import EarlyAudio, EarlyRoom
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed

SETTLED_S = 1.0
"""So long after the subscription each server of a cluster knows of it."""
MAX_BEGUN = 16
"""How many utterances are remembered. One that was asked for before the oldest of them began is read again."""


class SessionAudio:
    """Opens the feeds of a session's utterances. `session` is its subject token. For one event loop; call `close`."""

    def __init__(self, js: JetStream, session: str, room: EarlyRoom) -> None:
        self._js = js
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._subscription: Subscription | None = None
        self._unhook: list[Callable[[], None]] = []
        self._unbroken_since = float("inf")
        """Since when, on the loop's clock, the subscription exists without a break of the connection."""
        self._readers: dict[str, OnMessage] = {}
        self._begun: dict[str, float] = {}
        """Subjects of which messages have come, or may have come, before a new feed of them, and since when."""
        self._forgotten = float("-inf")
        """When the last one began that is not remembered any more."""
        self._early: EarlyAudio[Headers] = EarlyAudio(room)

    async def open(self, stored: StoredRequest, asked_at: float, wake: Callable[[], None]) -> Feed:
        """Return an open feed of the request's audio; end it with `__aexit__`. Raises NodeUnavailable.

        `asked_at` is when the request was stored, on the loop's clock. One feed of a request at a time.
        """
        if self._subscription is None:
            broker = self._js.broker
            self._subscription = await broker.subscribe(self._js.names.audio(self._session, "*"), self._on_message)
            self._unhook = [broker.on_disconnect(self._on_disconnect), broker.on_reconnect(self._on_connected)]
            self._on_connected()
        subject = self._js.names.audio(self._session, stored.token)
        whole = subject in self._early or subject not in self._begun
        complete = whole and asked_at > max(self._unbroken_since + SETTLED_S, self._forgotten)
        self._begins(subject)
        feed = Feed(self._js, self._js.names.audio_stream, subject, wake=wake, source=self._source, complete=complete)
        return await feed.__aenter__()

    def idle(self) -> None:
        """No request of the session is open: nobody wants what was kept."""
        self._early.clear()

    async def close(self) -> None:
        """End the subscription, until `open` is called again. Raises nothing while NATS is away."""
        self._early.clear()
        self._begun.clear()
        self._forgotten = self._clock()
        unhook, self._unhook = self._unhook, []
        for remove in unhook:
            remove()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.close()

    async def _source(self, subject: str, on_message: OnMessage) -> _Reader:
        self._readers[subject] = on_message
        for message in self._early.take(subject):
            on_message(*message)
        return _Reader(self._readers, subject)

    def _on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        reader = self._readers.get(subject)
        if reader is not None:
            reader(subject, reply, data, headers)
            return
        if subject not in self._begun:
            self._begins(subject)
            self._early.begin(subject)
        self._early.add((subject, reply, data, headers))

    def _begins(self, subject: str) -> None:
        if subject in self._begun:
            return
        self._begun[subject] = self._clock()
        if len(self._begun) > MAX_BEGUN:
            oldest = next(iter(self._begun))
            self._forgotten = self._begun.pop(oldest)
            self._early.drop(oldest)

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
