"""`living_bridges` on a real nats-server, while the bridges go on writing."""

from __future__ import annotations

import asyncio

import pytest

from orastream.contract.bridge_record import BridgeRecord
from orastream.jetstream import heartbeats
from orastream.jetstream.api import JetStream
from orastream.jetstream.heartbeats import living_bridges
from tests.support.names import NAMES

pytestmark = pytest.mark.integration

TAKES = BridgeRecord("v2", frozenset({"opus", "wav"}))


async def beat(js: JetStream, bridge: str, record: BridgeRecord = TAKES) -> None:
    await js.store(NAMES.heartbeat_key(bridge), record.encode())


async def test_each_bridge_of_the_kind_is_read_once_also_from_several_pages(
    js: JetStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "PAGE", 4)
    assert await living_bridges(js, "ws_bridge") == []
    for number in range(9):
        await beat(js, f"ws_bridge-{number}", BridgeRecord("v2", frozenset({f"f{number}"})))
        await beat(js, f"http_bridge-{number}")
    records = await living_bridges(js, "ws_bridge")
    assert sorted(next(iter(record.formats or ())) for record in records) == [f"f{number}" for number in range(9)]


async def test_a_read_ends_although_bridges_write_faster_than_it_reads(js: JetStream) -> None:
    """With hundreds of bridges there is always a new heartbeat when a page has come."""

    async def bridge(number: int) -> None:
        while True:
            await beat(js, f"ws_bridge-{number}")

    beating = [asyncio.create_task(bridge(number)) for number in range(20)]
    try:
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            records = await living_bridges(js, "ws_bridge")
    finally:
        for task in beating:
            task.cancel()
        await asyncio.gather(*beating, return_exceptions=True)
    assert records == [TAKES] * 20
