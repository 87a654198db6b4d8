"""The connection to servers that record what they receive, or send what no NATS server sends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Mapping

import pytest
import uvloop

from orastream.base import tasks
from orastream.broker import Answer, Broker, ServiceConfig, single
from orastream.broker.micro import CONFIRM_S
from orastream.contract.errors import NodeUnavailable
from tests.support.processes import free_port, until
from tests.support.raw_nats import INFO
from tests.support.tcp_server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

HUGE = 3 << 20


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, after: bytes = b"") -> None:
    """Be a server until the client disconnects. Send `after` once the handshake is done."""
    writer.write(INFO)
    pings = 0
    while line := await reader.readline():
        if line == b"PING\r\n":
            pings += 1
            writer.write(b"PONG\r\n" + (after if pings == 1 else b""))


async def test_round_trip_ends_after_the_server_has_received_all_earlier_messages() -> None:
    """Its pong proves that the server has received a subscription made just before."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while line := await reader.readline():
            sent.append(line.strip())
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        for number in range(20):
            sent.clear()
            await broker.subscribe(f"s.{number}", lambda *_: None)
            await broker.publish(f"p.{number}", b"")
            await broker.round_trip()
            before = b" ".join(sent[: sent.index(b"PING")])
            assert f"SUB s.{number} ".encode() in before, sent
            assert f"PUB p.{number} ".encode() in before, sent


