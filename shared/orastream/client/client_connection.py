"""The connection of a `Client` to one node, and what reads over it."""

from __future__ import annotations

import contextlib

from orastream.broker import Broker
from orastream.client.load_watch import LoadWatch
from orastream.client.reads import Reads
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream


class ClientConnection:
    """A Broker with the reads and the load of a node. For one event loop."""

    def __init__(
        self, broker: Broker, names: Names, *, owns_broker: bool, max_text_chars: int, max_backlog_s: float | None
    ) -> None:
        """Nothing is connected yet. With `owns_broker`, `open` opens the Broker and `close` closes it."""
        self.broker = broker
        self.load_watch = LoadWatch(broker, names.load, max_backlog_s)
        self._owns_broker = owns_broker
        self._reads = Reads(JetStream(broker, names), max_text_chars=max_text_chars)

    async def open(self) -> None:
        """Connect. Raises NodeUnavailable, SettingsError."""
        async with contextlib.AsyncExitStack() as stack:
            if self._owns_broker:
                await stack.enter_async_context(self.broker)
            await self.load_watch.open()
            stack.pop_all()

    async def close(self) -> None:
        """Close the connection. Raises nothing while NATS is away."""
        await self.load_watch.close()
        if self._owns_broker:
            await self.broker.__aexit__(None, None, None)

    @property
    def reads(self) -> Reads:
        """The reads over the open connection. Raises RuntimeError before it is open: each call would wait in vain."""
        if not self.broker.entered:
            opens = "async with Client(…) as client" if self._owns_broker else "async with Broker(…) as broker"
            raise RuntimeError(f"the client is not open: use `{opens}`")
        return self._reads
