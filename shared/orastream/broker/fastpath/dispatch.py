"""A nats-py client that passes a message from the socket to a callback without queue, task and message object.

nats-py puts each message into a queue of its subscription, from which a task takes it. Callbacks that never wait do not
need that. This client replaces nats-py's transport and parser, so pyproject.toml bounds the version of nats-py, and
`tests/unit/orastream/broker/fastpath/test_dispatch.py` compares its behaviour with the original's.

nats-py's parser also fails on messages that anybody may send: it decodes subjects, and splits lines at more characters
than nats-server does. Its exception ends the read loop without a log line, until pings stay unanswered.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import nats.aio.client as nats_client
import nats.errors
from nats.aio.subscription import Subscription

from orastream.base import logger, tasks
from orastream.broker import control_line
from orastream.broker.fastpath.headers import NO_HEADERS, Headers
from orastream.broker.fastpath.operations import OperationParser, check_info
from orastream.broker.fastpath.splitter import ProtocolError
from orastream.broker.fastpath.wire import TlsMissing, WireTransport
from orastream.broker.repairs import Repairs
from orastream.contract import subjects
from orastream.tls import ClientTls
from orastream.tls import failures as tls_failures

_READ_BYTES = 32 << 10
ABANDON_S = 1.0

log = logger.named(__name__)


class ServerIdentity(NamedTuple):
    """A running nats-server. Both are empty if it does not say them."""

    server_id: str
    """Another one after each start of the server."""
    cluster: str
    """The name of its cluster; empty for a single server."""


OnMessage = Callable[[str, str, bytes, Headers], None]
"""`(subject, reply, data, headers)`; must not block and must not raise."""


class DispatchingClient(nats_client.Client):
    """A nats-py client whose subscriptions may have a direct callback, called while the socket is read.

    No queue can overflow: a process that falls behind stops reading, and the server keeps the bytes.
    """

    def __init__(
        self,
        repairs: Repairs | None = None,
        *,
        secure: bool = False,
        tls: ClientTls | None = None,
        nkey: Callable[[], str] | None = None,
    ) -> None:
        """`secure` requires TLS of every server, also of those that another server announces.

        `tls` gives the context for each connection; None: that of the system's authorities. `nkey` returns the public
        key of the user for each connection; None: the user has no nkey, or a JWT with it.
        """
        super().__init__()
        self.direct: dict[int, OnMessage] = {}
        self._repairs = repairs or Repairs()
        self._secure = secure
        self._tls = tls
        self._nkey = nkey
        self._certificate_wanted = False
        """Whether the server of this connection has said that clients need a certificate."""
        self._counted: Exception | None = None
        self._ps = OperationParser(self)

    @property
    def wired(self) -> bool:
        """Whether a `Wire` reads the socket: it does for TCP and TLS, not for NATS over WebSocket."""
        return isinstance(self._transport, WireTransport)

    @property
    def server(self) -> ServerIdentity:
        """The server, as its INFO names it."""
        return ServerIdentity(*(str(self._server_info.get(name) or "") for name in ("server_id", "cluster")))

    async def abandon(self) -> None:
        """Close the socket, or the HTTP session, of a failed connection attempt: nats-py would keep it open."""
        if isinstance(self._transport, WireTransport):
            self._transport.abort()
        elif (session := getattr(self._transport, "_client", None)) is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(ABANDON_S):
                    await session.close()

    # ---- overridden methods of nats-py's client

    @property
    def ssl_context(self) -> ssl.SSLContext:
        """The context for the next TLS handshake."""
        return super().ssl_context if self._tls is None else self._tls.context()

    def _connect_command(self) -> bytes:
        if self._nkey is not None:
            self._public_nkey = self._nkey()
        return super()._connect_command()

    async def _connect_to_server(self, s: nats_client.Srv) -> None:
        self._certificate_wanted = False
        if s.uri.scheme == "ws" and self._secure:
            raise TlsMissing
        if not self._transport and s.uri.scheme not in ("ws", "wss"):
            self._transport = WireTransport(self.deliver, self._note, secure=self._secure)
        await super()._connect_to_server(s)

    async def _process_connect_init(self) -> None:
        """Do the handshake. Raises only OSError, TimeoutError and nats.errors.Error, after which nats-py tries again.

        Any other exception would end its tries without a log line.
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
            if self._certificate_wanted and not isinstance(exc, TlsMissing):
                has_certificate = self._tls is not None and self._tls.files.cert is not None
                if (reason := tls_failures.certificate_problem(exc, has_certificate)) is not None:
                    raise ConnectionError(reason) from exc
            raise
        except Exception as exc:
            self._note(exc)
            raise ProtocolError(f"no handshake of NATS ({type(exc).__name__}: {ascii(str(exc))})") from exc
        self._drop_too_large()
        self.options["allow_reconnect"] = True  # from here on nats-py reconnects by itself

    def _drop_too_large(self) -> None:
        """Drop buffered messages above this server's max_payload: for one of them it would close the connection.

        They were published while there was no connection, and the server before had a higher limit. Publishers of
        important messages get no ack, and send them again: then `publish` refuses them.
        """
        kept = [entry for entry in self._pending if len(entry) <= self._max_payload or not self._too_large(entry)]
        if len(kept) < len(self._pending):
            log.warning("buffered messages above the server's max_payload are dropped", max_payload=self._max_payload)
            self._pending, self._pending_data_size = kept, sum(map(len, kept))

    def _too_large(self, entry: bytes) -> bool:
        line = entry.partition(b"\r\n")[0].split()
        return line[:1] in ([b"PUB"], [b"HPUB"]) and int(line[-1]) > self._max_payload

    async def _process_err(self, err_msg: str) -> None:
        """As in nats-py, which closes for good; but after a violation of max_payload, reconnect and learn the limit."""
        if "maximum payload" in err_msg.lower():
            await self._process_op_err(nats.errors.MaxPayloadError())
            return
        await super()._process_err(err_msg)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Read INFO. With `secure`, TLS is also used with a server that only offers it."""
        check_info(info)
        self._certificate_wanted = info.get("tls_verify") is True
        if self._secure and info.get("tls_available"):
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)
        assert self._current_server is not None, "nats-py sets it before it calls this"
        scheme = self._current_server.uri.scheme
        for server in self._server_pool:
            if server.discovered:  # nats-py would use nats:// for them, also after a wss:// server
                server.uri = server.uri._replace(scheme=scheme)

    async def _read_loop(self) -> None:
        """Read and handle what the server sends. Every exception leads to a reconnect."""
        while not (self.is_closed or self.is_reconnecting or self._transport is None):
            try:
                data = await self._transport.read(_READ_BYTES)
                if not data:
                    raise nats.errors.UnexpectedEOF
                await self._ps.parse(data)
            except Exception as exc:  # noqa: BLE001 - else the read loop would end, and no reconnect follow
                await self._process_op_err(exc)
                return

    async def _process_op_err(self, e: Exception) -> None:
        """Report the error that ended an established connection, and reconnect."""
        if not (self.is_closed or self.is_reconnecting):
            if self._note(e):
                log.error("the NATS server sent what cannot be read; reconnecting", error=str(e), exc_info=_trace_of(e))
            else:
                await self._error_cb(e)
        await super()._process_op_err(e)

    def _note(self, exc: Exception) -> bool:
        """Return whether `exc` is an error in what the server sent; count each such error once."""
        unreadable = isinstance(exc, ProtocolError) or _trace_of(exc) is not None
        if unreadable and exc is not self._counted:
            self._counted = exc
            self._repairs.protocol_errors += 1
        return unreadable

    async def _process_pong(self) -> None:
        """As in nats-py, but safe for a ping whose sender was cancelled: its done future would end the read loop."""
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        # nats-py would write pending bytes here: before the end of a handshake, before CONNECT and TLS; on a lost
        # connection that raises, and the closed callback is not called. `Broker` flushes before it closes.
        reconnecting = self._reconnection_task
        if reconnecting is not None and reconnecting is not asyncio.current_task():
            # nats-py cancels it once. On Python 3.11 `wait_for` can lose that, and it would reconnect without end.
            await tasks.end(reconnecting)
        self._pending, self._pending_data_size = [], 0
        await super()._close(status, do_cbs)

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        """Send a ping after all pending bytes.

        nats-py sends its pings before them, so that a pong would not prove that a new subscription has arrived.
        """
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        self._pending.append(nats_client.PING_PROTO)
        self._pending_data_size += len(nats_client.PING_PROTO)
        await self._flush_pending()

    # ---- messages

    async def subscribe_direct(self, subject: str, queue: str, on_message: OnMessage) -> Subscription:
        """Subscribe with a direct callback, registered before the first message can arrive."""
        self.direct[self._sid + 1] = on_message
        subscription = await self.subscribe(subject, queue=queue)
        # Not used. The iterator and the subscription would be freed by the collector alone; the queue takes 2 KB.
        subscription._message_iterator = None
        subscription._pending_queue = None  # type: ignore[assignment]
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Stop calling its direct callback."""
        self.direct.pop(subscription._id, None)

    def deliver(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        """Pass a message to its direct callback, or to the queue of its subscription. Never raises."""
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        on_message = self.direct.get(sid)
        try:
            if on_message is None:
                self._enqueue(sid, subject, reply, block, data)
            else:
                headers = Headers(block) if block else NO_HEADERS
                on_message(subjects.decoded(subject), subjects.decoded(reply), data, headers)
        except Exception:  # noqa: BLE001 - else one bad message would end the connection
            log.exception("a message callback failed", subject=subject.decode("utf-8", "backslashreplace"))

    def _enqueue(self, sid: int, subject: bytes, reply: bytes, block: bytes, data: bytes) -> None:
        """Queue a message for a subscription without direct callback: one of nats.micro."""
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
                    headers=Headers(block).all() if block else None,
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
    """Return `exc` if it is a fault of our code, whose traceback the log needs; None for a connection's error."""
    return None if isinstance(exc, OSError | nats.errors.Error) else exc
