"""Pulls from a durable consumer in a loop: requests as many messages as there is capacity for, and passes them on.

The loop does not hang when a pull request is lost (each one expires and is renewed), after a reconnect (it pulls at
once), or while the consumer or stream is missing (it retries with backoff).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from orastream.base import logger
from orastream.base.backoff import Backoff
from orastream.broker import NO_HEADERS, Broker, Headers
from orastream.contract import caller
from orastream.contract.errors import NodeUnavailable
from orastream.contract.trace_context import Carrier, carrier_of
from orastream.jetstream.api import API, JetStream

EXPIRES_S = 5.0
PROOF_S = 0.1
"""Lifetime of the first pull request after a start, a reconnect or a refusal. Its end proves the consumer exists."""
LATE_S = 1.0
"""A pull request counts as lost when its end has not come this many seconds after it expired."""
DISCARD_AGAIN_S = 5.0
_REFUSALS = {"409": "it was deleted, or its leader changes", "503": "it does not exist, or has no leader"}
MAX_ACK_CHARS = 512
MAX_SHOWN_CHARS = 80
"""Maximum length of an invalid subject in the log."""

log = logger.named(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a stored message. Its receiver calls `ack`, `nak`, `in_progress` or `discard`."""

    broker: Broker
    subject: str
    data: bytes
    reply: str
    sequence: int
    time_ns: int
    """When the message was stored, in unix nanoseconds of the server's clock."""
    delivered: int
    """Number of deliveries, this one included. Not a count of attempts: a server crash can repeat a number."""
    headers: Headers = NO_HEADERS

    @property
    def time_s(self) -> float:
        """When the message was stored, in unix seconds of the server's clock."""
        return self.time_ns / 1e9

    @property
    def trace(self) -> Carrier:
        """The trace context in the message's headers, set by its publisher."""
        return carrier_of(self.headers.get)

    @property
    def stated_caller(self) -> str | None:
        """The caller that its publisher has stated in a header, or None."""
        return self.headers.get(caller.HEADER)

    async def ack(self) -> None:
        """Acknowledge: the message is not delivered again. If the ack is lost, it is."""
        await self._answer(b"+ACK")

    async def nak(self, delay_s: float) -> None:
        """Refuse: the server delivers the message again, to any process, after `delay_s` seconds."""
        await self._answer(b'-NAK {"delay": %d}' % int(delay_s * 1e9))

    async def in_progress(self) -> None:
        """Restart the ack wait: more time is needed."""
        await self._answer(b"+WPI")

    async def discard(self, js: JetStream) -> None:
        """Delete the message without a report, because its subject names no valid session to report to.

        Each durable consumer delivers it to one process; the process that deletes it logs and counts it.
        """
        try:
            deleted = await js.delete(js.names.sessions_stream, self.sequence)
        except NodeUnavailable:
            await self.nak(DISCARD_AGAIN_S)
            return
        if deleted:
            self.broker.repairs.discarded += 1
            subject = ascii(self.subject[:MAX_SHOWN_CHARS])
            log.warning("a message under an impossible session is deleted", sequence=self.sequence, subject=subject)
        await self.ack()

    async def _answer(self, what: bytes) -> None:
        try:
            await self.broker.publish(self.reply, what)
        except NodeUnavailable:
            log.debug("an answer to a delivery was lost", sequence=self.sequence)


def consumer_of(reply: str) -> tuple[str, str] | None:
    """The stream and the consumer of an ack subject, or None if it is none that a server can have made."""
    parts = reply.split(".")
    if len(reply) > MAX_ACK_CHARS or parts[:2] != ["$JS", "ACK"] or len(parts) not in (9, 11, 12):
        return None
    stream, consumer, *numbers = parts[2:9] if len(parts) == 9 else parts[4:11]
    return (stream, consumer) if all(n.isascii() and n.isdigit() for n in numbers) else None


def parse_delivery(
    broker: Broker, subject: str, reply: str, data: bytes, headers: Headers = NO_HEADERS
) -> Delivery | None:
    """Parse a delivery from its ack subject (`$JS.ACK.…`, 9 tokens, or 11 and more with domain and account hash).

    None when `reply` is not an ack subject: then it is a status of the server, or no consumer delivered the message.
    """
    parts = reply.split(".")
    fields = (parts[4:9] if len(parts) == 9 else parts[6:11])[:4]
    if parts[:2] != ["$JS", "ACK"] or len(fields) < 4 or not all(f.isascii() and f.isdigit() for f in fields):
        return None
    delivered, sequence, _, time_ns = map(int, fields)
    return Delivery(broker, subject, data, reply, sequence, time_ns, delivered, headers)


