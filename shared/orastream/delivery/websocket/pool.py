"""The connections of a bridge to OraServer over WebSocket: of protocol v1 for each session, of v2 for all together."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from orastream.contract.audio import FORMATS
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.oraserver.from_bridge import BridgeHello
from orastream.delivery.rules.negotiation import V2, Negotiation, ProtocolSetting
from orastream.delivery.rules.streams.multiplex import Multiplex
from orastream.delivery.rules.streams.stream_terms import SendingLimits
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.delivery.websocket.link import WebSocketLink, session_headers
from orastream.delivery.websocket.stream_connection import StreamConnection
from orastream.delivery.websocket.stream_link import StreamLink
from orastream.tls import ClientTls


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How a bridge connects to OraServer."""

    url: str
    hello: BridgeHello
    protocol: ProtocolSetting = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    client_tls: ClientTls | None = None
    max_connections: int = 4
    """Connections of protocol v2 at most."""
    idle_s: float = 30.0
    """Seconds after which an unused connection of v2 is closed."""
    max_frame_bytes: int = 32 << 10
    max_lead_s: float = 8.0
    retransmitted: Callable[[int], object] = lambda _bytes: None
    """Called with the number of bytes of audio that are sent again."""


@dataclass(slots=True)
class _SessionUse:
    """The connection of a session, while it has links."""

    connection: StreamConnection
    links: int = 0


BALANCE_S = 0.5
"""How long a session waits at most until all connections are open, if it could use one of those that are."""


