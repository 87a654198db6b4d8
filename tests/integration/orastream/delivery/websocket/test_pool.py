"""Which connections a bridge opens to OraServer, and over which protocol. The servers here only shake hands."""

from __future__ import annotations

import asyncio
import contextlib
import http
import itertools
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from orastream.contract.oraserver.from_bridge import BridgeHello, unpack_from_bridge
from orastream.contract.oraserver.from_server import ServerHello
from orastream.delivery.rules.negotiation import V1, V2, ProtocolSetting
from orastream.delivery.sink import LinkLost
from orastream.delivery.websocket import stream_connection
from orastream.delivery.websocket.link import WebSocketLink
from orastream.delivery.websocket.pool import OraServerPool, PoolSettings
from orastream.delivery.websocket.stream_link import StreamLink

pytestmark = [pytest.mark.integration, pytest.mark.timeout(30)]

HELLO = ServerHello(2, 65_536, 100, ("wav",), 1000)
OFFER = "Sec-WebSocket-Protocol"


class Server:
    """Selects `selects`, in this order of preference, and says hello. Keeps what it was offered."""

    def __init__(self, *selects: str) -> None:
        self.selects: tuple[str, ...] = selects
        self.offers: list[str | None] = []
        self.sessions: list[str | None] = []
        self.hellos: list[BridgeHello] = []
        self.closes: asyncio.Queue[int | None] = asyncio.Queue()
        self.close_reason: str | None = None
        self.refuses: Callable[[str | None], int | None] = lambda offer: None
        self.first: bytes | str | None = HELLO.pack()
        self.greeting: list[bytes] = []
        """What it sends first, whatever it has selected."""
        self.open: set[ServerConnection] = set()
        self.port = 0

    def request(self, connection: ServerConnection, request: Request) -> Response | None:
        offer = request.headers.get(OFFER)
        self.offers.append(offer)
        self.sessions.append(request.headers.get("session-id"))
        status = self.refuses(offer)
        return None if status is None else connection.respond(http.HTTPStatus(status), "no")

    def select(self, connection: ServerConnection, offered: Sequence[str]) -> str | None:  # noqa: ARG002 - their interface
        return next((name for name in self.selects if name in offered), None)

    async def handle(self, connection: ServerConnection) -> None:
        self.open.add(connection)
        try:
            for message in self.greeting:
                await connection.send(message)
            if connection.subprotocol == V2 and self.first is not None:
                await connection.send(self.first)
            async for frame in connection:
                if isinstance(frame, bytes) and isinstance(hello := unpack_from_bridge(frame), BridgeHello):
                    self.hellos.append(hello)
        except ConnectionClosed:
            pass
        finally:
            self.open.discard(connection)
            self.closes.put_nowait(connection.close_code)
            self.close_reason = connection.close_reason

    def pool(self, protocol: ProtocolSetting = "auto", **settings: float) -> OraServerPool:
        hello = BridgeHello(2, "node", "ws_bridge-1", "orastream/0")
        return OraServerPool(PoolSettings(f"ws://127.0.0.1:{self.port}/ws", hello, protocol, **settings))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def serving(*selects: str) -> AsyncIterator[Server]:
    server = Server(*selects)
    async with serve(
        server.handle, "127.0.0.1", 0, process_request=server.request, select_subprotocol=server.select
    ) as listening:
        server.port = next(iter(listening.sockets)).getsockname()[1]
        yield server


def nothing() -> None:
    """Nobody waits."""


async def test_a_server_that_knows_no_subprotocol_gets_v1_and_is_not_asked_again() -> None:
    async with serving() as server:
        pool = server.pool()
        links = [await pool.link(session, "p", nothing) for session in ("a", "b")]
        assert all(isinstance(link, WebSocketLink) for link in links)
        assert server.offers == [f"{V1}, {V2}", None] and server.sessions == ["a", "b"]
        assert not pool.record.announces_cancels and await pool.resuming_link("c", nothing) is None
        for link in links:
            await link.close()


@pytest.mark.parametrize("selects", [(), (V1,)], ids=["none", "v1"])
async def test_messages_of_a_server_that_has_not_selected_v2_are_not_kept(selects: tuple[str, ...]) -> None:
    async with serving(*selects) as server:
        server.greeting = [bytes(1 << 20)] * 8
        link = await server.pool().link("a", "p", nothing)
        assert isinstance(link, WebSocketLink)
        await link.confirm(lambda: True)  # the server has sent everything before its pong
        messages = link._connection._messages  # noqa: SLF001 - what it holds in memory
        assert messages is None or not messages.held_bytes
        await link.close()


async def test_a_server_that_selects_the_first_subprotocol_gets_v1() -> None:
    async with serving(V1, V2) as server:
        link = await server.pool().link("a", "p", nothing)
        assert isinstance(link, WebSocketLink)
        await link.close()


