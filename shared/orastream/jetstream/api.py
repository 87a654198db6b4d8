"""JetStream by its JSON API over a `Broker`: store, read, delete, pull. Errors of the server become ours here.

Reads come in two kinds. `read` is a batched direct get, fast, which any replica may answer and which may therefore be
behind. `get`, `after` and `last` ask the stream's leader: only they are believed when they say "nothing there".
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
from calendar import timegm
from collections.abc import Mapping
from typing import Any, NamedTuple

from orastream.base.backoff import Backoff
from orastream.broker import NO_HEADERS, Broker, Headers
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, PublishRefused
from orastream.contract.trace_context import Carrier, carrier_of
from orastream.jetstream.answers import Ack, error_in, json_of, parse_ack
from orastream.jetstream.api_errors import Meaning, described, meaning

API = "$JS.API"
ELECTION_S = 15.0
"""How long a call is repeated that nobody answers or a busy server refuses: a leader election on a busy cluster."""

_TIME = re.compile(
    r"([12]\d{3})-(0[1-9]|1[0-2])-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-]\d\d):(\d\d))", re.ASCII
)


class Stored(NamedTuple):
    """A message as the stream holds it: its `sequence` there and the server's `time` of storing it (RFC 3339)."""

    subject: str
    sequence: int
    time: str
    data: bytes
    headers: Headers = NO_HEADERS

    @property
    def time_s(self) -> float:
        """When it was stored, in unix seconds of the server's clock."""
        return parse_time(self.time)

    @property
    def time_ns(self) -> int:
        """When it was stored, in unix nanoseconds of the server's clock."""
        return parse_time_ns(self.time)

    @property
    def ends_read(self) -> bool:
        """Whether it came by `read` from a replica that has none after it."""
        return self.headers.get("Nats-Num-Pending") == "0"

    @property
    def trace(self) -> Carrier:
        """The trace context that its publisher gave it."""
        return carrier_of(self.headers.get)


def parse_time(text: str) -> float:
    """RFC 3339 with up to nanoseconds, as the server writes it, in unix seconds."""
    return parse_time_ns(text) / 1e9


def parse_time_ns(text: str) -> int:
    """RFC 3339 with up to nanoseconds, as the server writes it, in unix nanoseconds: exactly the server's."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    *date, fraction, zone_h, zone_min = match.groups()
    offset_s = 0 if zone_h is None else int(zone_h) * 3600 + int(zone_h[0] + zone_min) * 60
    return (timegm(tuple(map(int, date))) - offset_s) * 10**9 + int((fraction or "0").ljust(9, "0"))


_PLACE = re.compile(
    rb"\r\nNats-Subject: ([^\n]+)\r\nNats-Sequence: (\d{1,20})\r\nNats-Time-Stamp: (%b)\r\n"
    rb"(?:[^\r\n]+\r\n)*?Nats-Last-Sequence: (\d{1,20})\r\n" % re.sub(r"\((?!\?)", "(?:", _TIME.pattern).encode()
)


def place_of(headers: Headers) -> tuple[str, int, str, int]:
    """Subject, sequence and time of a stored message, and the sequence before it, as the stream has put them on it.

    Before it is: in the answer to a read, what the answer gave before; live, the last one on the same subject.
    Raises KeyError or ValueError when no stream has: `parse_time` reads each time that this gives.
    """
    # The server writes them in this order and behind what the publisher has put on the message, who may have forwarded
    # one with its headers: the last ones count. One match for the four costs what looking one up does.
    block = headers.block
    match = _PLACE.match(block, max(0, block.rfind(b"\r\nNats-Subject: ")))
    if match is not None:
        subject, sequence, time, last = match.groups()
        return subjects.decoded(subject), int(sequence), time.decode(), int(last)
    stored_at = headers["Nats-Time-Stamp"]
    if _TIME.fullmatch(stored_at) is None:
        raise ValueError(f"not a time: {ascii(stored_at[:40])}")
    return headers["Nats-Subject"], int(headers["Nats-Sequence"]), stored_at, int(headers["Nats-Last-Sequence"])


def _stored(message: Mapping[str, Any]) -> Stored:
    """The message in the leader's answer. Raises KeyError, TypeError, ValueError for anything else."""
    parse_time(message["time"])
    data = base64.b64decode(message.get("data", ""))
    headers = Headers(base64.b64decode(message["hdrs"])) if "hdrs" in message else NO_HEADERS
    return Stored(str(message["subject"]), int(message["seq"]), message["time"], data, headers)


