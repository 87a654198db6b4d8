"""The connection against a server that writes down what it is sent, and against one that says what no server says."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging

import pytest
import uvloop

from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable
from tests.support.processes import until
from tests.support.raw_nats import INFO, serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]

HUGE = 3 << 20


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, after: bytes = b"") -> None:
    """Be a server until the client goes. Once the handshake is done it says `after`."""
    writer.write(INFO)
    pings = 0
    while line := await reader.readline():
        if line == b"PING\r\n":
            pings += 1
            writer.write(b"PONG\r\n" + (after if pings == 1 else b""))


async def test_a_round_trip_is_made_after_all_that_was_sent_before() -> None:
    """Its answer means that the server knows the subscription made just before it."""
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
    "said",
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
    ids=lambda said: ascii(said[:20]),
)
async def test_what_no_server_says_is_counted_and_leads_to_a_reconnect(
    said: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Said once in the log; the process goes on, and so do its subscriptions."""
    numbers = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer(reader, writer, after=b"" if next(numbers) else said)

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


async def test_a_handshake_that_is_none_is_tried_again() -> None:
    """At the start and at a reconnect; and not without a pause."""
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


async def test_an_answer_that_comes_too_late_does_not_end_the_reading() -> None:
    """nats-py would set the result of a future that was cancelled, and read no more until pings are missed."""
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        pings = 0
        while line := await reader.readline():
            if line == b"PING\r\n":
                pings += 1
                if pings == 2:
                    await asked.wait()
                writer.write(b"PONG\r\n")

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        with pytest.raises(NodeUnavailable):
            await broker.round_trip(0.1)
        asked.set()
        await broker.round_trip()
        assert broker.reconnects == broker.repairs.protocol_errors == 0


async def test_what_is_sent_on_a_connection_that_has_just_broken_waits_for_the_next() -> None:
    """It is no error of whoever sends it: uvloop raises RuntimeError for a closed transport."""
    numbers, heard = itertools.count(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(numbers) == 0:
            await answer(reader, writer, after=b"MSG a 1 1\r\nx\r\nNO SUCH OPERATION\r\n")
            return
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
            if line.startswith(b"PUB last "):
                heard.set()

    async with serving(serve) as port, Broker(f"nats://127.0.0.1:{port}", name="b") as broker:
        while broker.reconnects == 0:
            await broker.publish("often", b"")
            await asyncio.sleep(0)
        await broker.publish("last", b"")
        async with asyncio.timeout(10):
            await heard.wait()


async def reconnected(broker: Broker, times: int) -> None:
    async def done() -> bool:
        return broker.connected and broker.reconnects == times

    await until(done, "it is connected again", timeout_s=20)


def test_a_refusal_while_messages_wait_closes_for_good_and_says_so() -> None:
    """The server refuses the client and cuts it off in one breath, in the middle of its messages. Whoever waits for
    `closed` learns of it: else the process would live on without NATS, and say that it is well.
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
        uvloop.run(closed())  # the loop of services, whose transports tell of the end at another time than asyncio's
