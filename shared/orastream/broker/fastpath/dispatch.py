"""From the socket to a callback without a queue, a task and a message object in between.

nats-py puts each message into the queue of its subscription, where a task takes it out. Callbacks that never wait do
not need that. This takes the place of the client's transport and parser, which is why its version is bounded in
pyproject.toml; `tests/unit/orastream/broker/fastpath/test_dispatch.py` holds it to the original's behaviour.

Nor does nats-py's parser survive what anybody may send: it decodes subjects and splits at more than nats-server does,
and what it raises ends the reading without a word, until the pings that nobody answers are missed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import nats.aio.client as nats_client
import nats.errors
from nats.aio.subscription import Subscription

from orastream.base import logger
from orastream.broker import control_line
from orastream.broker.fastpath.operations import OperationParser, check_info
from orastream.broker.fastpath.splitter import ProtocolError
from orastream.broker.fastpath.wire import TlsMissing, WireTransport
from orastream.broker.repairs import Repairs
from orastream.contract import subjects

_READ_BYTES = 32 << 10
_STATUS = re.compile(rb"NATS/1\.0 +(\d{3})\b")
_NO_STATUS = b"NATS/1.0\r\n"

log = logger.named(__name__)


class Headers:
    """Headers of a message, read when asked for: nine stand on each stored one, and three are of interest.

    An inline status of the server is found under `Status`.
    """

    __slots__ = ("_block",)

    def __init__(self, block: bytes) -> None:
        """`block` is what stands before the payload: `NATS/1.0[ status]`, CRLF, a line per header, CRLF.

        Whoever publishes may have put any bytes there: nothing here raises but `headers[name]`.
        """
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
        inline = _STATUS.match(self._block)
        return None if inline is None else inline[1].decode()


NO_HEADERS = Headers(_NO_STATUS + b"\r\n")
OnMessage = Callable[[str, str, bytes, Headers], None]
"""`(subject, reply, data, headers)`; must not block and must not raise."""


class DispatchingClient(nats_client.Client):
    """A client whose subscriptions may have a direct callback, run while the socket is read.

    There is no queue that could overflow: a process that falls behind stops reading, and the server holds the bytes.
    """

    def __init__(self, repairs: Repairs | None = None, *, secure: bool = False) -> None:
        """With `secure` TLS is a must, whatever a server offers, and for each server that another one names."""
        super().__init__()
        self.direct: dict[int, OnMessage] = {}
        self._repairs = repairs or Repairs()
        self._secure = secure
        self._noted: Exception | None = None
        self._ps = OperationParser(self)

    @property
    def wired(self) -> bool:
        """Whether the socket is read by a `Wire`: not so for NATS over WebSocket."""
        return isinstance(self._transport, WireTransport)

    def abandon(self) -> None:
        """Leave a connection that could not be made, as it is: nats-py keeps it open."""
        if isinstance(self._transport, WireTransport):
            self._transport.abort()

    # ---- what of nats-py's client is done otherwise

    async def _connect_to_server(self, s: nats_client.Srv) -> None:
        if s.uri.scheme == "ws" and self._secure:
            raise TlsMissing
        if not self._transport and s.uri.scheme not in ("ws", "wss"):
            self._transport = WireTransport(self.deliver, self._note, secure=self._secure)
        await super()._connect_to_server(s)

    async def _process_connect_init(self) -> None:
        """The handshake. Raises OSError, TimeoutError and nats.errors.Error, after which nats-py tries again.

        Any other exception would end its trying without a word.
        """
        try:
            await super()._process_connect_init()
            if not self.is_connected:
                for task in (self._reading_task, self._ping_interval_task, self._flusher_task):
                    if task is not None:
                        task.cancel()
                raise ConnectionResetError("the server did not answer CONNECT and PING")
        except (OSError, TimeoutError, nats.errors.Error) as exc:
            self._note(exc)
            raise
        except Exception as exc:
            self._note(exc)
            raise ProtocolError(f"no handshake of NATS ({type(exc).__name__}: {ascii(str(exc))})") from exc
        self.options["allow_reconnect"] = True  # whatever ends it from here on

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """What a server says of itself and of others. With `secure` a server that leaves TLS to the client gets it."""
        check_info(info)
        if self._secure and info.get("tls_available"):
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)
        assert self._current_server is not None, "nats-py sets it before"
        scheme = self._current_server.uri.scheme
        for server in self._server_pool:
            if server.discovered:  # nats-py takes them for nats:// behind wss:// too
                server.uri = server.uri._replace(scheme=scheme)

    async def _read_loop(self) -> None:
        """Read and do what the server sends. Whatever goes wrong here, a reconnect follows."""
        while not (self.is_closed or self.is_reconnecting or self._transport is None):
            try:
                data = await self._transport.read(_READ_BYTES)
                if not data:
                    raise nats.errors.UnexpectedEOF
                await self._ps.parse(data)
            except Exception as exc:  # noqa: BLE001 - the border of what was read: without it nothing would be read again
                await self._process_op_err(exc)
                return

    async def _process_op_err(self, e: Exception) -> None:
        """Give up a connection that was up, and make another one."""
        if not (self.is_closed or self.is_reconnecting):
            if self._note(e):
                log.error("the NATS server sent what cannot be read; reconnecting", error=str(e), exc_info=_trace_of(e))
            else:
                await self._error_cb(e)
        await super()._process_op_err(e)

    def _note(self, exc: Exception) -> bool:
        """Count an error in what the server has sent, each once; whether `exc` is one."""
        unreadable = isinstance(exc, ProtocolError) or _trace_of(exc) is not None
        if unreadable and exc is not self._noted:
            self._noted = exc
            self._repairs.protocol_errors += 1
        return unreadable

    async def _process_pong(self) -> None:
        """As nats-py does it, but for a ping whose sender has stopped waiting: that must not end the reading."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        # nats-py would write what waits to be sent: before CONNECT and TLS if the handshake is not over, or into a
        # connection that is gone, which raises, and then nobody learns that it is closed. `Bus` flushes before it
        # closes, and a connection that the server has refused takes nothing more.
        self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Ask behind all that was sent before. nats-py writes its pings past what waits for its flusher, so that the
        answer proves nothing about a subscription made just now.
        """
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        self._pending.append(nats_client.PING_PROTO)
        self._pending_data_size += len(nats_client.PING_PROTO)
        await self._flush_pending()

    # ---- messages

    async def subscribe_direct(self, subject: str, queue: str, on_message: OnMessage) -> Subscription:
        """Subscribe with a direct callback, which is in place before the first message can come."""
        self.direct[self._sid + 1] = on_message
        return await self.subscribe(subject, queue=queue)

    def forget(self, subscription: Subscription) -> None:
        """Call its callback no more."""
        self.direct.pop(subscription._id, None)

    def deliver(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        """Hand a message to its direct callback, or to the queue of its subscription. Never raises."""
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        on_message = self.direct.get(sid)
        try:
            if on_message is None:
                self._enqueue(sid, subject, reply, block, data)
            else:
                headers = Headers(block) if block else NO_HEADERS
                on_message(subjects.decoded(subject), subjects.decoded(reply), data, headers)
        except Exception:  # noqa: BLE001 - one message's border: the connection must outlive it
            log.exception("a message callback failed", subject=subject.decode("utf-8", "backslashreplace"))

    def _enqueue(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        """For a subscription of nats-py's own, which is one of nats.micro."""
        subscription = self._subs.get(sid)
        if subscription is None:
            return
        if subscription._pending_size + len(data) > subscription._pending_bytes_limit > 0:
            log.warning("a request is dropped: too many bytes wait", subject=subscription.subject)
            return
        try:
            subscription._pending_queue.put_nowait(
                self.msg_class(
                    subject=subjects.decoded(subject),
                    reply=control_line.answerable(reply),
                    data=data,
                    headers=self._parse_header_lines(block.partition(b"\r\n")[2]) if block else None,
                    _client=self,
                    _sid=sid,
                )
            )
        except asyncio.QueueFull:
            log.warning("a request is dropped: too many wait", subject=subscription.subject)
            return
        subscription._received += 1
        subscription._pending_size += len(data)


def _trace_of(exc: Exception) -> Exception | None:
    """The error whose traceback the log needs: a fault of our own code. None for what happens to connections."""
    return None if isinstance(exc, OSError | nats.errors.Error) else exc
