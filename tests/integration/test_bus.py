"""The connection against a server that writes down what it is sent."""

from __future__ import annotations

import asyncio

import pytest

from orastream.bus import Bus

pytestmark = pytest.mark.integration

INFO = b'INFO {"server_id":"s","version":"2.15.1","proto":1,"headers":true,"max_payload":1048576}\r\n'


async def test_a_round_trip_is_made_after_all_that_was_sent_before() -> None:
    """Its answer means that the server knows the subscription made just before it."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        while line := await reader.readline():
            sent.append(line.strip())
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, Bus(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", name="b") as bus:
        for number in range(20):
            sent.clear()
            await bus.subscribe(f"s.{number}", lambda *_: None)
            await bus.publish(f"p.{number}", b"")
            await bus.round_trip()
            before = b" ".join(sent[: sent.index(b"PING")])
            assert f"SUB s.{number} ".encode() in before, sent
            assert f"PUB p.{number} ".encode() in before, sent
