"""One engine process from the asyncio side: start it, have it speak sentence after sentence, stop it, end it.

The pipe is the bounded hand-off (about 100 KiB): an engine whose audio nobody takes waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from services.synth import frames
from services.synth.engines.base import EngineCrashed, EngineError, UnknownVoice, Voice

STOP_S = 2.0
"""An engine that was told to stop, or to end, and has not by then is killed."""

_READ_LIMIT = 16 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says about itself once it is loaded."""

    name: str
    deterministic: bool
    default_sample_rate_hz: int
    voices: Mapping[str, Voice]

    def sample_rate_hz(self, voice: str | None) -> int:
        """The rate for that voice. One that is not listed (a variant, or unknown) has the default's."""
        known = self.voices.get(voice) if voice else None
        return known.sample_rate_hz if known else self.default_sample_rate_hz


class Speech:
    """One sentence being spoken: an async iterator of PCM pieces (mono PCM16 little-endian, never empty).

    Close it (`aclose`, or `async with contextlib.aclosing`) unless it was read to its end. Cancel-safe: after a
    cancelled `anext`, the next one goes on. Raises EngineCrashed, UnknownVoice or another EngineError.
    """

    def __init__(self, engine: PooledEngine, number: int) -> None:
        self._engine = engine
        self._number = number
        self.total_bytes: int | None = None
        """Bytes of the whole sentence, skipped ones included; None until it was read to its end."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while self._engine.speaking == self._number:
            frame = await self._engine.receive()
            if frame["type"] == "pcm" and frame["pcm"]:
                pcm: bytes = frame["pcm"]
                return pcm
            if frame["type"] == "done":
                self.total_bytes = frame["bytes"]
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Stop the engine; it is free for the next sentence, or killed, within STOP_S. Idempotent."""
        if self._engine.speaking == self._number:
            await self._engine.settle()


