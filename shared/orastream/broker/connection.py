"""One NATS connection. It reconnects without limit, calls hooks when it does, and publishes, subscribes, requests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import nats.errors
from nats.micro.service import Service, ServiceConfig

from orastream.base import foreign_text, logger
from orastream.broker import address, control_line, micro
from orastream.broker.access import Access
from orastream.broker.connecting import until_connected
from orastream.broker.dialer import Dialer
from orastream.broker.fastpath.dispatch import DispatchingClient, OnMessage, ServerIdentity
from orastream.broker.fastpath.headers import Headers
from orastream.broker.fastpath.splitter import ProtocolError
from orastream.broker.hooks import Hooks
from orastream.broker.inboxes import Inboxes
from orastream.broker.micro import Answers
from orastream.broker.refusals import Refusals
from orastream.broker.repairs import Repairs
from orastream.broker.subscription import Subscription
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, NoResponders, NotConnected
from orastream.contract.names import DEFAULT_PREFIX, Names

PING_INTERVAL_S = 2
RECONNECT_WAIT_S = 0.25
NOBODY = "the node is not started, has another TTS_PREFIX, JetStream is off, or this user may not use the subject"

log = logger.named(__name__)


class Broker:
    """One NATS connection, only for the thread of its event loop. `async with` opens it; its end flushes and closes."""

    def __init__(  # noqa: PLR0913 - options of the public interface, all with defaults, by keyword
        self,
        url: str,
        *,
        name: str,
        prefix: str = DEFAULT_PREFIX,
        creds: str | Path | None = None,
        access: Access | None = None,
        inbox_prefix: str = subjects.INBOX,
        connect_timeout_s: float | None = None,
        origin: address.AddressOrigin = address.SETTINGS,
    ) -> None:
        """`connect_timeout_s` limits the wait for NATS, in seconds (a client); None waits without limit (a service).

        `access` holds credentials and files for TLS, `creds` alone the path of the credentials. `origin` says where
        they and `url` come from, for messages. Raises ValueError for `creds` with `access`, and for an invalid `prefix`
        or `inbox_prefix`. Entering raises SettingsError for an invalid file or URL, NodeUnavailable after the limit.
        """
        if creds is not None and access is not None:
            raise ValueError("creds: no effect with access; pass Access(creds=…) instead")
        self._dialer = Dialer(url, access or Access(creds=Path(creds) if creds else None), origin)
        self.url = self._dialer.shown
        """The address without user and password, for messages."""
        self._name = name
        self.names = Names(prefix)
        self.inbox_prefix = self.names.check_inbox_prefix(inbox_prefix)
        self._connect_timeout_s = connect_timeout_s
        self._nc = DispatchingClient()
        self._up = asyncio.Event()
        self._closed = asyncio.Event()
        self._unexplained = False
        """True from a disconnect until the reason why reconnecting fails is logged, or the connection is back."""
        self._reconnect_hooks = Hooks()
        self._disconnect_hooks = Hooks()
        self._inboxes = Inboxes()
        self.reconnects = 0
        self.entered = False  # whether `async with` has opened it: before that each call would wait in vain
        self.repairs = Repairs()
        self.missing = Hooks()
        """Called when an answer, or a missing one, suggests that a stream or a consumer does not exist any more."""
        self._refusals = Refusals()

    async def __aenter__(self) -> Self:
        await self._connect()
        self._inboxes.base = self._nc.new_inbox()
        await self.subscribe(f"{self._inboxes.base}.*", self._inboxes.on_message)
        self.entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._up.clear()
        # Not drain(): it raises while the client reconnects. Publishers of important messages have their acks by now.
        with contextlib.suppress(nats.errors.Error, OSError):
            if self._nc.is_connected:
                await self._nc.flush(timeout=0.5)  # type: ignore[arg-type]  # nats-py accepts floats
        with contextlib.suppress(nats.errors.Error, OSError):
            async with asyncio.timeout(1):
                await self._nc.close()
        await self._nc.abandon()

    async def _connect(self) -> None:
        dialer = self._dialer
        dialer.check()
        await until_connected(self._try_connect, self._connect_timeout_s, dialer.unconnected, dialer.unusable)
        self._up.set()

    async def _try_connect(self) -> None:
        self._nc = self._dialer.client(self.repairs)
        try:
            await self._dial()
        except BaseException:
            await self._nc.abandon()
            raise

    async def _dial(self) -> None:
        await self._nc.connect(
            **self._dialer.options(),
            name=self._name,
            inbox_prefix=self.inbox_prefix,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            connect_timeout=2,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]  # nats-py accepts floats
            max_reconnect_attempts=-1,
            ping_interval=PING_INTERVAL_S,
            max_outstanding_pings=2,
            pending_size=16 << 20,
            allow_reconnect=False,  # `until_connected` repeats the first try; DispatchingClient sets it once connected
        )

    # ---- state

    @property
    def connected(self) -> bool:
        """Whether the client considers the connection up; `round_trip` proves it."""
        return self._up.is_set() and self._nc.is_connected

    @property
    def max_payload(self) -> int:
        """The server's limit for headers and payload together, in bytes. It closes the connection above it."""
        return self._nc.max_payload

    @property
    def server(self) -> ServerIdentity:
        """The server that this client is connected to, as its last INFO names it."""
        return self._nc.server

    @property
    def closed(self) -> asyncio.Event:
        """Set when the connection is closed and will not reconnect."""
        return self._closed

    def on_reconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` after each reconnect. Returns a function that removes it."""
        return self._reconnect_hooks.add(hook)

    def on_disconnect(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` each time the connection breaks. Returns a function that removes it."""
        return self._disconnect_hooks.add(hook)

    async def wait_connected(self, timeout_s: float) -> None:
        """Return once connected. Raises NodeUnavailable after `timeout_s` seconds, NotConnected once closed."""
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
        """Send a ping and wait for its pong. Raises NodeUnavailable if none comes within `timeout_s` seconds."""
        if not self.connected:
            raise NodeUnavailable(f"NATS at {self.url} is not connected")
        try:
            async with asyncio.timeout(timeout_s):
                await self._nc.flush(timeout=max(1, int(timeout_s)))
        except (nats.errors.Error, OSError) as exc:
            raise NodeUnavailable(f"NATS at {self.url} does not answer: {exc or 'timeout'}") from exc

    def refused(self, subject: str) -> str | None:
        """Return the refusal that explains a missing answer on `subject`, as `publish to "tts.x"`, or None."""
        return self._refusals.of(subject, f"{self._inboxes.base}.*")

    # ---- messages

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Publish unconfirmed. Raises NodeUnavailable, and PublishRefused for a subject that no server accepts."""
        control_line.check(subject, reply)
        try:
            await self._nc.publish(subject, data, reply=reply, headers=headers)
        except (nats.errors.Error, OSError) as exc:
            raise self._translated(subject, exc) from exc

    async def request(
        self, subject: str, data: bytes, *, headers: dict[str, str] | None = None, timeout_s: float = 2.0
    ) -> tuple[bytes, Headers]:
        """Return the payload and headers of one answer.

        Raises NoResponders when nobody subscribes to `subject`, NodeUnavailable when no answer comes in `timeout_s`
        seconds, and PublishRefused as `publish` does. Cancel-safe.
        """
        # Not nats-py's request(): its wait_for may lose a cancellation (Python 3.11).
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
            raise NoResponders(f"nobody answers on {subject}: {NOBODY}")
        return answer, answer_headers

    async def subscribe(self, subject: str, on_message: OnMessage, *, queue: str = "") -> Subscription:
        """Call `on_message` for each message, in the order in which they arrive. Raises the errors of `publish`."""
        control_line.check(subject, queue)
        try:
            return Subscription(self._nc, await self._nc.subscribe_direct(subject, queue, on_message))
        except (nats.errors.Error, OSError) as exc:
            raise self._translated(subject, exc) from exc

    def new_inbox(self) -> str:
        """Return a unique subject for a separate subscription, as deliveries need: `open_inbox` cannot route them."""
        return self._nc.new_inbox()

    def open_inbox(self, on_message: OnMessage) -> str:
        """Return a reply subject whose messages go to `on_message` until `close_inbox`. Needs no round trip."""
        return self._inboxes.open(on_message)

    def close_inbox(self, subject: str) -> None:
        """Close an inbox. Messages that arrive for it later are dropped."""
        self._inboxes.close(subject)

    async def serve(
        self, config: ServiceConfig, endpoints: Mapping[str, str], answers: Answers, *, queue: str = "q"
    ) -> Service:
        """Start a nats.micro service; see `micro.serve`."""
        return await micro.serve(self._nc, config, endpoints, answers, queue)

    # ---- callbacks of the client

    async def _on_error(self, exc: Exception) -> None:
        if self._up.is_set() and not isinstance(exc, OSError | nats.errors.Error):
            log.error("error in a NATS callback", exc_info=exc)
            return
        problem = foreign_text.cleaned(str(exc), foreign_text.MAX_MESSAGE_CHARS) or type(exc).__name__
        self._dialer.note(problem)
        if self._refusals.note(problem):
            log.warning("NATS refuses this user something", error=problem)
        elif self._unexplained and (isinstance(exc, ProtocolError) or address.explains(problem)):
            # Once: nats-py tries several times a second, and each try would log it.
            self._unexplained = False
            log.warning("not reconnected", error=self._dialer.unconnected(problem))
        else:
            log.debug("NATS client error", error=problem)

    async def _on_disconnected(self) -> None:
        if self._up.is_set():
            self._up.clear()
            self._unexplained = True
            log.warning("NATS connection lost; reconnecting", url=self.url)
            self._disconnect_hooks.call()

    async def _on_reconnected(self) -> None:
        self.reconnects += 1
        self._unexplained = False
        self._up.set()
        log.info("NATS connection restored", url=self.url)
        self._reconnect_hooks.call()

    async def _on_closed(self) -> None:
        self._up.clear()
        self._closed.set()

    def _translated(self, subject: str, exc: Exception) -> NodeUnavailable:
        if isinstance(exc, nats.errors.ConnectionClosedError):
            return NotConnected(f"the connection to {self.url} is closed")
        return NodeUnavailable(f"{subject}: {foreign_text.cleaned(str(exc)) or type(exc).__name__}")
