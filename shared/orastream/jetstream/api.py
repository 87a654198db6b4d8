"""The JetStream JSON API over a `Broker`: store, read and delete messages. Maps server errors to this project's errors.

There are two kinds of reads. `read` is a batched direct get: it is fast, but any replica may answer it, and a replica
may lag behind. `get`, `after` and `last` ask the stream's leader. Only the leader's answer proves that a message is
not stored.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from orastream.base.backoff import Backoff
from orastream.broker import NO_HEADERS, Broker, Headers
from orastream.contract import caller
from orastream.contract.errors import MessageTooLarge, NodeUnavailable
from orastream.contract.names import Names
from orastream.contract.trace_context import Carrier, carrier_of
from orastream.jetstream.answers import Ack, error_in, json_of, parse_ack
from orastream.jetstream.api_errors import Meaning, described, meaning
from orastream.jetstream.place import parse_time, parse_time_ns, place_of
from orastream.jetstream.running_calls import RunningCalls
from orastream.jetstream.server_clock import ServerClock

API = "$JS.API"
OVERHEAD_BYTES = 384
"""Memory of a stored message besides its payload, mostly the headers that the server adds."""
ELECTION_S = 15.0
"""How long a call is repeated that gets no answer or a "busy" error, as during a leader election."""


class Stored(NamedTuple):
    """A stored message. `time` is when the server stored it (RFC 3339)."""

    subject: str
    sequence: int
    time: str
    data: bytes
    headers: Headers = NO_HEADERS

    @property
    def size(self) -> int:
        """The memory that the message takes, in bytes, approximately."""
        return len(self.data) + OVERHEAD_BYTES

    @property
    def time_s(self) -> float:
        """When the message was stored, in unix seconds of the server's clock."""
        return parse_time(self.time)

    @property
    def time_ns(self) -> int:
        """When the message was stored, in unix nanoseconds of the server's clock."""
        return parse_time_ns(self.time)

    @property
    def ends_read(self) -> bool:
        """Whether `read` got it from a replica that stores no later message of the subject."""
        return self.headers.get("Nats-Num-Pending") == "0"

    @property
    def trace(self) -> Carrier:
        """The trace context in its headers, set by the publisher."""
        return carrier_of(self.headers.get)

    @property
    def stated_caller(self) -> str | None:
        """The caller that its publisher has stated in a header, or None."""
        return self.headers.get(caller.HEADER)


def _stored(message: Mapping[str, Any]) -> Stored:
    """Parse the message in the leader's answer. Raises KeyError, TypeError or ValueError if it is not one."""
    parse_time(message["time"])
    data = base64.b64decode(message.get("data", ""))
    headers = Headers(base64.b64decode(message["hdrs"])) if "hdrs" in message else NO_HEADERS
    return Stored(str(message["subject"]), int(message["seq"]), message["time"], data, headers)


