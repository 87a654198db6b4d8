"""From the socket to a callback without a queue, a task and a message object in between.

nats-py puts each message into the queue of its subscription, where a task takes it out. Callbacks that never wait do
not need that. This takes the place of the client's transport and comes before its parser, which is why its version is
bounded in pyproject.toml; `tests/unit/test_dispatch.py` holds it to the original's behaviour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import nats.aio.client as nats_client
from nats.aio.subscription import Subscription
from nats.protocol.parser import Parser

from orastream import logger
from orastream.bus.splitter import Splitter
from orastream.bus.wire import WireTransport

_VERSION = b"NATS/1.0"
_NO_STATUS = b"NATS/1.0\r\n"

log = logger.named(__name__)


class Headers:
    """Headers of a message, read when asked for: nine stand on each stored one, and three are of interest.

    An inline status of the server is found under `Status`.
    """

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        """`block` is what stands before the payload: `NATS/1.0[ status]`, CRLF, a line per header, CRLF."""
        self._block = block

    @property
    def block(self) -> bytes:
        """All of them as they came, for whoever reads several at once."""
        return self._block

    @property
    def status(self) -> str | None:
        """The inline status of the server, or None."""
        return None if self._block.startswith(_NO_STATUS) else self._status()

    def get(self, name: str) -> str | None:
        """The value of a header, by its exact name, or None."""
        block = self._block
        at = block.find(b"\r\n%b:" % name.encode())
        if at < 0:
            return self._status() if name == "Status" else None
        at += len(name) + 3
        return block[at : block.find(b"\r\n", at)].strip().decode("utf-8", "replace")

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def _status(self) -> str | None:
        inline = self._block[len(_VERSION) : self._block.find(b"\r\n")].strip()
        return inline.partition(b" ")[0].decode("ascii", "replace") or None


NO_HEADERS = Headers(_VERSION + b"\r\n\r\n")
OnMessage = Callable[[str, str, bytes, Headers], None]
"""`(subject, reply, data, headers)`; must not block and must not raise."""


class DispatchingClient(nats_client.Client):
    """A client whose subscriptions may have a direct callback, run while the socket is read.

    There is no queue that could overflow: a process that falls behind stops reading, and the server holds the bytes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.direct: dict[int, OnMessage] = {}
        self._ps = DispatchingParser(self)

    @property
    def wired(self) -> bool:
        """Whether the socket is read by a `Wire`: not so for NATS over WebSocket."""
        return isinstance(self._transport, WireTransport)

    async def _connect_to_server(self, s: nats_client.Srv) -> None:
        if not self._transport and s.uri.scheme not in ("ws", "wss"):
            self._transport = WireTransport(self.deliver)
        await super()._connect_to_server(s)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Ask behind all that was sent before. nats-py writes its pings past what waits for its flusher, so that the
        answer proves nothing about a subscription made just now.
        """
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        self._pending.append(nats_client.PING_PROTO)
        self._pending_data_size += len(nats_client.PING_PROTO)
        await self._flush_pending()

    async def subscribe_direct(self, subject: str, queue: str, on_message: OnMessage) -> Subscription:
        """Subscribe with a direct callback, which is in place before the first message can come."""
        self.direct[self._sid + 1] = on_message
        return await self.subscribe(subject, queue=queue)

    def forget(self, subscription: Subscription) -> None:
        """Call its callback no more."""
        self.direct.pop(subscription._id, None)

    def deliver(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> bool:
        """Hand a message to its direct callback; False when its subscription has none."""
        on_message = self.direct.get(sid)
        if on_message is None:
            return False
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        try:
            on_message(subject.decode(), reply.decode(), data, Headers(block) if block else NO_HEADERS)
        except Exception:  # noqa: BLE001 - one message's border: the connection must outlive it
            log.exception("a message callback failed", subject=subject.decode())
        return True


class DispatchingParser(Parser):
    """nats-py's parser behind the splitter. A `Wire` splits while it reads; what others have read is split here."""

    def __init__(self, client: DispatchingClient) -> None:
        self._client = client
        self._splitter = Splitter(client.deliver)
        super().__init__(client)

    def reset(self) -> None:
        """Forget what was read of a connection that is gone."""
        self._splitter = Splitter(self._client.deliver)
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        """Everything whole in what was read so far."""
        await super().parse(data if self._client.wired else self._splitter.split(data))