async def test_sessions_share_the_connections_of_v2() -> None:
    async with serving(V2) as server:
        pool = server.pool(max_connections=3)
        links = [await pool.link(f"s{i}", "p", nothing) for i in range(9)]
        assert all(isinstance(link, StreamLink) for link in links)
        assert server.offers == [f"{V1}, {V2}", V2, V2] and server.sessions == ["s0", None, None]
        assert pool.record.protocol == "v2" and pool.record.formats == frozenset({"wav"})
        await pool.close()
        assert [await server.closes.get() for _ in range(3)] == [1000] * 3
        assert server.hellos == [BridgeHello(2, "node", "ws_bridge-1", "orastream/0")] * 3


async def test_sessions_that_begin_at_once_wait_for_the_first_answer() -> None:
    async with serving(V2) as server:
        pool = server.pool(max_connections=2)
        await asyncio.gather(*(pool.link(f"s{i}", "p", nothing) for i in range(20)))
        assert server.offers == [f"{V1}, {V2}", V2]
        await pool.close()


async def test_a_session_stays_on_its_connection() -> None:
    async with serving(V2) as server:
        pool = server.pool(max_connections=4)
        one = await pool.link("s", "phone 1", nothing)
        other = await pool.link("s", "phone 2", nothing)
        again = await pool.resuming_link("s", nothing)
        assert isinstance(one, StreamLink) and isinstance(other, StreamLink) and again is not None
        assert len(server.offers) == 1
        await pool.close()


@pytest.mark.parametrize("status", [400, 404, 426])
async def test_a_refused_offer_is_left_out_once_and_then_remembered(status: int) -> None:
    async with serving() as server:
        server.refuses = lambda offer: status if offer else None
        pool = server.pool()
        for session in ("a", "b"):
            link = await pool.link(session, "p", nothing)
            assert isinstance(link, WebSocketLink)
            await link.close()
        assert server.offers == [f"{V1}, {V2}", None, None]


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_any_other_refusal_is_no_answer_to_the_offer(status: int) -> None:
    async with serving() as server:
        server.refuses = lambda offer: status
        pool = server.pool()
        with pytest.raises(LinkLost) as lost:
            await pool.link("a", "p", nothing)
        assert lost.value.status == status and server.offers == [f"{V1}, {V2}"]


async def test_a_refusal_of_one_session_does_not_refuse_the_others() -> None:
    async with serving() as server:
        refusals = itertools.chain([404, 404], itertools.repeat(None))
        server.refuses = lambda offer: next(refusals)
        pool = server.pool()
        outcomes = await asyncio.gather(
            *(pool.link(session, "p", nothing) for session in ("a", "b", "c")), return_exceptions=True
        )
        assert [isinstance(outcome, LinkLost) for outcome in outcomes] == [True, False, False]


async def test_a_server_that_is_away_fails_all_that_wait_at_once() -> None:
    async with serving() as server:
        pool = server.pool()
    outcomes = await asyncio.gather(*(pool.link(f"s{i}", "p", nothing) for i in range(5)), return_exceptions=True)
    assert all(isinstance(outcome, LinkLost) and not outcome.refused for outcome in outcomes)


async def test_a_server_that_does_not_speak_v2_any_more_gets_v1() -> None:
    async with serving(V2) as server:
        pool = server.pool(max_connections=4)
        await pool.link("a", "p", nothing)
        server.selects = ()
        link = await pool.link("b", "p", nothing)
        assert isinstance(link, WebSocketLink) and server.offers == [f"{V1}, {V2}", V2, None]
        await link.close()
        await pool.close()


async def test_v2_alone_is_a_condition_if_it_is_set() -> None:
    async with serving() as server:
        with pytest.raises(LinkLost, match="ORASERVER_PROTOCOL"):
            await server.pool("v2").link("a", "p", nothing)
        assert server.offers == [V2]


async def test_v1_is_spoken_without_an_offer_if_it_is_set() -> None:
    async with serving(V2) as server:
        link = await server.pool("v1").link("a", "p", nothing)
        assert isinstance(link, WebSocketLink) and server.offers == [None]
        await link.close()


async def test_a_cancel_before_anything_else_offers_v2_alone() -> None:
    async with serving() as server:
        pool = server.pool()
        assert await pool.resuming_link("a", nothing) is None
        assert server.offers == [V2] and server.sessions == [None]
    async with serving() as server:
        server.refuses = lambda offer: 400
        assert await server.pool().resuming_link("a", nothing) is None


async def test_an_unused_connection_is_closed() -> None:
    async with serving(V2) as server:
        pool = server.pool(idle_s=0.05)
        link = await pool.link("a", "p", nothing)
        await link.close()
        assert await server.closes.get() == 1000
        assert isinstance(await pool.link("b", "p", nothing), StreamLink)
        await pool.close()