class JetStream:
    """JetStream API calls over one connection. Cancel-safe: a cancelled publish may or may not have been stored."""

    def __init__(self, broker: Broker, names: Names | None = None) -> None:
        """`names` in place of those of the broker."""
        self.broker = broker
        self.names = names or broker.names
        """The names of the node's subjects and streams."""
        self.clock = ServerClock()
        """The clock by which stored messages have their times. `management.stream_info` samples it."""
        self.calls = RunningCalls()

    async def api(
        self, call: str, body: dict[str, Any] | None = None, *, patience_s: float = ELECTION_S
    ) -> dict[str, Any]:
        """Make one API call (`STREAM.CREATE.X`, …) and return its answer. Repeats it while no answer or "busy" comes.

        Gives up after `patience_s` seconds. The answer may hold an `error`, also a "busy" one. Raises NodeUnavailable
        when no answer came.
        """
        data = json.dumps(body).encode() if body is not None else b""
        return json_of(call, await self._request(f"{API}.{call}", data, None, patience_s))

    async def _request(self, subject: str, data: bytes, headers: dict[str, str] | None, patience_s: float) -> bytes:
        async with self.calls.one(subject):
            return await self._answer(subject, data, headers, patience_s)

    async def _answer(self, subject: str, data: bytes, headers: dict[str, str] | None, patience_s: float) -> bytes:
        """Send a request with backoff until it is answered. Use it only for requests that may safely arrive twice."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience_s
        backoff = Backoff(0.05, 1.0)
        busy: bytes | None = None
        while True:
            left = deadline - loop.time()
            try:
                await self.broker.wait_connected(max(left, 0.01))
                answer, _ = await self.broker.request(
                    subject, data, headers=headers, timeout_s=max(0.05, min(left, 2.0))
                )
            except NodeUnavailable:
                self.broker.missing.call()
                wait = backoff.next_s()
                if self.broker.closed.is_set() or loop.time() + wait >= deadline:
                    if busy is not None:  # the server's error tells more than the timeout of a last, short try
                        return busy
                    raise
            else:
                if not self._busy(answer):
                    return answer
                busy, wait = answer, backoff.next_s()
                if loop.time() + wait >= deadline:
                    return answer
            await asyncio.sleep(wait)

    def _busy(self, answer: bytes) -> bool:
        means = error_in(answer)
        if means in (Meaning.NO_STREAM, Meaning.NO_CONSUMER):
            self.broker.missing.call()
        return means is Meaning.BUSY

    # ---- writing

    async def store(  # noqa: PLR0913 - the headers of one publish, all optional, by keyword
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str | None = None,
        expect_last: int | None = None,
        rollup: bool = False,
        more_headers: Mapping[str, str] | None = None,
        patience_s: float = ELECTION_S,
    ) -> Ack:
        """Publish and wait for the ack. Repeats the publish for up to `patience_s` seconds while no answer comes.

        `expect_last` makes it a compare-and-set: the last sequence of this (stored) subject must be `expect_last`, 0
        for none. If the first ack was lost, the repeat conflicts with its own message, and the caller must read and
        recognise it. `rollup` removes all older messages of the subject. `more_headers` are stored with the message.
        Raises SequenceConflict, StreamFull, PublishRefused, NodeUnavailable.
        """
        headers = dict(more_headers or {})
        if message_id is not None:
            headers["Nats-Msg-Id"] = message_id
        if expect_last is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect_last)
        if rollup:
            headers["Nats-Rollup"] = "sub"
        size = len(data) + sum(len(k) + len(v) + 4 for k, v in headers.items()) + 64
        if size > self.broker.max_payload:
            raise MessageTooLarge(subject, "a message", size, self.broker.max_payload, "raise max_payload")
        return parse_ack(subject, await self._request(subject, data, headers or None, patience_s))

    async def delete(self, stream: str, sequence: int) -> bool:
        """Delete one message; False when it was already deleted. Raises NodeUnavailable: it may still be stored."""
        answer = await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
        if answer.get("success"):
            return True
        # The error does not show whether the message was missing or could not be deleted, so ask the leader.
        if await self.get(stream, sequence) is None:
            return False
        raise NodeUnavailable(f"{stream}: {described(answer.get('error', {}))}")

    async def purge(self, stream: str, subject: str | None = None, *, below: int | None = None) -> int:
        """Delete all messages of a subject (wildcards allowed; None: of all), or those with a sequence under `below`.

        Return the number of deleted messages. Raises NodeUnavailable.
        """
        body = {key: value for key, value in (("filter", subject), ("seq", below)) if value is not None}
        answer = await self.api(f"STREAM.PURGE.{stream}", body)
        if answer.get("error"):
            raise NodeUnavailable(f"{stream}: {described(answer['error'])}")
        return int(answer.get("purged", 0))

    # ---- reading from the leader

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """The message at a sequence, or None if it is not stored. Asks the leader. Raises NodeUnavailable."""
        return await self._leader_get(stream, {"seq": sequence})

    async def after(self, stream: str, subject: str, sequence: int) -> Stored | None:
        """The first message of `subject` (wildcards allowed) above `sequence`, or None. Asks the leader."""
        return await self._leader_get(stream, {"seq": sequence + 1, "next_by_subj": subject})

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message of `subject`, or None. Asks the leader. Raises NodeUnavailable."""
        return await self._leader_get(stream, {"last_by_subj": subject})

    async def _leader_get(self, stream: str, query: dict[str, Any]) -> Stored | None:
        answer = await self.api(f"STREAM.MSG.GET.{stream}", query)
        error = answer.get("error")
        if error:
            if meaning(error) is Meaning.NO_MESSAGE:
                return None
            raise NodeUnavailable(f"{stream}: {described(error)}")
        try:
            return _stored(answer["message"])
        except (KeyError, TypeError, ValueError):
            text = f"{stream}: the answer holds no message; does another service answer this subject?"
            raise NodeUnavailable(text) from None

    # ---- reading from any replica

    async def read(
        self,
        stream: str,
        subject: str,
        after: int,
        *,
        batch: int = 64,
        max_bytes: int = 1 << 20,
        timeout_s: float = 2.0,
    ) -> list[Stored]:
        """The next stored messages of `subject` above sequence `after`, ascending; [] when this replica has none.

        If messages of the answer are lost on the way, only those before the gap are returned, so that the caller can
        read on from the last returned sequence. Raises NodeUnavailable when no answer comes within `timeout_s` seconds.
        """
        got: list[Stored] = []
        whole = True
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_message(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
            nonlocal whole
            try:
                # Checked before the status: a publisher may have put any status line on the message.
                subject, sequence, time, before = place_of(headers)
            except (KeyError, ValueError):
                if (status := headers.status) is not None and not done.done():
                    done.set_result(status)
                return
            # Each message names the one before it in the answer. After a lost message, drop the rest of the answer.
            whole = whole and (not got or before == got[-1].sequence)
            if whole:
                got.append(Stored(subject, sequence, time, data, headers))

        inbox = self.broker.open_inbox(on_message)
        query = {"seq": after + 1, "batch": batch, "max_bytes": max_bytes, "next_by_subj": subject}
        try:
            await self.broker.publish(f"{API}.DIRECT.GET.{stream}", json.dumps(query).encode(), reply=inbox)
            async with asyncio.timeout(timeout_s):
                status = await done
        except TimeoutError:
            raise NodeUnavailable(f"{stream}: no answer to a direct get in {timeout_s:g} s") from None
        finally:
            self.broker.close_inbox(inbox)
        if status not in ("204", "404"):
            self.broker.missing.call()
            raise NodeUnavailable(f"{stream}: a direct get was answered with status {status}")
        return got
