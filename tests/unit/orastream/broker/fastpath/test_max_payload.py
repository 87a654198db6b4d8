"""A server that reconnects with a lower max_payload: what is buffered above it is dropped, and the connection stays."""

from __future__ import annotations

import pytest

from orastream.broker.fastpath.dispatch import DispatchingClient

pytestmark = pytest.mark.unit


async def test_only_messages_above_the_limit_are_dropped() -> None:
    client = DispatchingClient()
    small = b"PUB a.b  100\r\n" + bytes(100) + b"\r\n"
    exact = b"HPUB a.b reply 20 1000\r\n" + bytes(1000) + b"\r\n"
    large = b"HPUB a.b reply 20 1001\r\n" + bytes(1001) + b"\r\n"
    ping = b"PING\r\n"
    client._pending = [small, large, exact, ping]
    client._pending_data_size = sum(map(len, client._pending))
    client._max_payload = 1000
    client._drop_too_large()
    assert client._pending == [small, exact, ping]
    assert client._pending_data_size == len(small) + len(exact) + len(ping)
