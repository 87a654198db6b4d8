"""The client for code without an event loop (Django views, scripts)."""

# length: all calls of the public interface, and what they need to run beside other threads and after a fork

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import importlib
import math
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, overload

from orastream.broker import dialer
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import DEFAULT_WAIT_S, Client
from orastream.client.cancelling import DEFAULT_CUT_S, check_seconds
from orastream.client.connection_options import access_of
from orastream.client.options import to_wire
from orastream.client.voices import Voice
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable, SettingsError
from orastream.contract.heard import Heard
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, Transport
from orastream.contract.names import DEFAULT_PREFIX, Names, check_prefix

MOVED = ("ORASERVER_WEBSOCKET_URL", "WEBSOCKET_CHUNK_SIZE", "WEBSOCKET_MAX_RETRIES")
"""Settings that callers set for the Django TTS server and that now belong to the node."""
MARGIN_S = 30.0
"""Time limit of a call besides waiting for a report. Covers connecting and a leader election."""

T = TypeVar("T")


class BlockingClient:
    """`Client` for sync callers, with one NATS connection in a background thread.

    Thread-safe. Connects at the first call, and again in a forked child.

    client = BlockingClient("nats://127.0.0.1:4222")
    client.say("안녕하세요", session_id="s1", phone_id="p1")
    """

    def __init__(  # noqa: PLR0913 - options of the public interface, all with defaults, by keyword
        self,
        url: str = "nats://127.0.0.1:4222",
        *,
        prefix: str = DEFAULT_PREFIX,
        creds: Path | None = None,
        nkey_seed: str | Path | None = None,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        tls_handshake_first: bool = False,
        inbox_prefix: str = subjects.INBOX,
        fire_and_forget: bool = True,
        transport: Transport | None = None,
        max_text_chars: int = DEFAULT_MAX_TEXT_CHARS,
        max_backlog_s: float | None = None,
        name: str = "orastream-blocking-client",
    ) -> None:
        """The arguments are those of `Client`; nothing is connected yet. Raises ValueError for an invalid `prefix`."""
        self._options: dict[str, Any] = {
            "url": url,
            "prefix": check_prefix(prefix),
            "creds": creds,
            "nkey_seed": nkey_seed,
            "ca": ca,
            "cert": cert,
            "key": key,
            "tls_handshake_first": tls_handshake_first,
            "inbox_prefix": inbox_prefix,
            "fire_and_forget": fire_and_forget,
            "transport": transport,
            "max_text_chars": max_text_chars,
            "max_backlog_s": max_backlog_s,
            "name": name,
        }
        self._reset()
        _clients.add(self)

    def _reset(self) -> None:
        """Reset to "not connected", with a free lock. A forked child needs it: it does not have the parent's thread."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._client: concurrent.futures.Future[Client] | None = None

    @classmethod
    def from_django(cls) -> Self:
        """A client configured by NATS_URL, NATS_CREDS, NATS_NKEY_SEED, NATS_CA, NATS_CERT, NATS_KEY,
        NATS_TLS_HANDSHAKE_FIRST, NATS_INBOX_PREFIX, TTS_PREFIX, DEFAULT_TRANSFER_METHOD, DEFAULT_FIRE_AND_FORGET,
        TTS_MAX_TEXT_CHARS and TTS_MAX_BACKLOG_SECONDS.

        Each is read from Django's settings, else from the environment, else it has the default. Warns about settings
        that have moved to the node. Raises SettingsError that names the invalid setting.
        """
        try:
            django_settings: object = importlib.import_module("django.conf").settings
        except ImportError:
            django_settings = object()

        def value(name: str, default: object) -> Any:
            for found in (getattr(django_settings, name, ""), os.environ.get(name, "")):
                if found != "":  # an empty value counts as absent, as in the node's services
                    return found
            return default

        for name in MOVED:
            if value(name, None) is not None:
                warnings.warn(f"{name} has no effect here any more: set it for the node's services", stacklevel=2)
        method = str(value("DEFAULT_TRANSFER_METHOD", "websocket"))
        if method not in ("websocket", "http"):
            raise SettingsError(f"DEFAULT_TRANSFER_METHOD: {method!r} is neither 'websocket' nor 'http'")
        url = str(value("NATS_URL", "nats://127.0.0.1:4222"))
        names = ("NATS_CREDS", "NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY")
        creds, seed, ca, cert, key = (value(name, None) for name in names)
        first = _boolean("NATS_TLS_HANDSHAKE_FIRST", value("NATS_TLS_HANDSHAKE_FIRST", False))
        access = access_of(creds, seed, ca, cert, key, first)
        dialer.check_settings(url, access)
        prefix = _checked("TTS_PREFIX", check_prefix, value("TTS_PREFIX", DEFAULT_PREFIX))
        inbox = value("NATS_INBOX_PREFIX", None) or subjects.INBOX
        return cls(
            url,
            prefix=prefix,
            **dataclasses.asdict(access),
            inbox_prefix=_checked("NATS_INBOX_PREFIX", Names(prefix).check_inbox_prefix, inbox),
            fire_and_forget=_boolean("DEFAULT_FIRE_AND_FORGET", value("DEFAULT_FIRE_AND_FORGET", True)),
            transport="websocket" if method == "websocket" else "http",
            max_text_chars=_count("TTS_MAX_TEXT_CHARS", value("TTS_MAX_TEXT_CHARS", DEFAULT_MAX_TEXT_CHARS)),
            max_backlog_s=_seconds("TTS_MAX_BACKLOG_SECONDS", value("TTS_MAX_BACKLOG_SECONDS", None)),
        )

    def say(
        self, text: str, *, session_id: str, phone_id: str, wait_s: float = DEFAULT_WAIT_S, **options: Any
    ) -> Acceptance | Report:
        """See `Client.say`: same arguments, results and errors."""
        more: Any = to_wire("say", options, given=("text", "session_id", "phone_id"))  # a typing error must not connect
        return self._run(lambda c: c.say(text, session_id=session_id, phone_id=phone_id, wait_s=wait_s, **more), wait_s)

    def utterance(
        self,
        tokens: Iterable[str | None],
        *,
        session_id: str,
        phone_id: str,
        wait_s: float = DEFAULT_WAIT_S,
        **options: Any,
    ) -> Acceptance | Report:
        """Have a text spoken while it is still being written: `tokens` yields its pieces.

        Returns what `say` returns, after the last token. If the request ends before (a barge-in), no more tokens are
        taken. A token that is None counts as an empty one. An exception raised by `tokens`, or a token that is neither
        str nor None (TypeError), cancels the request. See `Client.utterance`: same arguments and errors.
        """
        more: Any = to_wire("utterance", options, given=("session_id", "phone_id", "text_stream"))
        stream = self._run(lambda c: c.utterance(session_id=session_id, phone_id=phone_id, **more).__aenter__())

        def write(token: str | None) -> None:
            self._run(lambda _: stream.write(token))

        try:
            for token in tokens:
                write(token)
        except BaseException as exc:
            failure = exc  # Python deletes `exc` at the end of this block, but the lambda may still need it
            if not self._run(lambda _: stream.__aexit__(type(failure), failure, failure.__traceback__)):
                raise
        else:
            self._run(lambda _: stream.__aexit__(None, None, None))
        return self._run(lambda _: stream.wait(wait_s), wait_s) if stream.waits else stream.acceptance

    def wait(self, session_id: str, request_id: str, wait_s: float = DEFAULT_WAIT_S) -> Report:
        """See `Client.wait`."""
        return self._run(lambda c: c.wait(session_id, request_id, wait_s), wait_s)

    @overload
    def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: Literal[False] = False, timeout_s: float = ...
    ) -> int: ...
    @overload
    def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: Literal[True], timeout_s: float = ...
    ) -> tuple[Heard, ...]: ...
    def cancel(
        self, session_id: str, request_id: str | None = None, *, wait: bool = False, timeout_s: float = DEFAULT_CUT_S
    ) -> int | tuple[Heard, ...]:
        """See `Client.cancel`."""
        if wait:
            extra_s = check_seconds("timeout_s", timeout_s)
            return self._run(lambda c: c.cancel(session_id, request_id, wait=True, timeout_s=timeout_s), extra_s)
        return self._run(lambda c: c.cancel(session_id, request_id))

    def heard(self, session_id: str, request_id: str) -> Heard | None:
        """See `Client.heard`."""
        return self._run(lambda c: c.heard(session_id, request_id))

    def report(self, session_id: str, request_id: str) -> Report | None:
        """See `Client.report`."""
        return self._run(lambda c: c.report(session_id, request_id))

    def voices(self) -> list[Voice]:
        """See `Client.voices`."""
        return self._run(lambda c: c.voices())

    def close(self) -> None:
        """Close the connection. The next call opens a new one."""
        with self._lock:
            if self._loop is None:
                return
            loop, thread, opening = self._loop, self._thread, self._client
            self._loop = self._thread = self._client = None
        # Wait (at most 10 s) for a connection that is being opened: stopping the loop earlier would leak its socket.
        if opening is not None and opening.exception(10) is None:
            asyncio.run_coroutine_threadsafe(opening.result().__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        if thread is not None:
            thread.join(10)
        loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: Callable[[Client], Coroutine[Any, Any, T]], extra_s: float = 0.0) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("BlockingClient would block this event loop; use orastream.Client here")
        loop, client = self._connected()
        return _result(asyncio.run_coroutine_threadsafe(call(client), loop), extra_s + MARGIN_S)

    def _connected(self) -> tuple[asyncio.AbstractEventLoop, Client]:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="orastream", daemon=True)
                self._thread.start()
                self._loop = loop
            if self._client is None or (self._client.done() and self._client.exception() is not None):
                self._client = asyncio.run_coroutine_threadsafe(self._open(), self._loop)
            loop, opening = self._loop, self._client
        # Outside the lock: otherwise a thread that waits for the lock would wait longer than MARGIN_S.
        try:
            return loop, opening.result(MARGIN_S)
        except concurrent.futures.TimeoutError:
            raise NodeUnavailable(f"no connection within {MARGIN_S:g} s") from None

    async def _open(self) -> Client:
        return await Client(**self._options).__aenter__()


_clients: weakref.WeakSet[BlockingClient] = weakref.WeakSet()


def _after_fork() -> None:
    for client in _clients:
        client._reset()


if hasattr(os, "register_at_fork"):  # missing on platforms without fork
    os.register_at_fork(after_in_child=_after_fork)


def _result(future: concurrent.futures.Future[T], timeout_s: float) -> T:
    try:
        return future.result(timeout_s)
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise NodeUnavailable(f"no answer within {timeout_s:g} s") from None


def _checked(name: str, check: Callable[[str], str], value: object) -> str:
    try:
        return check(str(value))
    except ValueError as exc:
        raise SettingsError(f"{name}: {exc}") from None


def _count(name: str, value: object) -> int:
    try:
        count = int(str(value))
    except ValueError:
        count = 0
    if count < 1:
        raise SettingsError(f"{name}: {value!r} is not a number above 0")
    return count


def _seconds(name: str, value: object) -> float | None:
    if value is None or str(value).lower() == "off":
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise SettingsError(f"{name}: {value!r} is neither a number of seconds, 0 or more, nor off")
    return seconds


def _boolean(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name}: {value!r} is neither true nor false")
