"""The clients of a `FakeNode`: the real ones over a connection in memory."""

from __future__ import annotations

from typing import Any

from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.testing.fake.connection import Exchange, FakeBroker


class FakeClient(Client):
    """A `Client` of a `FakeNode`. `async with` opens it, as a real one."""

    def __init__(self, exchange: Exchange, prefix: str, options: dict[str, Any]) -> None:
        super().__init__(FakeBroker(exchange, prefix), **options)
        self._owns_broker, self._is_open = True, False  # else it would count as open, as with a caller's own Broker


class FakeBlockingClient(BlockingClient):
    """A `BlockingClient` of a `FakeNode`. Thread-safe."""

    def __init__(self, exchange: Exchange, prefix: str, options: dict[str, Any]) -> None:
        self._exchange, self._prefix, self._client_options = exchange, prefix, options
        super().__init__(prefix=prefix)

    async def _open(self) -> Client:
        return await FakeClient(self._exchange, self._prefix, self._client_options).__aenter__()
