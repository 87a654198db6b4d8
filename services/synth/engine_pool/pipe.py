"""A child process that exchanges frames over its standard pipes (asyncio subprocess protocol)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from services.synth.engine_pool import frames
from services.synth.engine_pool.frames import Frame

_LINGER_S = 1.0
"""Time after the end of the process in which its last output is still read. Without it, a child of that process could
keep the pipe open without limit."""

T = TypeVar("T")


class EnginePipe(asyncio.SubprocessProtocol):
    """One process and its pipes; create it with `await EnginePipe.open(…)`. For the event loop's thread only.

    `on_frame` is called with each frame, in order. `on_end` is called once, after the last frame, with the reason:
    "died", or "broke the protocol" (then the process is killed).
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_end: Callable[[str], None]) -> None:
        self._on_frame = on_frame
        self._on_end = on_end
        self._frames = frames.FrameSplitter()
        self._loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._over = False

    @classmethod
    async def open(
        cls,
        *command: str,
        environment: Mapping[str, str],
        on_frame: Callable[[Frame], None],
        on_end: Callable[[str], None],
    ) -> EnginePipe:
        """Starts a process. Cancelled, it ends the process before it returns. Raises OSError."""
        loop = asyncio.get_running_loop()
        spawning = asyncio.ensure_future(
            loop.subprocess_exec(lambda: cls(on_frame, on_end), *command, env=environment, stderr=None)
        )
        try:
            _, pipe = await _finished(spawning)
        except asyncio.CancelledError:
            if not spawning.cancelled() and spawning.exception() is None:
                await spawning.result()[1].close(0)
            raise
        return pipe

    @property
    def running(self) -> bool:
        """Whether no end of the process was reported yet."""
        return not self._status.done()

    def send(self, kind: str, /, **fields: object) -> None:
        """Sends one frame; does nothing if the process has ended. Never waits: frames are small, and a thread of the
        process always reads.
        """
        if not self._over and not self._input.is_closing():
            self._input.write(frames.pack(kind, **fields))

    def kill(self) -> None:
        """Kills the process. Idempotent."""
        # transport.kill() polls first, and the event loop's watcher would then miss the exit status.
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def ended(self) -> int:
        """Waits for the end of the process and returns its exit status, negative for a signal. Cancel-safe."""
        return await asyncio.shield(self._status)

    async def close(self, grace_s: float) -> int:
        """Closes the input, kills the process after `grace_s` seconds, and returns the exit status. Idempotent.

        Cancelled, it kills the process and waits for its end: the event loop must not close before.
        """
        self._input.close()
        try:
            async with asyncio.timeout(grace_s):
                await self.ended()
        except TimeoutError:
            self.kill()
        except asyncio.CancelledError:
            self.kill()
            await _finished(asyncio.ensure_future(self._closed()))
            raise
        return await _finished(asyncio.ensure_future(self._closed()))

    async def _closed(self) -> int:
        status = await self.ended()
        self._transport.close()
        await asyncio.shield(self._gone)
        return status

    # ---- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.SubprocessProtocol."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._input = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """See asyncio.SubprocessProtocol."""
        if self._over:
            return
        try:
            received = self._frames.feed(data)
        except ValueError:
            self._end("broke the protocol")
            self.kill()
            return
        for frame in received:
            self._on_frame(frame)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """See asyncio.SubprocessProtocol."""
        if fd == 1:
            self._end("died")

    def process_exited(self) -> None:
        """See asyncio.SubprocessProtocol."""
        status = self._transport.get_returncode()
        assert status is not None, "the process has exited"
        self._status.set_result(status)
        self._loop.call_later(_LINGER_S, self._end, "died")

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.SubprocessProtocol."""
        self._end("died")
        if not self._gone.done():
            self._gone.set_result(None)

    def _end(self, why: str) -> None:
        if not self._over:
            self._over = True
            self._on_end(why)


async def _finished(work: asyncio.Future[T]) -> T:
    """Returns the result of `work`. A cancellation of the caller is raised after `work` is done."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    return work.result()