class OraServerPool:
    """Opens links. For one event loop. Call `close` at the end."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._negotiation = Negotiation(settings.protocol)
        self._tries: Iterator[int] = itertools.count(1)
        self._loop = asyncio.get_running_loop()
        self._connections: list[StreamConnection] = []
        self._opening: set[asyncio.Future[None]] = set()
        self._sessions: dict[str, _SessionUse] = {}
        self._formats: frozenset[str] | None = None
        """The formats that OraServer has listed last, None before it has. A broken connection begins that anew."""
        self._probe: asyncio.Future[None] | None = None
        """Done when the connection that asks for the protocol has its answer. Others wait for it."""

    @property
    def record(self) -> BridgeRecord:
        """Which protocol OraServer speaks, and which audio formats it takes, as far as is known."""
        if self._negotiation.speaks_v1(self._loop.time()):
            return BridgeRecord()
        self._drop_lost()
        if listed := [connection.formats for connection in self._connections]:
            self._formats = frozenset(FORMATS).intersection(*listed)  # a heartbeat has no room for other names
        return BridgeRecord("v2" if self._negotiation.speaks_v2 else "unknown", self._formats)

    @property
    def open_connections(self) -> int:
        """How many connections of v2 are open."""
        return sum(connection.lost is None for connection in self._connections)

    @property
    def sessions(self) -> int:
        """How many sessions have a link over v2."""
        return len(self._sessions)

    @property
    def users(self) -> list[int]:
        """How many links use each connection of v2."""
        return [connection.users for connection in self._connections]

    def _drop_lost(self) -> None:
        """Drop broken connections, and what OraServer has listed: it may be another one now, which fails Opus."""
        live = [connection for connection in self._connections if connection.lost is None]
        if len(live) < len(self._connections):
            self._connections, self._formats = live, None

    async def link(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> WebSocketLink | StreamLink:
        """Open a link for this session and phone, over the protocol that OraServer speaks. Raises LinkLost."""
        while True:
            if self._negotiation.speaks_v2:
                stream_link = await self._stream_link(session_id, wake)
                if stream_link is not None:
                    return stream_link
            elif self._negotiation.speaks_v1(self._loop.time()):
                return await self._plain_link(session_id, phone_id, wake)
            elif (link := await self._first_link(session_id, phone_id, wake)) is not None:
                return link

    async def resuming_link(self, session_id: str, wake: Callable[[], None]) -> StreamLink | None:
        """Open a link for this session if OraServer speaks v2; None if it speaks v1. Raises LinkLost."""
        if self._negotiation.speaks_v1(self._loop.time()):
            return None
        try:
            return await self._stream_link(session_id, wake)
        except LinkLost as exc:
            if self._negotiation.refused(exc.status) and not self._negotiation.speaks_v2:  # perhaps the offer alone
                return None
            raise

    async def close(self) -> None:
        """Close all connections of v2."""
        while self._connections:
            self._connections.pop().close()

    # ---- private

    async def _open(self, headers: Mapping[str, str], offer: tuple[str, ...]) -> WebSocketConnection:
        settings = self._settings
        return await WebSocketConnection.open(
            settings.url, {**headers, **settings.headers}, _nothing, settings.client_tls, subprotocols=offer
        )

    async def _plain_link(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> WebSocketLink:
        try:
            connection = await self._open(session_headers(session_id, phone_id), ())
        except LinkLost:
            self._negotiation.failed()
            raise
        return WebSocketLink.begun(connection, session_id, phone_id, wake)

    async def _first_link(
        self, session_id: str, phone_id: str, wake: Callable[[], None]
    ) -> WebSocketLink | StreamLink | None:
        """Open the connection that shows which protocol OraServer speaks. None: another one has asked meanwhile."""
        if (running := self._probe) is not None:
            await asyncio.wait({running})
            failure = running.exception()
            if isinstance(failure, LinkLost) and failure.status is None:  # OraServer does not answer: nor would it us
                raise LinkLost(str(failure), about_tls=failure.about_tls)
            return None
        self._probe = probe = self._loop.create_future()
        try:
            return await self._ask(session_id, phone_id, wake)
        except LinkLost as exc:
            probe.set_exception(exc)
            probe.exception()  # it is read also if nobody waits
            raise
        finally:
            if not probe.done():
                probe.set_result(None)
            self._probe = None

    async def _ask(self, session_id: str, phone_id: str, wake: Callable[[], None]) -> WebSocketLink | StreamLink:
        headers = session_headers(session_id, phone_id)
        offer = self._negotiation.offer(self._loop.time())
        try:
            connection = await self._open(headers, offer)
        except LinkLost as exc:
            if not self._negotiation.refused(exc.status):
                raise
            connection = await self._open(headers, ())
            self._negotiation.spoke_v1(self._loop.time())
            return WebSocketLink.begun(connection, session_id, phone_id, wake)
        self._negotiation.answered(connection.subprotocol, self._loop.time())
        if connection.subprotocol != V2:
            connection.ignore_messages()
            return WebSocketLink.begun(connection, session_id, phone_id, wake)
        return self._use(session_id, await self._greeted(connection), wake)

    async def _stream_link(self, session_id: str, wake: Callable[[], None]) -> StreamLink | None:
        """A link over a connection of v2; None if OraServer does not select v2 any more. Raises LinkLost."""
        used = self._sessions.get(session_id)
        if used is not None and used.connection.lost is None:
            return self._use(session_id, used.connection, wake)
        connection = await self._connection()
        used = self._sessions.get(session_id)
        if used is not None and used.connection.lost is None:  # another link of the session was opened meanwhile
            connection = used.connection
        return None if connection is None else self._use(session_id, connection, wake)

    def _use(self, session_id: str, connection: StreamConnection, wake: Callable[[], None]) -> StreamLink:
        use = self._sessions.get(session_id)
        if use is None or use.connection is not connection:
            use = self._sessions[session_id] = _SessionUse(connection)
        use.links += 1
        link = StreamLink(connection, wake, lambda ended: self._left(session_id, use, ended))
        connection.joined(link, link.connection_lost)
        return link

    def _left(self, session_id: str, use: _SessionUse, link: StreamLink) -> None:
        """A link of the session has ended."""
        use.connection.left(link)
        use.links -= 1
        if not use.links and self._sessions.get(session_id) is use:
            del self._sessions[session_id]
        if not use.connection.users:
            self._loop.call_later(self._settings.idle_s, self._close_if_unused, use.connection)

    def _close_if_unused(self, connection: StreamConnection) -> None:
        unused_since = connection.unused_since
        if unused_since is None or connection not in self._connections:
            return
        if not connection.idle:  # the end of a failed utterance is not confirmed yet
            self._loop.call_later(self._settings.idle_s, self._close_if_unused, connection)
        elif self._loop.time() >= unused_since + self._settings.idle_s - 0.001:
            self._connections.remove(connection)
            connection.close()

    async def _connection(self) -> StreamConnection | None:
        """The connection for one more session: an unused one, a new one, or the one with the fewest sessions.

        None if OraServer does not select v2. Raises LinkLost.
        """
        while True:
            self._drop_lost()
            least = min(self._connections, key=lambda connection: connection.users, default=None)
            room = len(self._connections) + len(self._opening) < self._settings.max_connections
            if least is not None and (not least.users or not (room or self._opening)):
                return least
            if room:
                break
            # For all that are being opened: else all that wait would use the first one.
            done, still = await asyncio.wait(self._opening, timeout=None if least is None else BALANCE_S)
            if still and least is not None and least.lost is None:
                return least
            self._share_failure(done)
        self._opening.add(opening := self._loop.create_future())
        try:
            return await self._open_stream_connection()
        except LinkLost as exc:
            opening.set_exception(exc)
            opening.exception()  # it is read also if nobody waits
            if least is None or least.lost is not None:
                raise
            return least
        finally:
            self._opening.discard(opening)
            if not opening.done():
                opening.set_result(None)

    def _share_failure(self, tried: set[asyncio.Future[None]]) -> None:
        """Raise LinkLost if none of these tries has opened a connection: OraServer would not answer this one either."""
        if any(connection.lost is None for connection in self._connections):
            return
        for one in tried:
            failure = one.exception()
            if isinstance(failure, LinkLost) and failure.status is None:
                raise LinkLost(str(failure), about_tls=failure.about_tls)

    async def _open_stream_connection(self) -> StreamConnection | None:
        try:
            connection = await self._open({}, (V2,))
        except LinkLost as exc:
            if self._negotiation.refused(exc.status) and self._negotiation.speaks_v2:
                self._negotiation.forget_v2()
                return None
            raise
        self._negotiation.answered(connection.subprotocol, self._loop.time())
        if connection.subprotocol == V2:
            return await self._greeted(connection)
        connection.close()
        if self._settings.protocol == "v2":
            raise LinkLost("OraServer has not selected orastream.v2; let it, or set ORASERVER_PROTOCOL=auto")
        return None

    async def _greeted(self, connection: WebSocketConnection) -> StreamConnection:
        """Wait for OraServer's hello on a new connection, and keep the connection. Raises LinkLost."""
        settings = self._settings
        multiplex = Multiplex(settings.hello, self._tries, SendingLimits(settings.max_frame_bytes, settings.max_lead_s))
        greeted = StreamConnection(connection, multiplex, settings.retransmitted)
        try:
            await greeted.greeted()
        except BaseException as exc:
            greeted.close()
            if isinstance(exc, LinkLost):
                self._negotiation.no_hello(self._loop.time())
            raise
        self._negotiation.hello()
        self._connections.append(greeted)
        return greeted


def _nothing() -> None:
    """Who uses the connection says later whom to call."""
