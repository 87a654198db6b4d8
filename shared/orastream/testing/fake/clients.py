"""The clients of a `FakeNode`: the real ones over a connection in memory."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.client.reads import Reads
from orastream.testing.fake.connection import Exchange, FakeBroker


class FakeClient(Client):
    """A `Client` of a `FakeNode`. `async with` opens it, as a real one."""

    def __init__(self, exchange: Exchange, prefix: str, options: dict[str, Any]) -> None:
        self._fake = FakeBroker(exchange, prefix)
        super().__init__(self._fake, **options)

    async def __aenter__(self) -> Self:
        # A client does not open the Broker of a caller by itself.
        await self._fake.__aenter__()
        return await super().__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, exc, trace)
        await self._fake.__aexit__(kind, exc, trace)

    @property
    def reads(self) -> Reads:
        """See `Client.reads`."""
        if not self._fake.entered:
            raise RuntimeError("the client is not open: use `async with Client(…) as client`")
        return super().reads


class FakeBlockingClient(BlockingClient):
    """A `BlockingClient` of a `FakeNode`. Thread-safe."""

    def __init__(self, exchange: Exchange, prefix: str, options: dict[str, Any]) -> None:
        self._exchange, self._prefix, self._client_options = exchange, prefix, options
        super().__init__(prefix=prefix, **options)

    async def _open(self) -> Client:
        return await FakeClient(self._exchange, self._prefix, self._client_options).__aenter__()
