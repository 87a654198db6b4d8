"""An event loop in a thread of its own, for callers without one.

With gevent or eventlet the callers are green threads of one real thread. Then the loop runs in a second real thread,
and a caller waits for a byte in a pipe, which lets other green threads go on. Locks and futures of `threading` are
replaced there, and cannot be shared with another real thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from orastream.base import tasks
from orastream.client.green_threads import patched_by, real_write_and_close, start_real_thread
from orastream.contract.errors import NodeUnavailable

T = TypeVar("T")

NAME = "orastream"
STOP_S = 10.0
CLOSED = "the client was closed during the call"


class LoopThread:
    """A running event loop. `run` may be called from any thread, or from any green thread."""

    def __init__(self) -> None:
        """Start the thread.

        Raises SettingsError for an environment in which callers could not wait, and OSError if no loop can be made (too
        many open files).
        """
        library = patched_by()
        self._started, self._ended = _Signal(), _Signal()
        self._loop: asyncio.AbstractEventLoop
        self._failure: Exception | None = None
        self._calls: set[_Call] = set()
        self._background: set[asyncio.Task[Any]] = set()
        self._thread: threading.Thread | None = None
        if library is None:
            self._thread = threading.Thread(target=self._main, name=NAME, daemon=True)
            self._thread.start()
        else:
            start_real_thread(library, self._main)
        self._started.wait(None)
        if self._failure is not None:
            raise self._failure

    def run(self, call: Callable[[], Coroutine[Any, Any, T]], timeout_s: float | None, *, late: str = "no answer") -> T:
        """Run a coroutine in the loop, and return its result or raise its error.

        It is cancelled if the caller is interrupted, and after `timeout_s` seconds (None: no limit), which raises
        NodeUnavailable with a message that begins with `late`. Raises NodeUnavailable, too, if `stop` comes first.
        """
        running = _Call(call)
        self._calls.add(running)
        try:
            self._soon(running.begin)
            in_time = running.done.wait(timeout_s)
        except BaseException:
            with contextlib.suppress(NodeUnavailable):
                self._soon(running.cancel)
            raise
        finally:
            self._calls.discard(running)
        if not in_time:
            self._soon(running.cancel)
            raise NodeUnavailable(f"{late} within {timeout_s:g} s")
        return cast(T, running.result())

    def begin(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Begin a coroutine in the loop, and return. Its error is dropped. Does nothing once the loop has ended.

        May be called in the loop's own thread, which collects garbage, too: there `run` would wait for itself.
        """
        with contextlib.suppress(NodeUnavailable):
            self._soon(lambda: self._in_background(call()))

    def _in_background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        task.add_done_callback(_retrieved)

    def stop(self) -> None:
        """End the loop and its thread, at most 10 s later. Calls that go on raise NodeUnavailable."""
        with contextlib.suppress(NodeUnavailable):
            self._soon(self._loop.stop)
        if self._thread is not None:
            self._thread.join(STOP_S)
        else:
            self._ended.wait(STOP_S)

    def _soon(self, callback: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed
            raise NodeUnavailable(CLOSED) from None

    def _main(self) -> None:
        # Here, because gevent binds the selector of a loop to the thread that makes it.
        try:
            self._loop = asyncio.new_event_loop()
        except Exception as exc:  # noqa: BLE001 - the thread that waits raises it
            self._failure = exc
            return
        finally:
            self._started.set()
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_end_all())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
            for call in list(self._calls):  # one that came after the last task has ended was never begun
                call.done.set()
            self._ended.set()


async def _end_all() -> None:
    own = asyncio.current_task()
    await tasks.end(*(task for task in asyncio.all_tasks() if task is not own))


class _Signal:
    """An event that one thread sets, and one other thread or green thread waits for, once.

    What of its pipe is open when nobody has it any more is closed then: it may never be set, or never waited for.
    """

    def __init__(self) -> None:
        self._read = self._write = -1
        self._event = threading.Event() if patched_by() is None else None
        if self._event is None:
            self._real_write, self._real_close = real_write_and_close()
            self._read, self._write = os.pipe()

    def __del__(self) -> None:
        for descriptor in (self._read, self._write):
            if descriptor != -1:
                self._real_close(descriptor)

    def set(self) -> None:
        """Set it. Only one thread may do so."""
        if self._event is not None:
            self._event.set()
        elif self._write != -1:
            with contextlib.suppress(OSError):  # nobody waits any more
                self._real_write(self._write, b"1")
            descriptor, self._write = self._write, -1
            self._real_close(descriptor)

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until it is set, at most `timeout_s` seconds. Returns whether it is."""
        if self._event is not None:
            return self._event.wait(timeout_s)
        try:
            return _readable(self._read, timeout_s)
        finally:
            descriptor, self._read = self._read, -1
            os.close(descriptor)


def _readable(descriptor: int, timeout_s: float | None) -> bool:
    """Whether there is something to read within the time. Other green threads go on."""
    if not hasattr(select, "poll"):  # eventlet removes it; its `select` takes each descriptor
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    poll = select.poll()  # gevent's `select` raises ValueError for descriptors above 1023, which a server has soon
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


class _Call:
    """One call, from its begin in the loop's thread to its result in the caller's."""

    def __init__(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._call = call
        self._task: asyncio.Task[Any] | None = None
        self.done = _Signal()

    def begin(self) -> None:
        """In the loop's thread."""
        self._task = asyncio.get_running_loop().create_task(self._call())
        self._task.add_done_callback(lambda _: self.done.set())

    def cancel(self) -> None:
        """In the loop's thread, when nobody waits for it any more. After `begin`."""
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(_retrieved)

    def result(self) -> Any:
        """In the caller's thread, once `done` is set."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            raise NodeUnavailable(CLOSED)
        return self._task.result()


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Else asyncio would log its error as never retrieved."""
    if not task.cancelled():
        task.exception()