@dataclass(slots=True)
class PullProof:
    """Whether a consumer answers pull requests. Pure: times are monotonic seconds."""

    consumer: str
    proven: bool = False
    """Whether it has answered since the start, the last reconnect or the last refusal."""
    refusal: str = ""
    _asked_at: float | None = None
    _late_at: float = 0.0

    def asked(self, now: float, expires_s: float) -> None:
        """Record that a pull request was sent. A repeat of an unanswered one does not restart the timeout."""
        if self._asked_at is None:
            self._asked_at = now
            self._late_at = now + expires_s + LATE_S

    def answered(self) -> None:
        """Record that a message or the end of a pull request was received."""
        self.proven, self.refusal, self._asked_at = True, "", None

    def refused(self, why: str) -> None:
        """Record that the consumer does not exist, or was deleted during the pull request."""
        self.proven, self.refusal, self._asked_at = False, why, None

    def reconnected(self) -> None:
        """Record a reconnect: the pull request is lost, and the server may be another one."""
        self.proven, self._asked_at = False, None

    def lacking(self, now: float) -> str | None:
        """Why no work can arrive, or None. A full service sends no pull requests: then its last answer counts."""
        if self.refusal:
            return f"consumer {self.consumer}: {self.refusal}"
        if not self.proven:
            return f"consumer {self.consumer} has not answered a pull request yet"
        if self._asked_at is not None and now > self._late_at:
            return f"consumer {self.consumer} has not answered a pull request for {now - self._asked_at:.0f} s"
        return None


class PullConsumer:
    """Passes the deliveries of one durable consumer to `on_delivery`; at most `capacity()` are requested at a time."""

    def __init__(
        self,
        broker: Broker,
        stream: str,
        consumer: str,
        on_delivery: Callable[[Delivery], None],
        capacity: Callable[[], int],
    ) -> None:
        """`capacity` returns how many deliveries may be requested now; call `room()` when it has grown."""
        self._broker = broker
        self._subject = f"{API}.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._on_delivery = on_delivery
        self._capacity = capacity
        self._outstanding = 0
        self._refused = False
        self._renew_at = 0.0
        self._changed = asyncio.Event()
        self._proof = PullProof(consumer)

    def lacking(self) -> str | None:
        """Why no work can arrive, or None if the consumer answers pull requests."""
        return self._proof.lacking(asyncio.get_running_loop().time())

    def room(self) -> None:
        """Report that `capacity()` may have grown."""
        self._changed.set()

    async def run(self) -> None:
        """Pull until cancelled. Deliveries already passed on stay with their receiver."""
        backoff = Backoff(0.1, 2.0)
        unhook = self._broker.on_reconnect(self._on_reconnect)
        inbox = self._broker.new_inbox()
        subscription = await self._broker.subscribe(inbox, self._on_message)
        try:
            while True:
                free, proven = self._capacity(), self._proof.proven
                if self._outstanding > 0 or (free <= 0 and proven):
                    await self._wait(renewing=self._outstanding > 0)
                    continue
                self._refused = False
                # A full service requests one message too many to prove its consumer. Otherwise it would be unready
                # after each reconnect until it has room.
                self._outstanding = max(1, free)
                expires_s = EXPIRES_S if proven else PROOF_S
                query = {"batch": self._outstanding, "expires": int(expires_s * 1e9)}
                try:
                    await self._broker.wait_connected(60)
                    await self._broker.publish(self._subject, json.dumps(query).encode(), reply=inbox)
                    now = asyncio.get_running_loop().time()
                    self._proof.asked(now, expires_s)
                    self._renew_at = now + expires_s + LATE_S
                    await self._wait(renewing=True)
                except NodeUnavailable:
                    self._refused = True
                if self._refused:
                    self._outstanding = 0
                    await asyncio.sleep(backoff.next_s())
                else:
                    backoff.reset()
        finally:
            unhook()
            await subscription.close()

    async def _wait(self, *, renewing: bool) -> None:
        """Wait for a change; with `renewing` at most until the pull request has expired, however often room grows."""
        try:
            async with asyncio.timeout_at(self._renew_at if renewing else None):
                await self._changed.wait()
        except TimeoutError:
            self._outstanding = 0  # the request or its end was lost
        self._changed.clear()

    def _on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        # Recognised by the reply subject, which the server sets: a publisher can put any headers on a message.
        delivery = parse_delivery(self._broker, subject, reply, data, headers)
        status = headers.status
        if delivery is not None:
            self._proof.answered()
            self._outstanding = max(0, self._outstanding - 1)
            self._on_delivery(delivery)
        elif status not in (None, "100"):  # 408 expired, 404 no messages, 409 limit or deleted, 503 no responders
            self._outstanding = 0
            self._refused = status in _REFUSALS
            if self._refused:
                self._proof.refused(_REFUSALS[status])
                self._broker.missing.call()
            else:
                self._proof.answered()
        if self._outstanding == 0:
            self._changed.set()

    def _on_reconnect(self) -> None:
        self._proof.reconnected()
        self._outstanding = 0
        self._changed.set()
