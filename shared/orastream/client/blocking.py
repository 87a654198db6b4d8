"""The client for code without an event loop (Django views, scripts)."""

# length: all calls of the public interface, and what they need to run beside other threads and after a fork

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import DEFAULT_WAIT_S, Client
from orastream.client.cancelling import DEFAULT_CUT_S, check_seconds
from orastream.client.connection_options import CONNECT_TIMEOUT_S, check_url
from orastream.client.django_settings import client_options
from orastream.client.loop_thread import CLOSED, LoopThread
from orastream.client.options import SayOptions, UtteranceOptions, to_wire
from orastream.client.shared_opening import SharedOpening
from orastream.client.voices import Voice
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable
from orastream.contract.heard import Heard
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report, Transport
from orastream.contract.names import DEFAULT_PREFIX, check_prefix

MARGIN_S = 30.0
"""Time limit of a call besides waiting for a report. Covers a leader election."""
CLOSE_S = 10.0

T = TypeVar("T")


class BlockingClient:
    """`Client` for sync callers, with one NATS connection in a background thread.

    Thread-safe. Connects at the first call, and again in a forked child. Also for the green threads of gevent and
    eventlet: a call lets others go on.

    client = BlockingClient("nats://127.0.0.1:4222")
    client.say("안녕하세요", session_id="s1", phone_id="p1")
    """

    def __init__(  # noqa: PLR0913 - options of the public interface, all with defaults, by keyword
        self,
        url: str = "nats://127.0.0.1:4222",
        *,
        prefix: str = DEFAULT_PREFIX,
        creds: str | Path | None = None,
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
        connect_timeout_s: float | None = CONNECT_TIMEOUT_S,
        name: str = "orastream-blocking-client",
    ) -> None:
        """The arguments are those of `Client`; nothing is connected yet. Raises ValueError for an invalid `prefix` or
        `connect_timeout_s`, TypeError for a `url` that is no str.

        A call that must connect first raises NodeUnavailable after `connect_timeout_s` seconds (None: 30). For 1 s
        after that, calls raise it at once; then the client tries again, and a call waits for it at most 0.5 s.
        """
        check_url(url)
        limit_s = MARGIN_S if connect_timeout_s is None else check_seconds("connect_timeout_s", connect_timeout_s)
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
            "connect_timeout_s": limit_s,
            "name": name,
        }
        self._connect_s = limit_s + CLOSE_S
        self._reset()
        _clients.add(self)

    def _reset(self) -> None:
        """Reset to "not connected", with a free lock. A forked child needs it: it does not have the parent's thread."""
        self._lock = threading.Lock()
        self._running: _Running | None = None

    @classmethod
    def from_django(cls) -> Self:
        """A client configured by NATS_URL, NATS_CREDS, NATS_NKEY_SEED, NATS_CA, NATS_CERT, NATS_KEY,
        NATS_TLS_HANDSHAKE_FIRST, NATS_INBOX_PREFIX, TTS_PREFIX, DEFAULT_TRANSFER_METHOD, DEFAULT_FIRE_AND_FORGET,
        TTS_MAX_TEXT_CHARS and TTS_MAX_BACKLOG_SECONDS.

        Each is read from the dict ORASTREAM in Django's settings, else from Django's settings, else from the
        environment, else it has the default. Warns about settings that have moved to the node. Raises SettingsError
        that names the invalid setting.
        """
        return cls(**client_options())

    @overload
    def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: Literal[False],
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Report: ...
    @overload
    def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: Literal[True],
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Acceptance: ...
    @overload
    def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: bool | None = ...,
        wait_s: float = ...,
        **options: Unpack[SayOptions],
    ) -> Acceptance | Report: ...
    def say(
        self,
        text: str,
        *,
        session_id: str,
        phone_id: str,
        fire_and_forget: bool | None = None,
        wait_s: float = DEFAULT_WAIT_S,
        **options: Unpack[SayOptions],
    ) -> Acceptance | Report:
        """See `Client.say`: same arguments, results and errors."""
        to_wire(
            "say", options, given=("text", "session_id", "phone_id", "fire_and_forget")
        )  # a typing error must not connect

        def say(client: Client) -> Coroutine[Any, Any, Acceptance | Report]:
            ids = {"session_id": session_id, "phone_id": phone_id}
            return client.say(text, **ids, fire_and_forget=fire_and_forget, wait_s=wait_s, **options)

        return self._run(say, wait_s)

    @overload
    def utterance(
        self,
        tokens: Iterable[str | None],
        *,
        session_id: str,
        phone_id: str,
        text: str = ...,
        fire_and_forget: Literal[False],
        wait_s: float = ...,
        **options: Unpack[UtteranceOptions],
    ) -> Report: ...
    @overload
    def utterance(
        self,
        tokens: Iterable[str | None],
        *,
        session_id: str,
        phone_id: str,
        text: str = ...,
        fire_and_forget: Literal[True],
        wait_s: float = ...,
        **options: Unpack[UtteranceOptions],
    ) -> Acceptance: ...
    @overload
    def utterance(
        self,
        tokens: Iterable[str | None],
        *,
        session_id: str,
        phone_id: str,
        text: str = ...,
        fire_and_forget: bool | None = ...,
        wait_s: float = ...,
        **options: Unpack[UtteranceOptions],
    ) -> Acceptance | Report: ...
    def utterance(
        self,
        tokens: Iterable[str | None],
        *,
        session_id: str,
        phone_id: str,
        text: str = "",
        fire_and_forget: bool | None = None,
        wait_s: float = DEFAULT_WAIT_S,
        **options: Unpack[UtteranceOptions],
    ) -> Acceptance | Report:
        """Have a text spoken while it is still being written: `tokens` yields its pieces, after its beginning `text`.

        Returns what `say` returns, after the last token. If the request ends before (a barge-in), no more tokens are
        taken. A token that is None counts as an empty one. An exception raised by `tokens`, or a token that is neither
        str nor None (TypeError), cancels the request. See `Client.utterance`: same arguments and errors.
        """
        given = ("text", "session_id", "phone_id", "fire_and_forget", "text_stream")
        to_wire("utterance", options, given=given)
        running, client = self._connected()
        ids = {"session_id": session_id, "phone_id": phone_id}
        stream = client.utterance(**ids, text=text, fire_and_forget=fire_and_forget, **options)

        def run(call: Callable[[], Coroutine[Any, Any, T]], extra_s: float = 0.0) -> T:
            return self._run_in(running, call, extra_s + MARGIN_S)

        run(stream.__aenter__)
        try:
            for token in tokens:
                run(partial(stream.write, token))
        except BaseException as exc:
            if not run(partial(stream.__aexit__, type(exc), exc, exc.__traceback__)):
                raise
        else:
            run(partial(stream.__aexit__, None, None, None))
        return run(partial(stream.wait, wait_s), wait_s) if stream.waits else stream.acceptance

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

    def reports(self, session_id: str | None = None, *, history: bool = False) -> Generator[Report, None, None]:
        """See `Client.reports`: endless, and it waits for the next report without a limit.

        For one thread. Raises NodeUnavailable once the client is closed, and in a forked child.
        """
        running, client = self._connected()
        return self._following(running, client.reports(session_id, history=history))

    def _following(self, running: _Running, reports: AsyncGenerator[T, None]) -> Generator[T, None, None]:
        try:
            while True:
                yield self._run_in(running, reports.__anext__, None)
        finally:
            if running is self._running:  # a forked child does not have the thread
                running.thread.begin(reports.aclose)

    def voices(self) -> list[Voice]:
        """See `Client.voices`."""
        return self._run(lambda c: c.voices())

    def close(self) -> None:
        """Close the connection. The next call opens a new one. Calls of other threads raise NodeUnavailable."""
        with self._locked():
            running, self._running = self._running, None
        if running is None:
            return
        try:
            with contextlib.suppress(NodeUnavailable):
                running.thread.run(running.close, CLOSE_S)
        finally:
            running.thread.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, call: Callable[[Client], Coroutine[Any, Any, T]], extra_s: float = 0.0) -> T:
        running, client = self._connected()
        return self._run_in(running, lambda: call(client), extra_s + MARGIN_S)

    def _run_in(self, running: _Running, call: Callable[[], Coroutine[Any, Any, T]], limit_s: float | None) -> T:
        if running is not self._running:
            raise NodeUnavailable(CLOSED)
        return running.thread.run(call, limit_s)

    def _connected(self) -> tuple[_Running, Client]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("BlockingClient would block this event loop; use orastream.Client here")
        running = self._running
        if running is None:
            with self._locked():
                if (running := self._running) is None:
                    running = self._running = _Running(LoopThread(), SharedOpening(self._open, _ended))
        opened = running.opening.opened
        # Outside the lock: otherwise a thread that waits for the lock would wait longer than its limit.
        return running, opened or running.thread.run(running.opening.get, self._connect_s, late="no connection")

    async def _open(self) -> Client:
        return await Client(**self._options).__aenter__()

    @contextlib.contextmanager
    def _locked(self) -> Generator[None, None, None]:
        """Hold the lock. A lock that was made before gevent has patched threads would block all green threads."""
        lock = self._lock
        while not lock.acquire(blocking=False):
            time.sleep(0.001)
        try:
            yield
        finally:
            lock.release()


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """The thread with the connection."""

    thread: LoopThread
    opening: SharedOpening[Client]

    async def close(self) -> None:
        """Close the connection, in the thread's loop."""
        if (client := await self.opening.close()) is not None:
            await client.__aexit__(None, None, None)


def _ended(client: Client) -> bool:
    return client.broker.closed.is_set()


_clients: weakref.WeakSet[BlockingClient] = weakref.WeakSet()


def _after_fork() -> None:
    for client in _clients:
        client._reset()


if hasattr(os, "register_at_fork"):  # missing on platforms without fork
    os.register_at_fork(after_in_child=_after_fork)
