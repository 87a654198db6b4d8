"""Readers of `/v1/audio/speech` that take nothing, as raw sockets, at a gateway and a synth in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from orastream.client.async_client import Client
from services.gateway.http.streaming import LiveResponse
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until

pytestmark = pytest.mark.integration

TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다. " * 180
STALL_S = 1.0


def asked(port: int, **fields: str) -> socket.socket:
    """A connection that has asked for speech and takes none of it, as a player that hangs."""
    body = json.dumps({"model": "tts-1", "input": TEXT, **fields}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    reader = socket.create_connection(("127.0.0.1", port))
    reader.sendall(head.encode() + body)
    return reader


async def test_reader_who_takes_nothing_is_dropped_and_frees_its_place(
    nats_server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speech is made slowly enough that a send buffer of megabytes would take in all of the mp3."""
    defaults = LiveResponse.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "stall_s", STALL_S)
    ended: dict[str, str] = {}

    async def follow(client: Client) -> None:
        async for report in client.reports():
            if report.final:
                ended[report.session_id] = report.status

    services = ("synth", "gateway")
    async with running_node(nats_server.url, "http://127.0.0.1:9", services, tts_engine_rtf=0.02) as node:
        following = asyncio.create_task(follow(client))
        registry = node["gateway"].metrics.registry
        readers = [
            asked(node["gateway"].ports["gateway_port"], **fields)
            for fields in ({"response_format": "mp3"}, {"response_format": "wav", "stream_format": "sse"})
        ]
        try:

            async def in_flight(count: int) -> bool:
                return registry.get_sample_value("orastream_gateway_in_flight") == count

            await until(lambda: in_flight(2), "both are in progress")
            await until(lambda: in_flight(0), "both places are free", timeout_s=15)
            await until(lambda: _both(ended), "both have a final report")
            assert set(ended.values()) == {"cancelled"}
        finally:
            for reader in readers:
                reader.close()
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following


async def _both(ended: dict[str, str]) -> bool:
    return len(ended) == 2
