"""One stream of a connection of v2: what was sent of it, and what the server has said about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar
from zlib import crc32

from orastream.base.foreign_text import cleaned
from orastream.cli.checks.oraserver.outcomes import CheckFailed, NoAnswer
from orastream.cli.checks.oraserver.streams.speech import BYTES_PER_MS, StreamSpeech
from orastream.contract.oraserver.byte_ranges import ByteRanges
from orastream.contract.oraserver.from_bridge import AudioRange, StreamEnd, StreamEndStatus
from orastream.contract.oraserver.from_server import ServerError, ServerHello, StreamAck, StreamOpened
from orastream.contract.oraserver.wire import WireMessage

FRAME_BYTES = 16 << 10
ROUNDS = 4
"""How often the check sends again what is missing."""

T = TypeVar("T")


class FrameSender(Protocol):
    """What a stream needs of its connection: see FrameClient."""

    sent: int

    @property
    def hello(self) -> ServerHello:
        """The server's `hello`."""

    def send(self, message: WireMessage) -> None:
        """Send a message."""

    async def wait(self, find: Callable[[], T | None], what: str, within_s: float | None = None) -> T:
        """Return what `find` returns, until it is not None."""

    async def room(self) -> None:
        """Wait until the socket takes more."""


class ClientStream:
    """A stream. `send` and `end` write at once; the other calls wait for the server. For one event loop."""

    def __init__(self, client: FrameSender, number: int, spoken: StreamSpeech, *, fresh: bool) -> None:
        self.client, self.number, self.spoken = client, number, spoken
        self.opened: StreamOpened | None = None
        self.acks: list[StreamAck] = []
        self.error: ServerError | None = None
        self.limit = client.hello.credit if fresh else 0

    def take(self, message: WireMessage) -> None:
        """Note a message about this stream."""
        if isinstance(message, StreamOpened):
            self.opened = self.opened or message
            self.limit = max(self.limit, message.limit)
        elif isinstance(message, StreamAck):
            self.acks.append(message)
            self.limit = max(self.limit, message.limit)
        elif isinstance(message, ServerError):
            self.error = message

    # ---- what is sent

    def send(self, first: int, past: int, *, data: bytes | None = None, crc: int | None = None) -> None:
        """Send a range of the file, or other bytes in its place, with the right checksum or another one."""
        data = self.spoken.file[first:past] if data is None else data
        if crc is None and self.client.hello.crc:
            crc = crc32(data)
        self.client.send(AudioRange(self.number, first, data, crc=crc))

    def end(self, status: StreamEndStatus = "complete", *, size: int | None = None, code: str | None = None) -> None:
        """Send `end`."""
        size = self.spoken.size if size is None else size
        self.client.send(StreamEnd(self.number, status, size, round(size / BYTES_PER_MS), code))

    async def send_within_limit(self, first: int, past: int, frame_bytes: int = FRAME_BYTES) -> None:
        """Send a range in frames, as far as the limit allows; wait while it does not rise. Raises as `wait`."""
        at = first
        while at < past:
            await self.client.room()
            if self.limit <= at:
                await self.wait(lambda at=at: self.limit > at or None, "higher `limit`")  # type: ignore[misc]
            stop = min(past, at + frame_bytes, self.limit)
            self.send(at, stop)
            at = stop

    def send_missing(self, upto: int, ranges: tuple[tuple[int, int], ...]) -> int:
        """Send what is neither below `upto` nor in `ranges`; returns how many bytes."""
        missing = ByteRanges([(upto, self.spoken.size)])
        for first, past in ranges:
            missing.remove(first, past)
        for first, past in missing:
            for at in range(first, past, FRAME_BYTES):
                self.send(at, min(at + FRAME_BYTES, past))
        return missing.total

    # ---- what the server says

    async def wait(self, find: Callable[[], T | None], what: str, within_s: float | None = None) -> T:
        """As `FrameClient.wait`. Raises CheckFailed also when the server ends the stream with `error`."""

        def unless_refused() -> T | None:
            if self.error is not None:
                more = f" ({self.error.message})" if self.error.message else ""
                raise CheckFailed(f"the stream was ended with {cleaned(self.error.code + more)}")
            return find()

        return await self.client.wait(unless_refused, f"{what} of stream {self.number}", within_s)

    async def accepted(self) -> StreamOpened:
        """Wait for `opened`."""
        return await self.wait(lambda: self.opened, "`opened`")

    async def refused(self, code: str) -> None:
        """Wait until the stream is ended with this code. Raises CheckFailed if it is opened."""

        def answer() -> ServerError | None:
            if self.opened is not None:
                raise CheckFailed(f"`opened` came instead of `error` with {code}")
            return self.error

        error = await self.client.wait(answer, f"`error` for stream {self.number}")
        if error.code != code:
            raise CheckFailed(f"`error` has the code {cleaned(error.code)}, not {code}")

    async def ack_of_all_sent(self, within_s: float | None = None) -> StreamAck:
        """Wait for an ack after everything that was sent on the connection so far was read."""
        sent = self.client.sent
        return await self._acked(
            lambda: next((ack for ack in self.acks if ack.seen >= sent), None), "`ack` of the last frame", within_s
        )

    async def delivered(self) -> StreamAck:
        """Wait until all of the file is stored; send again what the server says is missing. Raises as `wait`."""
        for _ in range(ROUNDS):
            sent = self.client.sent
            ack = await self._acked(lambda sent=sent: self._all_or_lossy(sent), "`ack` of the whole file")  # type: ignore[misc]
            if ack.upto >= self.spoken.size:
                return ack
            self.send_missing(ack.upto, ack.ranges)
        raise CheckFailed(f"bytes are missing after they were sent {ROUNDS} times again")

    async def _acked(self, find: Callable[[], StreamAck | None], what: str, within_s: float | None = None) -> StreamAck:
        """As `wait`, for an ack; if one with too low a `seen` has come instead, CheckFailed says so."""
        try:
            return await self.wait(find, what, within_s)
        except NoAnswer as exc:
            if not self.acks or (seen := max(ack.seen for ack in self.acks)) >= self.client.sent:
                raise
            raise NoAnswer(
                f"{exc}: the highest `seen` is {seen}, and {self.client.sent} frames were sent on this connection "
                "(`hello` and the frames of all streams count)"
            ) from None

    def _all_or_lossy(self, sent: int) -> StreamAck | None:
        """The last ack, if it has everything, or was sent after so many frames were read."""
        last = self.acks[-1] if self.acks else None
        return last if last and (last.upto >= self.spoken.size or last.seen >= sent) else None
