"""One WebSocket of protocol v2, which carries the utterances of many sessions. The rules are in `rules/streams`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.contract.errors import Undecodable
from orastream.contract.oraserver.from_bridge import AudioRange, CancelUtterances
from orastream.contract.oraserver.from_server import unpack_from_server
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.multiplex import Multiplex, ProtocolFault
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.pending_cancels import PendingCancel
from orastream.delivery.rules.streams.stream_terms import SendingLimits
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import HANDSHAKE_S, WebSocketConnection
from orastream.delivery.websocket.messages import EARLY_BYTES

PROTOCOL_ERROR = 1002
MAX_MESSAGE_BYTES = EARLY_BYTES
FULL_S = 0.005
"""A socket that takes no more for so long is slow. For less, the event loop has only not passed the bytes on yet."""


class StreamConnection:
    """A connection on which OraServer has selected protocol v2. For one event loop.

    All calls write what can be written at once. `lost` is None while it is open, then the reason why it has ended.
    """

    def __init__(
        self, connection: WebSocketConnection, multiplex: Multiplex, retransmitted: Callable[[int], object]
    ) -> None:
        """`retransmitted` is called with the number of bytes of audio that are sent again."""
        self._connection = connection
        self._retransmitted = retransmitted
        self._counted = 0
        """Bytes that `retransmitted` was called with."""
        self._multiplex = multiplex
        self._loop = asyncio.get_running_loop()
        self._wakes: dict[OutStream | PendingCancel, Callable[[], None]] = {}
        """Whom to call when something happens to a stream or a cancel that is not over."""
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._full_since: float | None = None
        """Since when the socket takes no more (monotonic seconds); None while it does."""
        self._links: dict[object, Callable[[], None]] = {}
        """The links that use it, and whom to call when the connection ends."""
        self.unused_since: float | None = self._loop.time()
        """Since when no link has used it (monotonic seconds); None while one does."""
        connection.share(self._received, self._woken)

    async def greeted(self) -> None:
        """Wait for OraServer's hello. Raises LinkLost. Cancel-safe."""
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                await asyncio.shield(self._greeted)
        except TimeoutError:
            self.end(f"OraServer has sent no hello within {HANDSHAKE_S:g} s")
        if self.lost is not None:
            raise self.lost

    @property
    def lost(self) -> LinkLost | None:
        """Why the connection has ended; None while it is open."""
        return self._connection.lost

    @property
    def limits(self) -> SendingLimits:
        """The settings of its streams."""
        return self._multiplex.limits

    @property
    def formats(self) -> tuple[str, ...]:
        """The audio formats that OraServer takes; empty before its hello."""
        return self._multiplex.server.formats if self._multiplex.server is not None else ()

    @property
    def reports_played(self) -> bool:
        """Whether OraServer's hello says that it reports how much the phone has played; False before it."""
        return self._multiplex.server is not None and self._multiplex.server.played

    @property
    def idle(self) -> bool:
        """Whether it has no stream and no cancel that is not over."""
        return self._multiplex.idle

    def add(self, stream: OutStream, wake: Callable[[], None]) -> None:
        """Open a stream as soon as OraServer takes one more. `wake` is called when something happens to it."""
        self._wakes[stream] = wake
        self._multiplex.add(stream, self._loop.time())
        if self.lost is not None:
            self._multiplex.lose(str(self.lost))
        self._write()

    def offered(self, stream: OutStream) -> None:
        """Audio was offered to the stream, or it was finished."""
        self._multiplex.offered(stream, self._loop.time())
        self._write()

    def drop(self, stream: OutStream) -> None:
        """Send nothing more of the stream."""
        self._multiplex.drop(stream)
        self._wakes.pop(stream, None)

    def cancel(self, message: CancelUtterances, listener: Listener, wake: Callable[[], None]) -> PendingCancel:
        """Send a barge-in before everything that is not written yet. `wake` is called at its end.

        `listener` is that of the session: it has nothing any more of what the cancel covers.
        """
        now = self._loop.time()
        listener.cancelled(now, before=message.before, seq=message.seq)
        pending = self._multiplex.cancel(message)
        self._multiplex.listener_changed(listener, now)
        self._wakes[pending] = wake
        if self.lost is not None:
            self._multiplex.lose(str(self.lost))
        self._write()
        return pending

    @property
    def users(self) -> int:
        """How many links use it."""
        return len(self._links)

    def joined(self, link: object, lost: Callable[[], None]) -> None:
        """One more link uses it. `lost` is called when the connection ends."""
        self._links[link], self.unused_since = lost, None

    def left(self, link: object) -> None:
        """A link uses it no more."""
        self._links.pop(link, None)
        if not self._links:
            self.unused_since = self._loop.time()

    def close(self) -> None:
        """End the connection with a close frame."""
        self._connection.close()

    def end(self, reason: str) -> None:
        """End the connection because OraServer has broken the protocol."""
        self._connection.close(PROTOCOL_ERROR, reason)

    # ---- private

    def _received(self, data: bytes | None) -> None:
        """Take a message of OraServer; None is a text frame."""
        try:
            if data is None:
                raise ProtocolFault("a text frame came")
            if len(data) > MAX_MESSAGE_BYTES:
                raise ProtocolFault(f"a frame of more than {MAX_MESSAGE_BYTES} bytes came")
            message = unpack_from_server(data)
            if message is not None:
                self._multiplex.received(message, self._loop.time())
        except (ProtocolFault, Undecodable) as exc:
            words = exc.problem if isinstance(exc, Undecodable) else str(exc)
            self.end(f"protocol v2: {words}")
            return
        if self._multiplex.server is not None and not self._greeted.done():
            self._greeted.set_result(None)
        self._write()

    def _woken(self) -> None:
        """The socket has room again, or the connection has ended."""
        if self.lost is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._multiplex.lose(str(self.lost))
            if not self._greeted.done():
                self._greeted.set_result(None)
        self._write()
        if self.lost is not None:
            for lost in list(self._links.values()):
                lost()

    def _write(self) -> None:
        """Write frames while the socket takes them, call those to whom something has happened, and set the timer."""
        multiplex, connection = self._multiplex, self._connection
        now = self._loop.time()
        waited = self._full_since is not None and now >= self._full_since + FULL_S
        if connection.room:
            self._full_since = None
        while connection.room:
            message = multiplex.poll(now, waited=waited)
            if message is None:
                break
            connection.send_binary(*(message.parts() if isinstance(message, AudioRange) else (message.pack(),)))
        else:
            self._full_since = now if self._full_since is None else self._full_since
        if (again := multiplex.retransmitted_bytes - self._counted) > 0:
            self._counted = multiplex.retransmitted_bytes
            self._retransmitted(again)
        self._announce_changes()
        self._set_timer(now)

    def _announce_changes(self) -> None:
        changed = self._multiplex.changed
        while changed:
            item = changed.pop()
            wake = self._wakes.pop(item, None) if item.over else self._wakes.get(item)
            if wake is not None:
                wake()

    def _set_timer(self, now: float) -> None:
        at = None if self.lost is not None else self._multiplex.next_time(now, room=self._connection.room)
        if at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        try:
            self._multiplex.check(self._loop.time())
        except ProtocolFault as exc:
            self.end(str(exc))
            return
        self._write()