class PooledEngine:
    """One engine process, from its start to its end. Speaks one sentence at a time; not for several tasks at once."""

    def __init__(
        self, process: Process, source: frames.Receiver, sink: asyncio.StreamWriter, info: EngineInfo, stall_s: float
    ) -> None:
        self.info = info
        self.pid = process.pid
        self.speaking: int | None = None
        """Number of the sentence whose `done` has not come yet."""
        self._process = process
        self._source = source
        self._sink = sink
        self._stall_s = stall_s
        self._given_up = False
        self._numbers = itertools.count()

    @classmethod
    async def start(cls, name: str, *, python: str, start_s: float, stall_s: float) -> PooledEngine:
        """A warm engine in a new process. Raises EngineError if it does not become one within `start_s`."""
        try:
            process = await _spawn(python, "-m", "services.synth.engine_process", "--engine", name)
        except OSError as exc:
            raise EngineError(f"engine {name!r}: {python} cannot be started: {exc.strerror}") from exc
        assert process.stdin is not None and process.stdout is not None
        source = frames.Receiver(process.stdout)
        try:
            async with asyncio.timeout(start_s):
                frame = await source.receive()
        except TimeoutError:
            await _kill(process)
            raise EngineError(f"engine {name!r} was not ready after {start_s:g} s") from None
        except (asyncio.IncompleteReadError, ValueError) as exc:
            code = await _kill(process)
            raise EngineError(f"engine {name!r} ended while it started (exit status {code}); see its log") from exc
        except asyncio.CancelledError:
            await _kill(process)
            raise
        if frame["type"] != "ready":
            await _kill(process)
            raise EngineError(frame["message"])
        voices = {voice: Voice(voice, language, rate) for voice, language, rate in frame["voices"]}
        info = EngineInfo(frame["name"], frame["deterministic"], frame["sample_rate_hz"], voices)
        return cls(process, source, process.stdin, info, stall_s)

    @property
    def alive(self) -> bool:
        """Whether the process has neither ended nor been given up."""
        return not self._given_up and self._process.returncode is None

    def speak(
        self,
        sentence: str,
        *,
        voice: str | None,
        language: str,
        speed: float = 1.0,
        rtf: float | None = None,
        skip_bytes: int = 0,
        keep_skipped: bool = False,
    ) -> Speech:
        """Begins a sentence at once. See `Engine.synthesize` for the parameters.

        `rtf` slows the engine to that real-time factor. The first `skip_bytes` were stored by an earlier attempt: they
        are not slowed, and not handed over unless `keep_skipped`. Raises EngineCrashed when the process is gone,
        RuntimeError when another sentence is being spoken.
        """
        if self.speaking is not None:
            raise RuntimeError("the engine is speaking")
        if not self.alive:
            raise self._crashed("is gone")
        number = next(self._numbers)
        self._sink.write(
            frames.pack(
                "speak",
                id=number,
                sentence=sentence,
                voice=voice,
                language=language,
                speed=speed,
                rtf=rtf,
                skip_bytes=skip_bytes,
                keep_skipped=keep_skipped,
            )
        )
        self.speaking = number
        return Speech(self, number)

    async def receive(self) -> frames.Frame:
        """The next frame of the sentence being spoken (for `Speech`). Whatever goes wrong ends the sentence."""
        try:
            async with asyncio.timeout(self._stall_s):
                frame = await self._source.receive()
        except TimeoutError:
            raise self._crashed(f"gave nothing for {self._stall_s:g} s") from None
        except (asyncio.IncompleteReadError, OSError):
            raise self._crashed("died") from None
        except ValueError:
            raise self._crashed("broke the protocol") from None
        if frame["type"] == "done":
            self.speaking = None
        elif frame["type"] == "error":
            self.speaking = None
            raise (UnknownVoice if frame["kind"] == "UnknownVoice" else EngineError)(frame["message"])
        return frame

    async def settle(self) -> None:
        """Stop the sentence being spoken, if any, and throw its rest away; kill the engine if that takes over STOP_S.

        Cancelled, it kills the engine at once: a process in mid-sentence is of no use to anybody.
        """
        if self.speaking is None:
            return
        try:
            self._sink.write(frames.pack("stop", id=self.speaking))
            async with asyncio.timeout(STOP_S):
                while self.speaking is not None:
                    await self.receive()
        except TimeoutError:
            self._give_up()
        except EngineError:
            pass  # it ended the sentence, if not as it should
        except asyncio.CancelledError:
            self._give_up()
            raise

    async def ended(self) -> int:
        """Waits for the end of the process; its exit status, negative for a signal."""
        return await self._process.wait()

    async def close(self) -> None:
        """End the process: ask it to, and kill it after STOP_S. Idempotent."""
        self._given_up = True
        self._sink.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            await _kill(self._process)
        except asyncio.CancelledError:
            await _kill(self._process)
            raise

    def _give_up(self) -> None:
        self._given_up = True
        self.speaking = None
        _kill_now(self._process)

    def _crashed(self, what: str) -> EngineCrashed:
        self._give_up()
        return EngineCrashed(f"the process of engine {self.info.name!r} {what}")


async def _spawn(*command: str) -> Process:
    """A new process with pipes; none is left behind when this is cancelled. Raises OSError."""
    spawning = asyncio.ensure_future(
        asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_READ_LIMIT)
    )
    try:
        return await _finished(spawning)
    except asyncio.CancelledError:
        if spawning.exception() is None:
            await _kill(spawning.result())
        raise


def _kill_now(process: Process) -> None:
    # Not process.kill(): it polls first, which takes the exit status away from the event loop's watcher.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def _kill(process: Process) -> int:
    """Its exit status, once it is gone, even if this is cancelled meanwhile: the loop must not close before."""
    _kill_now(process)
    return await _finished(asyncio.ensure_future(process.wait()))


async def _finished(work: asyncio.Future[T]) -> T:
    """The result of `work`, which is not cancelled with the caller: a cancellation is raised when it is done."""
    cancelled: asyncio.CancelledError | None = None
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled
    return work.result()
