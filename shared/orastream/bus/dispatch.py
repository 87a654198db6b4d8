"""From the socket to a callback without a queue, a task and a message object in between.

nats-py puts each message into the queue of its subscription, where a task takes it out. Callbacks that never wait do
not need that. This replaces the client's parser in front of that queue, which is why its version is bounded in
pyproject.toml; `tests/unit/test_dispatch.py` holds it to the original's behaviour.
"""

from __future__ import annotations

from collections.abc import Callable

import nats.aio.client as nats_client
import structlog
from nats.aio.subscription import Subscription
from nats.protocol.parser import Parser

# Read the socket by the megabyte rather than in pieces of 32 KiB.
nats_client.DEFAULT_BUFFER_SIZE = 1 << 20

_VERSION = b"NATS/1.0"

log = structlog.get_logger()


class Headers:
    """Headers of a message, read when asked for: nine stand on each stored one, and three are of interest.

    An inline status of the server is found under `Status`.
    """

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        """`block` is what stands before the payload: `NATS/1.0[ status]`, CRLF, a line per header, CRLF."""
        self._block = block

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
    """The server's side of the protocol: messages of direct subscriptions at once, everything else to nats-py's parser.

    That one always gets whole operations, so it never holds a part of one.
    """

    def __init__(self, client: DispatchingClient) -> None:
        self._client = client
        self._rest = b""
        super().__init__(client)

    def reset(self) -> None:
        """Forget what was read of a connection that is gone."""
        self._rest = b""
        super().reset()

    async def parse(self, data: bytes = b"") -> None:
        """Everything whole in what was read so far; what is left waits for the next read."""
        if self._rest:
            data = self._rest + data
        at, most = 0, len(data)
        while at < most:
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                break
            end = line_end + 2
            op = data[at : at + 5].upper()
            if op == b"HMSG " or op[:4] == b"MSG ":
                fields = data[at:line_end].split()
                size = int(fields[-1])
                begin, end = end, end + size + 2
                if end > most:
                    break
                headed = op == b"HMSG "
                block = data[begin : begin + int(fields[-2])] if headed else b""
                reply = fields[3] if len(fields) == (6 if headed else 5) else b""
                payload = data[begin + len(block) : end - 2]
                if self._client.deliver(int(fields[2]), fields[1], reply, block, payload):
                    at = end
                    continue
            await super().parse(data[at:end])
            at = end
        self._rest = data[at:]
