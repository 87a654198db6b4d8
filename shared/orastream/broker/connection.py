"""One NATS connection: it reconnects for ever, tells whoever asked when it did, and publishes, subscribes, requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import nats.errors
from nats.micro.service import Service

from orastream.base import logger
from orastream.broker import address, control_line, micro
from orastream.broker.connecting import until_connected
from orastream.broker.credentials import Credentials
from orastream.broker.fastpath.dispatch import DispatchingClient, Headers, OnMessage
from orastream.broker.fastpath.splitter import ProtocolError
from orastream.broker.hooks import Hooks, hooked
from orastream.broker.micro import Answerer
from orastream.broker.refusals import Refusals
from orastream.broker.repairs import Repairs
from orastream.broker.subscription import Subscription
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, NotConnected

PING_INTERVAL_S = 2
RECONNECT_WAIT_S = 0.25

log = logger.named(__name__)


class Broker:
    """One NATS connection: `async with Bus(url, name="synth") as broker` connects; at the end it flushes and closes."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        creds: Path | None = None,
        inbox_prefix: str = subjects.INBOX,
        connect_timeout_s: float | None = None,
    ) -> None:
        """`connect_timeout_s` None waits for NATS for ever (a service); a number bounds it (a client).

        `creds` is the user's credentials file, NATS_CREDS. Entering raises SettingsError when it is not one, and for a
        URL that is none. Raises ValueError: inboxes cannot begin with that.
        """
        self._url = url
        self.url = address.shown(url)
        """Where NATS is, as it may be shown: without user and password."""
        self._name = name
        self._creds = Credentials(creds) if creds else None
        self._inbox_prefix = subjects.check_inbox_prefix(inbox_prefix)
        self._connect_timeout_s = connect_timeout_s
        self._nc = DispatchingClient()
        self._up = asyncio.Event()
        self._closed = asyncio.Event()
        self._unexplained = False
        """The connection broke, and that the server does not take it back was not said yet."""
        self._reconnect_hooks: list[Callable[[], None]] = []
        self._disconnect_hooks: list[Callable[[], None]] = []
        self._routes: dict[str, OnMessage] = {}
        self._route_count = 0
        self._inbox = ""
        self.reconnects = 0
        self.repairs = Repairs()
        self.missing = Hooks()
        """Called when an answer, or none, may mean that a stream or a consumer is gone."""
        self._refusals = Refusals()

    async def __aenter__(self) -> Self:
        await self._connect()
        self._inbox = self._nc.new_inbox()
        await self.subscribe(f"{self._inbox}.*", self._on_inbox)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._up.clear()
        # Not drain(): it raises while reconnecting. Whoever published something that matters has its ack by now.
        with contextlib.suppress(nats.errors.Error, OSError):
            if self._nc.is_connected:
                await self._nc.flush(timeout=1)
        with contextlib.suppress(nats.errors.Error, OSError):
            async with asyncio.timeout(2):
                await self._nc.close()

    async def _connect(self) -> None:
        if self._creds is not None:
            self._creds.check()
        await until_connected(self.url, self._try_connect, self._connect_timeout_s)
        self._up.set()

    async def _try_connect(self) -> None:
        self._nc = DispatchingClient(self.repairs, secure=address.secure(self._url))
        try:
            await self._dial()
        except BaseException:
            self._nc.abandon()
            raise

    async def _dial(self) -> None:
        await self._nc.connect(
            address.servers(self._url),
            name=self._name,
            user_jwt_cb=self._creds.jwt if self._creds else None,
            signature_cb=self._creds.sign if self._creds else None,
            inbox_prefix=self._inbox_prefix,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            connect_timeout=2,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # floats work; the hint says int
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=2,
            pending_size=16 << 20,
            allow_reconnect=False,  # the first connection is ours to repeat; the client allows it once connected
        )

    # ---- state

    @property
    def connected(self) -> bool:
        """Whether the connection is up now, as far as the client knows (see `round_trip`)."""
        return self._up.is_set() and self._nc.is_connected

    @property
    def max_payload(self) -> int:
        """The server's limit of headers and payload together, in bytes. Exceeding it would close the connection."""
        return self._nc.max_payload

    @property
    def closed(self) -> asyncio.Event:
        """Set when the connection is closed for good."""
        return self._closed

    def on_reconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` after each reconnect; returns what takes it off again."""
        return hooked(self._reconnect_hooks, hook)

    def on_disconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` when the connection breaks; returns what takes it off again."""
        return hooked(self._disconnect_hooks, hook)

    async def wait_connected(self, timeout_s: float) -> None:
        """Return once connected. Raises NodeUnavailable after `timeout_s`, NotConnected when closed for good."""
        if self.connected:
            return
        if self._closed.is_set():
            raise NotConnected(f"the connection to {self.url} is closed")
        try:
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        except TimeoutError:
            raise NodeUnavailable(f"no connection to NATS at {self.url} for {timeout_s:g} s") from None

    async def round_trip(self, timeout_s: float = 2.0) -> None:
        """Prove that the server answers now. Raises NodeUnavailable when it does not."""
        if not self.connected:
            raise NodeUnavailable(f"NATS at {self.url} is not connected")
        try:
            async with asyncio.timeout(timeout_s):
                await self._nc.flush(timeout=max(1, int(timeout_s)))
        except (nats.errors.Error, OSError) as exc:
            raise NodeUnavailable(f"NATS at {self.url} does not answer: {exc or 'timeout'}") from exc

    def refused(self, subject: str) -> str | None:
        """What the server refused, if that is why nothing is answered on `subject`; as in `publish to "tts.x"`."""
        return self._refusals.of(subject, f"{self._inbox}.*")

    # ---- messages

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish unconfirmed. Raises NodeUnavailable, PublishRefused: no server would take that subject."""
        control_line.check(subject, reply)
        try:
            await self._nc.publish(subject, data, reply=reply, headers=headers)
        except (nats.errors.Error, OSError) as exc:
            raise self._translated(subject, exc) from exc

    async def request(
        self, subject: str, data: bytes, *, headers: dict[str, str] | None = None, timeout_s: float = 2.0
    ) -> tuple[bytes, Headers]:
        """One answer to a request. Raises NodeUnavailable: nobody listens, or no answer in time."""
        # Not the client's own request(): its wait_for may swallow a cancellation (Python 3.11).
        answered: asyncio.Future[tuple[bytes, Headers]] = asyncio.get_running_loop().create_future()

        def on_message(_subject: str, _reply: str, answer: bytes, answer_headers: Headers) -> None:
            if not answered.done():
                answered.set_result((answer, answer_headers))

        inbox = self.open_inbox(on_message)
        try:
            await self.publish(subject, data, reply=inbox, headers=headers)
            async with asyncio.timeout(timeout_s):
                answer, answer_headers = await answered
        except TimeoutError:
            why = f": NATS refuses {refused}" if (refused := self.refused(subject)) else ""
            raise NodeUnavailable(f"no answer on {subject} within {timeout_s:g} s{why}") from None
        finally:
            self.close_inbox(inbox)
        if answer_headers.status == "503":
            raise NodeUnavailable(f"nobody answers on {subject}; is JetStream on and the node started?")
        return answer, answer_headers

    async def subscribe(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Hand each message to `on_message`, in the order of this connection. Raises as `publish` does."""
        control_line.check(subject, queue)
        try:
            return Subscription(self._nc, await self._nc.subscribe_direct(subject, queue, on_message))
        except (nats.errors.Error, OSError) as exc:
            raise self._translated(subject, exc) from exc

    def new_inbox(self) -> str:
        """A subject for a subscription of one's own (deliveries of a consumer come under their stored subject)."""
        return self._nc.new_inbox()

    def open_inbox(self, on_message: OnMessage) -> str:
        """A reply subject of this connection whose messages go to `on_message` until `close_inbox`. No round trip."""
        self._route_count += 1
        key = str(self._route_count)
        self._routes[key] = on_message
        return f"{self._inbox}.{key}"

    def close_inbox(self, subject: str) -> None:
        """Forget an inbox; what still arrives for it is dropped."""
        self._routes.pop(subject.rpartition(".")[2], None)

    def _on_inbox(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        if (route := self._routes.get(subject.rpartition(".")[2])) is not None:
            route(subject, reply, data, headers)

    async def serve(
        self, name: str, version: str, description: str, subject: str, answer: Answerer, *, queue: str = "q"
    ) -> Service:
        """A nats.micro service with one endpoint (see `micro.serve`)."""
        return await micro.serve(self._nc, name, version, description, subject, answer, queue)

    # ---- callbacks of the client

    async def _on_error(self, exc: Exception) -> None:
        if self._up.is_set() and not isinstance(exc, OSError | nats.errors.Error):
            log.error("error in a NATS callback", exc_info=exc)
            return
        problem = str(exc) or type(exc).__name__
        if self._refusals.note(problem):
            log.warning("NATS refuses this user something", error=problem)
        elif self._unexplained and (
            isinstance(exc, ProtocolError) or address.explains(problem)
        ):  # it tries on, several times a second: said once
            self._unexplained = False
            log.warning("not reconnected", error=address.unconnected(self.url, problem))
        else:
            log.debug("NATS client error", error=problem)

    async def _on_disconnected(self) -> None:
        if self._up.is_set():
            self._up.clear()
            self._unexplained = True
            log.warning("NATS connection lost; reconnecting", url=self.url)
            for hook in list(self._disconnect_hooks):
                hook()

    async def _on_reconnected(self) -> None:
        self.reconnects += 1
        self._unexplained = False
        self._up.set()
        log.info("NATS connection restored", url=self.url)
        for hook in list(self._reconnect_hooks):
            hook()

    async def _on_closed(self) -> None:
        self._up.clear()
        self._closed.set()

    def _translated(self, subject: str, exc: Exception) -> NodeUnavailable:
        if isinstance(exc, nats.errors.ConnectionClosedError):
            return NotConnected(f"the connection to {self.url} is closed")
        return NodeUnavailable(f"{subject}: {exc or type(exc).__name__}")
