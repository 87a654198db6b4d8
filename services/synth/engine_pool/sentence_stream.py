"""A sentence that an engine process speaks, from the asyncio side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, Self

from services.synth.engine_pool import frames
from services.synth.engines.base import EngineError


class Source(Protocol):
    """The engine process that a sentence comes from."""

    stall_s: float

    def more(self, speech: SentenceStream, size: int) -> None:
        """`size` bytes were taken: the engine may send as many more."""
        ...

    def stop(self, speech: SentenceStream) -> None:
        """The rest of the sentence is not wanted."""
        ...

    def hangs(self, speech: SentenceStream, what: str) -> None:
        """The engine gives nothing: it is to be ended."""
        ...


class SentenceStream:
    """One sentence being spoken: an async iterator of PCM pieces (mono PCM16 little-endian, never empty).

    Close it (`aclose`, or `async with contextlib.aclosing`) unless it was read to its end. Cancel-safe: after a
    cancelled `anext`, the next one goes on. Raises EngineCrashed, UnknownVoice or another EngineError.
    """

    def __init__(self, engine: Source, number: int, on_end: Callable[[], None]) -> None:
        self.total_bytes: int | None = None
        """Bytes of the whole sentence, skipped ones included; None until it was read to its end."""
        self.number = number
        self._engine = engine
        self._on_end = on_end
        self._pieces: deque[bytes] = deque()
        self._untold = 0  # bytes that were taken, and not reported to the process yet
        self._news: asyncio.Future[None] | None = None
        self._bytes: int | None = None
        self._error: EngineError | None = None
        self._over = self._stopped = False

    @property
    def wanted(self) -> bool:
        """Whether the engine still speaks it, and nobody has told it to stop."""
        return not self._over and not self._stopped

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if not self.wanted:
                self.total_bytes, error, self._error = self._bytes, self._error, None
                raise error or StopAsyncIteration
            await self._any_news()
        pcm = self._pieces.popleft()
        self._untold += len(pcm)
        if self._untold >= frames.WINDOW_BYTES // 4:
            self._engine.more(self, self._untold)
            self._untold = 0
        return pcm

    async def aclose(self) -> None:
        """Stop it; what the engine still makes of it is thrown away. Idempotent."""
        self.stop()

    def stop(self) -> None:
        """As `aclose`, which exists for `contextlib.aclosing`: there is nothing to wait for."""
        self._pieces.clear()
        self._error = None
        if self.wanted:
            self._stopped = True
            self._engine.stop(self)
            self._wake()

    async def _any_news(self) -> None:
        """Return when the process has said anything about this sentence. Raises EngineCrashed if it does not."""
        self._news = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._engine.stall_s):
                await self._news
        except TimeoutError:
            self._engine.hangs(self, f"gave nothing for {self._engine.stall_s:g} s")
        finally:
            self._news = None

    # ---- what the engine calls

    def hear(self, pcm: bytes) -> None:
        """Audio, or a sign of life."""
        if pcm and self.wanted:
            self._pieces.append(pcm)
        self._wake()

    def end(self, size: int | None, error: EngineError | None = None) -> None:
        """The engine is done with it: it has that many bytes, or there is an error."""
        self._over = True
        if not self._stopped:
            self._bytes, self._error = size, error
        self._wake()
        self._on_end()

    def _wake(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