async def test_without_a_hello_the_connection_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_connection, "HANDSHAKE_S", 0.1)
    async with serving(V2) as server:
        server.first = None
        with pytest.raises(LinkLost, match="hello"):
            await server.pool().link("a", "p", nothing)
        assert await server.closes.get() == 1002


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("hello", "text frame"),
        (b"\xc1", "not msgpack"),
        (HELLO.pack(more=bytes(64 << 10)), "a frame of more than 65536 bytes"),
        (ServerHello(3, 65_536, 1, (), 0).pack(), "version 3"),
        (ServerHello(2, 4_095, 1, ("wav",), 0).pack(), "`credit` of 4095 bytes, and the least is 4096"),
        (BridgeHello(2, "n", "b", "s").pack(), "credit"),
    ],
)
async def test_a_first_frame_that_is_no_hello_ends_the_connection(first: bytes | str, reason: str) -> None:
    async with serving(V2) as server:
        server.first = first
        with pytest.raises(LinkLost, match=reason):
            await server.pool().link("a", "p", nothing)
        assert await server.closes.get() == 1002
        assert server.close_reason is not None and reason in server.close_reason


async def test_a_broken_connection_breaks_its_links_and_is_replaced() -> None:
    async with serving(V2) as server:
        pool = server.pool(max_connections=1)
        woken = asyncio.Event()
        link = await pool.link("a", "p", woken.set)
        for connection in list(server.open):
            connection.transport.abort()
        while link.lost is None:
            await asyncio.sleep(0.01)
        assert isinstance(await pool.link("a", "p", nothing), StreamLink)
        assert server.offers == [f"{V1}, {V2}", V2]
        await pool.close()


async def test_a_server_that_goes_back_and_refuses_the_offer_gets_v1() -> None:
    async with serving(V2) as server:
        pool = server.pool()
        await (await pool.link("a", "p", nothing)).close()
        server.selects, server.refuses = (), lambda offer: 400 if offer else None
        for connection in list(server.open):
            connection.transport.abort()
        while pool.open_connections:
            await asyncio.sleep(0.01)
        link = await pool.link("b", "p", nothing)
        assert isinstance(link, WebSocketLink)
        await link.close()


async def test_a_server_whose_library_selects_v2_by_itself_gets_v1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_connection, "HANDSHAKE_S", 0.1)
    async with serving(V2) as server:
        server.first = None
        pool = server.pool()
        with pytest.raises(LinkLost, match="hello"):
            await pool.link("a", "p", nothing)
        link = await pool.link("a", "p", nothing)
        assert isinstance(link, WebSocketLink) and server.offers[-1] is None
        await link.close()


async def test_a_cancel_that_is_not_admitted_now_is_not_answered() -> None:
    async with serving(V2) as server:
        server.refuses = lambda offer: 429
        with pytest.raises(LinkLost):
            await server.pool().resuming_link("s", nothing)


async def test_links_of_a_session_that_open_at_once_share_its_connection() -> None:
    async with serving(V2) as server:
        pool = server.pool("v2")
        first, second = await asyncio.gather(pool.link("s", "p", nothing), pool.resuming_link("s", nothing))
        assert isinstance(first, StreamLink) and second is not None
        await first.close()
        await second.close()
        await pool.close()
        assert len(server.hellos) == 1 or pool.open_connections == 0


async def test_a_broken_connection_wakes_idle_links_and_nothing_of_them_stays() -> None:
    async with serving(V2) as server:
        pool, woken = server.pool(), asyncio.Event()
        link = await pool.link("a", "p", woken.set)
        for connection in list(server.open):
            connection.transport.abort()
        await woken.wait()
        assert link.lost is not None and pool.sessions == 0


async def test_a_connection_that_nobody_waits_for_any_more_is_closed() -> None:
    async with serving(V2) as server:
        server.first = None
        asked = asyncio.create_task(server.pool().link("a", "p", nothing))
        while not server.open:
            await asyncio.sleep(0.01)
        asked.cancel()
        await server.closes.get()


async def test_sessions_are_spread_over_connections_that_open_late() -> None:
    async with serving(V2) as server:
        pool = server.pool("v2", max_connections=4)
        links = await asyncio.gather(*(pool.link(f"s{i}", "p", nothing) for i in range(40)))
        assert len(server.offers) == 4 and len(links) == 40
        assert max(pool.users) <= 11
        await pool.close()


async def test_only_formats_that_the_node_knows_are_kept_of_a_hello() -> None:
    """They stand in each heartbeat, which must not grow with what OraServer says."""
    async with serving(V2) as server:
        names = tuple(f"format {i}" for i in range(200))
        server.first = ServerHello(2, 65_536, 100, ("wav", *names), 1000).pack()
        pool = server.pool()
        await pool.link("a", "p", nothing)
        assert pool.record.formats == frozenset({"wav"}) and len(pool.record.encode()) < 100
        await pool.close()