@pytest.mark.parametrize(
    "invalid_bytes",
    [
        b"NO SUCH OPERATION\r\n",
        b"MSG a x 1\r\nx\r\n",
        b"MSG a 1 -1\r\n",
        b"MSG a 1 99999999999\r\n",
        b"MSG a 1 3\r\nabcdefgh\r\n",
        b"HMSG a 1 9 3\r\nabc\r\n",
        b"INFO []\r\n",
        b'INFO {"connect_urls":[7]}\r\n',
        b"\xff" * HUGE,
    ],
    ids=lambda invalid_bytes: ascii(invalid_bytes[:20]),
)
async def test_connection_counts_an_invalid_message_of_the_server_and_reconnects(
    invalid_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once. The connection and its subscriptions continue after the reconnect."""
    numbers = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, after=b"" if next(numbers) else invalid_bytes)

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        await reconnected(broker, 1)
        await broker.round_trip()
    assert broker.repairs.protocol_errors == 1
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1


NO_HANDSHAKES = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"INFO\r\n",
    b"INFO []\r\n",
    b"INFO {\xff}\r\n",
    b'INFO {"max_payload":"much"}\r\n',
    INFO.strip() + b"\r\nINFO {}\r\nINFO {}\r\n",
    b"\xff" * HUGE,
    b"-ERR '\xff'\r\n",
]


async def test_connection_retries_after_an_invalid_handshake() -> None:
    """At the start and at a reconnect, with a pause between tries."""
    connections: list[float] = []
    first, last = 3, 3 + len(NO_HANDSHAKES) + 1

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.get_running_loop().time())
        match len(connections):
            case number if number == first:
                await answer(reader, writer, after=b"NO SUCH OPERATION\r\n")
            case number if number >= last:
                await answer(reader, writer)
            case number:
                writer.write(NO_HANDSHAKES[number - first - 1])
                while await reader.read(4096):
                    pass

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b", connect_timeout_s=20) as broker:
        await reconnected(broker, 1)
        await broker.round_trip()
        assert len(connections) == last
        # Not counted: a server that never answers, and errors that nats-py names itself (-ERR, no JSON).
        assert broker.repairs.protocol_errors >= len(NO_HANDSHAKES) - 1
        assert connections[-1] - connections[first - 1] > 0.2 * len(NO_HANDSHAKES)


async def test_a_service_starts_although_nats_is_lost_before_it_has_confirmed_the_subscriptions() -> None:
    """The first connection answers no ping after the handshake and ends; the second one gets the subscriptions."""
    subscribed: list[set[bytes]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        subscribed.append(mine := set())
        first, pings = len(subscribed) == 1, 0
        while line := await reader.readline():
            if line.startswith(b"SUB "):
                mine.add(line.split()[1])
            if line == b"PING\r\n":
                pings += 1
                if first and pings > 1:
                    return
                writer.write(b"PONG\r\n")

    async def answer(_data: bytes, _headers: Mapping[str, str]) -> Answer:
        return b"", None

    async def subscribed_again() -> bool:
        return len(subscribed) > 1 and {b"tts.test", b"$SRV.PING"} <= subscribed[-1]

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        async with asyncio.timeout(3 * CONFIRM_S):
            await broker.serve(ServiceConfig("test", "1.0.0"), {"test": "tts.test"}, single(answer))
        await until(subscribed_again, "the next connection has all subscriptions")


async def test_read_loop_continues_after_a_late_pong() -> None:
    """nats-py would set the result of a cancelled future, which ends its read loop until pings stay unanswered."""
    timed_out = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        pings = 0
        while line := await reader.readline():
            if line == b"PING\r\n":
                pings += 1
                if pings == 2:
                    await timed_out.wait()
                writer.write(b"PONG\r\n")

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        with pytest.raises(NodeUnavailable):
            await broker.round_trip(0.1)
        timed_out.set()
        await broker.round_trip()
        assert broker.reconnects == broker.repairs.protocol_errors == 0


async def test_message_published_on_a_broken_connection_is_sent_on_the_next_one() -> None:
    """`publish` raises nothing, although uvloop raises RuntimeError for a closed transport."""
    numbers, received = itertools.count(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(numbers) == 0:
            await answer(reader, writer, after=b"MSG a 1 1\r\nx\r\nNO SUCH OPERATION\r\n")
            return
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
            if line.startswith(b"PUB last "):
                received.set()

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        while broker.reconnects == 0:
            await broker.publish("often", b"")
            await asyncio.sleep(0)
        await broker.publish("last", b"")
        async with asyncio.timeout(10):
            await received.wait()


@pytest.mark.parametrize("rounds", range(8))
async def test_a_broker_that_is_closed_while_it_reconnects_leaves_no_task_and_no_connection(rounds: int) -> None:
    """It is closed at any moment of the handshake: `rounds` is how many rounds of the event loop after its begin."""
    open_now, numbers, again = set[int](), itertools.count(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(numbers)
        open_now.add(number)
        try:
            if number == 0:
                await answer(reader, writer, after=b"NO SUCH OPERATION\r\n")
                return
            writer.write(INFO)
            again.set()
            await reader.read()
        finally:
            open_now.discard(number)

    async with serving(serve) as port:
        before = asyncio.all_tasks()
        async with Broker(f"nats://127.0.0.1:{port}", name="b"):
            await again.wait()
            for _ in range(rounds):
                await asyncio.sleep(0)

        async def nothing_left() -> bool:
            return not open_now and asyncio.all_tasks() <= before

        try:
            await until(nothing_left, "all is closed", timeout_s=5)
        finally:
            await tasks.end(*(asyncio.all_tasks() - before))  # a task that is left ignores pytest's timeout


async def reconnected(broker: Broker, times: int) -> None:
    async def done() -> bool:
        return broker.connected and broker.reconnects == times

    await until(done, "the broker is connected again", timeout_s=20)


def test_closed_is_set_when_the_server_refuses_the_client_while_messages_are_pending() -> None:
    """The server refuses the client and closes the connection at once, while the client sends. Without `closed` the
    process would continue without NATS and report that it is healthy.
    """

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
            elif line.startswith(b"PUB go"):
                writer.write(b"-ERR 'User Authentication Expired'\r\n")
                return

    async def publish(broker: Broker) -> None:
        with contextlib.suppress(NodeUnavailable):
            while True:
                await broker.publish("x", b"y" * 30_000)
                await asyncio.sleep(0)

    async def closed() -> None:
        async with (
            serving(refuse) as port,
            Broker(f"nats://127.0.0.1:{port}", name="test", connect_timeout_s=5) as broker,
        ):
            publishing = asyncio.create_task(publish(broker))
            await broker.publish("go", b"")
            async with asyncio.timeout(5):
                await broker.closed.wait()
                await publishing

    for _ in range(3):
        uvloop.run(closed())  # as in services: it reports a closed connection at another time than asyncio's loop


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nowhere.invalid", r"^the host of nats://nowhere\.invalid:\d+ is not known here \(.+\); correct NATS_URL"),
        ("127.0.0.1", r"^no NATS server answers at nats://127\.0\.0\.1:\d+ \(connection refused\); start it"),
    ],
)
async def test_the_error_says_whether_the_host_is_unknown_or_no_server_is_there(host: str, message: str) -> None:
    with pytest.raises(NodeUnavailable, match=message):
        async with Broker(f"nats://{host}:{free_port()}", name="test", connect_timeout_s=1.5):
            pass
