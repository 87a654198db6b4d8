"""Publishes into a stream with a bounded window of unacked messages, several times faster than waiting for each ack.

`make bench` prints both rates. Each message has its own id and timeout. A message that is not acked in time is sent
again under the same id, and the stream drops duplicates. So the stream's order may differ from the order of `put`;
readers sort by an index in the message. After a reconnect all unacked messages are sent again at once: their acks went
to the old connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from orastream.base import tasks
from orastream.broker import Broker, Headers
from orastream.contract.errors import NodeUnavailable, NotConnected, OrastreamError, PublishRefused, StreamFull
from orastream.jetstream.answers import parse_ack

FULL_RETRY_S = 0.5
NO_LEADER_RETRY_S = 0.25
"""Wait before a message is sent again that nobody received: the stream has no leader, or does not exist."""
TICK_S = 0.1


@dataclass(slots=True)
class _Pending:
    subject: str
    data: bytes
    message_id: str
    inbox: str
    sent_at: float
    resend_at: float
    tries: int = 1
    unreceived: bool = False
    """The last answer was "no responders": the stream has no leader, or does not exist."""


class PublishWindow:
    """`async with Window(broker) as w: await w.put(…); await w.flush()`.

    `put` waits while the window is full. If the stream refuses a message, the next `put` or `flush` raises the error.
    A message for a full stream (`discard: new`) is sent again every FULL_RETRY_S seconds.
    Use it from one task. Cancel-safe: messages already put may or may not be stored.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        max_messages: int = 64,
        max_bytes: int = 1 << 20,
        ack_timeout_s: float = 2.0,
        patience_s: float = 30.0,
        on_stored: Callable[[], None] | None = None,
    ) -> None:
        """A message that stays unacked for `patience_s` seconds makes `put` and `flush` raise NodeUnavailable.

        `on_stored` is called once for each message that the stream has acked.
        """
        self._broker = broker
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._ack_timeout_s = ack_timeout_s
        self._patience_s = patience_s
        self._on_stored = on_stored
        self._pending: dict[str, _Pending] = {}
        self._bytes = 0
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        """Looks for late messages; there is none while nothing is pending. A task for each window would cost more."""
        self._resending: asyncio.Task[None] | None = None
        self._unhook: Callable[[], None] | None = None

    async def __aenter__(self) -> PublishWindow:
        self._loop = asyncio.get_running_loop()  # not before: a blocking client makes a window in another thread
        self._unhook = self._broker.on_reconnect(self._on_reconnect)
        return self

    async def __aexit__(self, *_: object) -> None:
        unhook, self._unhook = self._unhook, None
        if unhook is not None:
            unhook()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        resending, self._resending = self._resending, None  # the ended task would keep the window in a circle
        if resending is not None:
            await tasks.end(resending)
        for pending in self._pending.values():
            self._broker.close_inbox(pending.inbox)
        self._pending.clear()

    @property
    def idle(self) -> bool:
        """Whether all messages put so far are stored."""
        return not self._pending

    async def put(self, subject: str, data: bytes, message_id: str) -> None:
        """Wait for room in the window, then publish without waiting for the ack.

        Raises PublishRefused if the message exceeds the server's max_payload, or the error of an earlier message.
        """
        if self._failure is not None or not self._has_room(len(data)):
            await self._until(lambda: self._has_room(len(data)))
        if len(data) + len(message_id) + 128 > self._broker.max_payload:
            raise PublishRefused(
                subject, 0, f"{len(data)} bytes exceed the server's max_payload {self._broker.max_payload}"
            )
        inbox = self._broker.open_inbox(self._on_ack)
        now = self._loop.time()
        pending = _Pending(subject, data, message_id, inbox, now, now + self._ack_timeout_s)
        self._pending[inbox] = pending
        self._bytes += len(data)
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_S, self._tick)
        await self._send(pending)

    async def flush(self) -> None:
        """Return when all messages put so far are stored. Raises PublishRefused, NodeUnavailable."""
        await self._until(lambda: not self._pending)

    def give_up(self, reason: Exception) -> None:
        """Make `put` and `flush` raise `reason` from now on, including calls that are waiting."""
        self._failure = reason
        self._changed.set()

    def _has_room(self, size: int) -> bool:
        pending = self._pending
        return not pending or (len(pending) < self._max_messages and self._bytes + size <= self._max_bytes)

    async def _until(self, ready: Callable[[], bool]) -> None:
        while True:
            if self._failure is not None:
                raise self._failure
            if ready():
                return
            self._changed.clear()
            await self._changed.wait()

    async def _send(self, pending: _Pending) -> None:
        try:
            await self._broker.publish(
                pending.subject, pending.data, reply=pending.inbox, headers={"Nats-Msg-Id": pending.message_id}
            )
        except NotConnected:
            raise
        except NodeUnavailable:
            return  # the NATS client's buffer is full during a reconnect; `_tick` sends the message again

    def _on_ack(self, inbox: str, _reply: str, data: bytes, headers: Headers) -> None:
        pending = self._pending.get(inbox)
        if pending is None:
            return
        if headers.status == "503":  # no responders: a leader election, or the stream is missing
            self._broker.missing.call()
            pending.unreceived, pending.resend_at = True, self._loop.time() + NO_LEADER_RETRY_S
            return
        if b'"error"' in data:
            try:
                parse_ack(pending.subject, data)
            except StreamFull:
                pending.resend_at = self._loop.time() + FULL_RETRY_S
                pending.sent_at = self._loop.time()  # the stream answers: restart patience_s
                return
            except NodeUnavailable:  # temporary, for example a leader election
                pending.resend_at = self._loop.time() + FULL_RETRY_S
                return
            except PublishRefused as exc:
                self._failure = exc
        elif self._on_stored is not None:
            self._on_stored()
        for waiting in self._pending.values():
            waiting.unreceived = False
        del self._pending[inbox]
        self._bytes -= len(pending.data)
        self._broker.close_inbox(inbox)
        self._changed.set()

    def _on_reconnect(self) -> None:
        for pending in self._pending.values():
            pending.tries, pending.resend_at = 0, 0.0

    def _tick(self) -> None:
        """Send late messages again. While the stream has no leader, only the oldest of them asks whether it has one."""
        self._timer = None
        if not self._pending or self._failure is not None:
            return
        self._timer = self._loop.call_later(TICK_S, self._tick)
        if self._resending is None or self._resending.done():
            now = self._loop.time()
            first = next((pending for pending in self._pending.values() if pending.unreceived), None)
            late = [
                pending
                for pending in self._pending.values()
                if now - pending.sent_at > self._patience_s
                or (now >= pending.resend_at and (not pending.unreceived or pending is first))
            ]
            if late:
                self._resending = asyncio.create_task(self._resend(late), name="window")

    async def _resend(self, late: list[_Pending]) -> None:
        try:
            for pending in late:
                now = self._loop.time()
                if pending.inbox not in self._pending:
                    continue  # stored meanwhile
                if now - pending.sent_at > self._patience_s:
                    raise NodeUnavailable(f"{pending.subject}: not stored within {self._patience_s:g} s")
                if self._broker.connected:
                    pending.tries += 1
                    pending.resend_at = now + min(self._ack_timeout_s * pending.tries, 5.0)
                    self._broker.repairs.resent += 1
                    await self._send(pending)
        except OrastreamError as exc:
            self.give_up(exc)