class JetStream:
    """Streams through one connection. Cancel-safe: a cancelled publish may or may not have been stored."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    async def api(
        self, call: str, body: dict[str, Any] | None = None, *, patience_s: float = ELECTION_S
    ) -> dict[str, Any]:
        """One API call (`STREAM.CREATE.X`, …), repeated while nobody answers or the server is busy.

        The answer may hold an `error`, also that of a server that stayed busy. Raises NodeUnavailable.
        """
        data = json.dumps(body).encode() if body is not None else b""
        return json_of(call, await self._request(f"{API}.{call}", data, None, patience_s))

    async def _request(self, subject: str, data: bytes, headers: dict[str, str] | None, patience_s: float) -> bytes:
        """A request repeated with backoff until answered; only for what may safely arrive twice."""
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
                    if busy is not None:  # says more than that the last try had no time left
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

    async def store(
        self,
        subject: str,
        data: bytes,
        *,
        message_id: str | None = None,
        expect_last: int | None = None,
        rollup: bool = False,
        trace: Carrier | None = None,
        patience_s: float = ELECTION_S,
    ) -> Ack:
        """Publish and wait until stored; repeated while nobody answers.

        `expect_last` is the sequence that must be the last of this (stored) subject, 0 for none. A repeat of a
        compare-and-set whose first answer was lost meets its own message: the caller reads and recognises it. `rollup`
        removes every older message of the subject. `trace` is stored with the message.
        Raises SequenceConflict, StreamFull, PublishRefused, NodeUnavailable.
        """
        headers = dict(trace or {})
        if message_id is not None:
            headers["Nats-Msg-Id"] = message_id
        if expect_last is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(expect_last)
        if rollup:
            headers["Nats-Rollup"] = "sub"
        size = len(data) + sum(len(k) + len(v) + 4 for k, v in headers.items()) + 64
        if size > self.broker.max_payload:
            raise PublishRefused(subject, 0, f"{size} bytes exceed the server's max_payload {self.broker.max_payload}")
        return parse_ack(subject, await self._request(subject, data, headers or None, patience_s))

    async def delete(self, stream: str, sequence: int) -> bool:
        """Delete one message; False when it was not there any more. Raises NodeUnavailable: it may be there still."""
        answer = await self.api(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
        if answer.get("success"):
            return True
        # An error may mean that nothing was there or that it could not be deleted now; the leader tells which.
        if await self.get(stream, sequence) is None:
            return False
        raise NodeUnavailable(f"{stream}: {described(answer.get('error', {}))}")

    async def purge(self, stream: str, subject: str) -> None:
        """Delete all messages of a subject (wildcards too). Raises NodeUnavailable."""
        answer = await self.api(f"STREAM.PURGE.{stream}", {"filter": subject})
        if answer.get("error"):
            raise NodeUnavailable(f"{stream}: {described(answer['error'])}")

    # ---- reading from the leader

    async def get(self, stream: str, sequence: int) -> Stored | None:
        """The message at a sequence, or None when it is not stored (leader)."""
        return await self._leader_get(stream, {"seq": sequence})

    async def after(self, stream: str, subject: str, sequence: int) -> Stored | None:
        """The first message of `subject` (wildcards too) with a sequence above `sequence`, or None (leader)."""
        return await self._leader_get(stream, {"seq": sequence + 1, "next_by_subj": subject})

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message of `subject`, or None (leader)."""
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
            raise NodeUnavailable(f"{stream}: the answer holds no message; does something else answer there?") from None

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

        A page whose tail was lost on the way is cut to what is contiguous in the answer, so reading on from its last
        sequence loses nothing. Raises NodeUnavailable when no answer comes.
        """
        got: list[Stored] = []
        whole = True
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_message(_subject: str, _reply: str, data: bytes, headers: Headers) -> None:
            nonlocal whole
            try:
                # Before the status: whoever published the message may have put a first line of any kind on it.
                subject, sequence, time, before = place_of(headers)
            except (KeyError, ValueError):
                if (status := headers.status) is not None and not done.done():
                    done.set_result(status)
                return
            # Each message names the one before it in the answer: a message lost on the way ends what can be used.
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
            raise NodeUnavailable(f"{stream}: a direct get was answered {status}")
        return got
