"""The audio of one sentence that an engine process speaks, as an async iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, Self

from services.synth.engine_pool import frames
from services.synth.engine_pool.manner import Manner
from services.synth.engines.base import EngineError, SpokenWord

LATE_S = 0.25
"""A timer that is later than this says that this process itself stood still (SIGSTOP, a machine without CPU), perhaps
together with the engine: its silence says nothing, and the timer begins again."""
READ_S = 0.05
"""After a timer that is less late, the event loop reads for this long what the engine has sent before: uvloop calls
timers before it reads."""


class Source(Protocol):
    """The engine process that speaks a sentence."""

    stall_s: float

    def more(self, speech: SentenceStream, size: int) -> None:
        """`size` bytes were read: the engine may send as many more."""
        ...

    def stop(self, speech: SentenceStream) -> None:
        """Stop the sentence."""
        ...

    def hangs(self, speech: SentenceStream, what: str) -> None:
        """The engine sends nothing: end the sentence and replace the process."""
        ...


class SentenceStream:
    """One sentence being spoken: an async iterator of PCM pieces (mono PCM16 little-endian, never empty).

    Close it (`aclose`, or `async with contextlib.aclosing`) unless it was read to its end. Cancel-safe: a cancelled
    `anext` loses no audio. Raises EngineCrashed, UnknownVoice or another EngineError.
    """

    def __init__(self, engine: Source, number: int, on_end: Callable[[], None], manner: Manner) -> None:
        self.total_bytes: int | None = None
        """Bytes of the whole sentence, skipped bytes included; None until it was read to its end."""
        self.words: list[SpokenWord] = []
        """The words so far: at least those that end in the audio that was read."""
        self.sounded = False
        """Whether audio with a sample other than 0 has come."""
        self.manner = manner
        self.number = number
        self._engine = engine
        self._on_end = on_end
        self._pieces: deque[bytes] = deque()
        self._unreported = 0  # bytes that were read, but not reported to the process yet
        self._report: asyncio.Future[None] | None = None
        self._reported = False
        self._bytes: int | None = None
        self._error: EngineError | None = None
        self._over = self._stopped = False

    @property
    def wanted(self) -> bool:
        """Whether the engine still speaks it, and it was not stopped."""
        return not self._over and not self._stopped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if not self.wanted:
                self.total_bytes, error, self._error = self._bytes, self._error, None
                raise error or StopAsyncIteration
            await self._wait_for_report()
        pcm = self._pieces.popleft()
        self._unreported += len(pcm)
        if self.wanted and self._unreported >= frames.WINDOW_BYTES // 4:
            self._engine.more(self, self._unreported)
            self._unreported = 0
        return pcm

    async def aclose(self) -> None:
        """Stops the sentence and discards audio that still comes. Idempotent."""
        self.stop()

    def stop(self) -> None:
        """As `aclose`, without `await`: there is nothing to wait for."""
        self._pieces.clear()
        self._error = None
        if self.wanted:
            self._stopped = True
            self._engine.stop(self)
            self._wake()

    async def _wait_for_report(self) -> None:
        """Return at the next frame of this sentence; after `stall_s` without one the sentence ends (EngineCrashed)."""
        loop = asyncio.get_running_loop()
        self._reported = False
        stalled_at = loop.time() + self._engine.stall_s
        if await self._is_reported(stalled_at) or loop.time() > stalled_at + LATE_S:
            return
        if not await self._is_reported(loop.time() + READ_S) and self.wanted:
            self._engine.hangs(self, f"gave nothing for {self._engine.stall_s:g} s")

    async def _is_reported(self, until: float) -> bool:
        """Wait for a frame until that time of the event loop's clock. Returns whether one has come."""
        self._report = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout_at(until):
                await self._report
        except TimeoutError:
            pass  # a frame may have come since the timer was called
        finally:
            self._report = None
        return self._reported

    # ---- what the engine calls

    def receive(self, pcm: bytes, words: Iterable[Sequence[int]] = ()) -> None:
        """Takes audio, or a keepalive (empty), with words that end in it or before it."""
        if self.wanted:
            self.words += [SpokenWord(*word) for word in words]
            if pcm:
                self._pieces.append(pcm)
                self.sounded = self.sounded or pcm != bytes(len(pcm))
        self._wake()

    def end(self, size: int | None, error: EngineError | None = None) -> None:
        """Ends the sentence with its size in bytes, or with an error."""
        self._over = True
        if not self._stopped:
            self._bytes, self._error = size, error
        self._wake()
        self._on_end()

    def _wake(self) -> None:
        self._reported = True
        if self._report is not None and not self._report.done():
            self._report.set_result(None)
