"""The connection of a client to a `FakeNode`: a `Broker` whose messages stay in this process."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from orastream.broker import NO_HEADERS, Broker, Headers, OnMessage, Subscription
from orastream.contract.errors import NotConnected
from orastream.testing.fake.streams import header_block, matches

MAX_PAYLOAD = 1 << 20
"""Bytes, the default of nats-server."""
_numbers = itertools.count(1)


class Exchange(Protocol):
    """What a connection gives the messages to."""

    def publish(self, sender: FakeBroker, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """A client publishes a message."""
        ...

    def subscribed(self, sender: FakeBroker, subject: str) -> None:
        """A client has subscribed."""
        ...

    def attach(self, broker: FakeBroker) -> None:
        """A connection is open."""
        ...

    def detach(self, broker: FakeBroker) -> None:
        """A connection is closed."""
        ...


class FakeSubscription(Subscription):
    """A subscription at a `FakeBroker`."""

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    async def close(self) -> None:
        """End the subscription. The callback is not called any more."""
        self._forget()


class FakeBroker(Broker):
    """A connection to a `FakeNode`. `deliver`, `later` and `alive` are for any thread, the rest for its event loop."""

    def __init__(self, exchange: Exchange, prefix: str) -> None:
        super().__init__("nats://fake-node:4222", name="fake", prefix=prefix)
        self._exchange = exchange
        self.entered = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._callbacks: dict[int, tuple[str, OnMessage]] = {}

    async def __aenter__(self) -> Self:
        """Open it. Cancel-safe."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._inboxes.base = self.new_inbox()
        await self.subscribe(f"{self._inboxes.base}.*", self._inboxes.on_message)
        self._exchange.attach(self)
        self.entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop = None  # first: what is left to do must not wait for this event loop
        self._exchange.detach(self)
        self._callbacks.clear()
        self._closed.set()

    @property
    def connected(self) -> bool:
        """Whether it is open."""
        return self._loop is not None

    @property
    def alive(self) -> bool:
        """Whether its event loop can still call something."""
        loop = self._loop
        return loop is not None and not loop.is_closed()

    @property
    def max_payload(self) -> int:
        """See `Broker.max_payload`."""
        return MAX_PAYLOAD

    async def round_trip(self, timeout_s: float = 2.0) -> None:
        """See `Broker.round_trip`. Raises NotConnected once it is closed."""
        self._open_loop()

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """See `Broker.publish`. Raises NotConnected before it is open and once it is closed."""
        self._open_loop()
        await asyncio.sleep(0)
        self._exchange.publish(self, subject, reply, bytes(data), header_block(headers) if headers else NO_HEADERS)

    async def subscribe(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """See `Broker.subscribe`."""
        self._open_loop()
        number = next(_numbers)
        self._callbacks[number] = subject, on_message
        self._exchange.subscribed(self, subject)

        def forget() -> None:
            self._callbacks.pop(number, None)

        return FakeSubscription(forget)

    def new_inbox(self) -> str:
        """See `Broker.new_inbox`."""
        return f"{self.inbox_prefix}.fake{next(_numbers)}"

    def deliver(self, subject: str, data: bytes, headers: Headers = NO_HEADERS, reply: str = "") -> None:
        """Pass a message to the subscriptions of its subject, in the event loop, in the order of these calls."""
        self._soon(lambda: self._dispatch(subject, reply, data, headers))

    def later(self, delay_s: float, call: Callable[[], None]) -> bool:
        """Call `call` in the event loop after so many seconds. False if it has ended: then `call` is not called."""
        loop = self._loop
        if loop is None:
            return False

        def begin() -> None:
            loop.call_later(delay_s, call)

        return self._soon(begin)

    def _soon(self, call: Callable[[], None]) -> bool:
        loop = self._loop
        if loop is None:
            return False
        try:
            if threading.get_ident() == self._thread:
                loop.call_soon(call)
            else:
                loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _dispatch(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        for pattern, on_message in list(self._callbacks.values()):
            if matches(pattern, subject):
                on_message(subject, reply, data, headers)

    def _open_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise NotConnected(f"the connection to {self.url} is closed")
        return self._loop
