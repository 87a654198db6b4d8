"""One engine process, seen from asyncio: start it, speak several sentences at the same time, stop them, end it.

Each sentence has a window (`frames`): audio that is not read waits in the process and does not block other sentences.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, NotRequired, TypedDict, Unpack

from orastream.base.foreign_text import MAX_MESSAGE_CHARS, cleaned
from orastream.service import memory
from services.synth.engine_pool import frames
from services.synth.engine_pool.frames import Frame
from services.synth.engine_pool.pipe import EnginePipe
from services.synth.engine_pool.sentence_stream import SentenceStream
from services.synth.engines.base import (
    EngineCrashed,
    EngineError,
    Misconfigured,
    UnknownEngine,
    UnknownVoice,
    Voice,
    WrongInterpreter,
)

MIB = 1 << 20
STOP_S = 2.0
"""Timeout for the end of a sentence after `stop`, and of a process after its input was closed."""
MEMORY_EVERY_S = 0.05
"""Seconds between two looks at the memory of a process. A look takes about 30 µs, and sentences are short."""

_OF_ANOTHER = ("PYTHONPATH", "PYTHONHOME")  # another interpreter would import packages built for this one

ReplaceReason = Literal["ended", "hangs", "too large"]
"""Why a process must be replaced."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine reports after it has loaded: the fields of `Engine` in engines.base."""

    name: str
    version: str
    deterministic: bool
    at_once: int
    scales: bool
    default_sample_rate_hz: int
    voices: Mapping[str, Voice]
    max_growth_mb: int | None = None

    def differences(self, other: EngineInfo) -> list[str]:
        """Returns the names of the fields that differ from `other`."""
        names = (field.name for field in fields(self))
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the sample rate of a voice; the default rate if it is not listed (a variant, or unknown)."""
        known = self.voices.get(voice) if voice else None
        return known.sample_rate_hz if known else self.default_sample_rate_hz


class Manner(TypedDict):
    """How to speak a sentence: arguments of `Engine.synthesize`, and those that the worker handles."""

    voice: str | None
    language: str
    speed: NotRequired[float]
    rtf: NotRequired[float | None]
    """Slow the engine down to this real-time factor."""
    skip_bytes: NotRequired[int]
    """Bytes at the start that an earlier attempt stored: they are not slowed down, and not sent."""
    keep_skipped: NotRequired[bool]
    """Send the skipped bytes, too."""


_NEVER: dict[str, type[EngineError]] = {"UnknownEngine": UnknownEngine, "Misconfigured": Misconfigured}
"""Errors that mean the engine cannot start with this configuration, by the `kind` of a `failed` frame."""

_USUAL = {"speed": 1.0, "rtf": None, "skip_bytes": 0, "keep_skipped": False}


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of one engine process."""

    max_memory_mb: int | None = None
    """Resident memory after a sentence, in MiB, above which the process is replaced. None: the engine's
    `max_growth_mb` over its memory after its start, if it has one."""
    stall_s: float = 20.0
    """A process that sends neither audio nor a keepalive for this long during a sentence is killed."""
    start_s: float = 300.0
    """Timeout for the start of a process, including the load of the model."""


class PooledEngine:
    """One engine process, from its start to its end."""

    def __init__(self, name: str, limits: ProcessLimits) -> None:
        self.info: EngineInfo
        self.stall_s = limits.stall_s
        self.to_replace: asyncio.Future[ReplaceReason] = asyncio.get_running_loop().create_future()
        """Done when the process must be replaced."""
        self._name = name
        self._max_memory_mb = limits.max_memory_mb
        self._memory_after_start = 0
        self._memory_look: asyncio.TimerHandle | None = None
        self._pipe: EnginePipe
        self._first: asyncio.Queue[Frame | None] = asyncio.Queue()  # frames before it is ready: three at most
        self._speaking: dict[int, SentenceStream] = {}
        self._numbers = itertools.count()
        self._stop_timers: dict[int, asyncio.TimerHandle] = {}
        self._hanging = 0
        self._closed = False

    @classmethod
    async def start(
        cls, name: str, *, python: str | None, limits: ProcessLimits, default_voice: str | None = None
    ) -> PooledEngine:
        """Starts a process and returns it when the engine is loaded and warm. Cancelled, it ends the process.

        `python` is the interpreter (None: this one), with the packages installed for it. `default_voice` must be one of
        the engine's voices. Raises EngineError if the engine is not ready
        within `limits.start_s`; UnknownEngine, Misconfigured or WrongInterpreter if another try cannot help.
        """
        engine = cls(name, limits)
        module = ["-m", "services.synth.engine_pool.worker", "--engine", name]
        if default_voice is not None:
            module.append(f"--voice={default_voice}")
        try:
            if python is None:
                python, options, environment = sys.executable, [], dict(os.environ)
            else:
                options = ["-P"]
                environment = {key: value for key, value in os.environ.items() if key not in _OF_ANOTHER}
            engine._pipe = await EnginePipe.open(
                python, *options, *module, environment=environment, on_frame=engine._on_frame, on_end=engine._on_end
            )
        except OSError as exc:
            raise WrongInterpreter(f"engine {name!r}: {python} cannot be started: {exc.strerror}") from exc
        try:
            async with asyncio.timeout(limits.start_s):
                engine.info = await engine._loaded(python)
        except TimeoutError:
            await engine._pipe.close(0)
            raise EngineError(f"engine {name!r} was not ready after {limits.start_s:g} s") from None
        except BaseException:
            await engine._pipe.close(0)
            raise
        engine._memory_after_start = memory.resident_bytes(engine.pid)
        return engine

    async def _loaded(self, python: str) -> EngineInfo:
        hello = await self._first.get()
        if hello is None or hello.get("protocol") != frames.PROTOCOL:
            status = await self._pipe.close(0 if hello else STOP_S)
            raise WrongInterpreter(
                f"engine {self._name!r}: {python} cannot run it (exit status {status}): this version of the project "
                f"is not installed there; install it: {python} -m pip install ./shared ."
            )
        frame = await self._first.get()
        if frame is None:
            status = await self._pipe.close(STOP_S)
            raise EngineError(f"engine {self._name!r} ended while it started (exit status {status}); see its log")
        if frame["type"] != "ready":
            raise _NEVER.get(frame["kind"], EngineError)(frame["message"])
        return EngineInfo(
            name=frame["name"],
            version=frame["version"],
            deterministic=frame["deterministic"],
            at_once=frame["at_once"],
            scales=frame["scales"],
            default_sample_rate_hz=frame["sample_rate_hz"],
            max_growth_mb=frame["max_growth_mb"],
            voices={voice: Voice(voice, language, rate) for voice, language, rate in frame["voices"]},
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._pipe.pid

    @property
    def alive(self) -> bool:
        """Whether the process can speak: it runs, and nobody has closed or killed it."""
        return not self._closed and self._pipe.running

    def speak(
        self,
        sentence: str,
        on_end: Callable[[], None],
        **manner: Unpack[Manner],
    ) -> SentenceStream:
        """Begins a sentence; `on_end` is called when the engine has finished or stopped it.

        The process speaks `at_once` sentences at the same time and queues the others. Raises EngineCrashed if it has
        ended.
        """
        if not self.alive:
            raise self._crashed("is gone")
        speech = SentenceStream(self, next(self._numbers), on_end)
        self._speaking[speech.number] = speech
        self._pipe.send("speak", id=speech.number, sentence=sentence, **{**_USUAL, **manner})
        return speech

    async def close(self) -> int:
        """Ends the process, kills it after STOP_S, and returns its exit status. Idempotent."""
        self._closed = True
        return await self._pipe.close(STOP_S)

    def check_memory(self) -> None:
        """Requests a replacement if it holds more memory than it may. The process still works.

        Looks after MEMORY_EVERY_S, once for all calls until then.
        """
        if self._memory_look is None:
            self._memory_look = asyncio.get_running_loop().call_later(MEMORY_EVERY_S, self._look_at_memory)

    def _look_at_memory(self) -> None:
        self._memory_look = None
        if self._closed:
            return
        if self._max_memory_mb is not None:
            limit = self._max_memory_mb * MIB
        elif self.info.max_growth_mb is not None:
            limit = self._memory_after_start + self.info.max_growth_mb * MIB
        else:
            return
        if memory.resident_bytes(self.pid) > limit:
            self._request_replacement("too large")

    # ---- what its sentences call

    def more(self, speech: SentenceStream, size: int) -> None:
        """Tell the process that `size` bytes of that sentence were read."""
        self._pipe.send("more", id=speech.number, bytes=size)

    def stop(self, speech: SentenceStream) -> None:
        """Stop that sentence. If it does not end within STOP_S, see `hangs`."""
        self._pipe.send("stop", id=speech.number)
        self._stop_timers[speech.number] = asyncio.get_running_loop().call_later(
            STOP_S, self.hangs, speech, f"did not stop within {STOP_S:g} s"
        )

    def hangs(self, speech: SentenceStream, what: str) -> None:
        """End a sentence that hangs with EngineCrashed, and replace the process.

        The process is killed at once if no other sentence can finish in it; else its other sentences continue.
        """
        self._end_of(speech.number, None, self._crashed(what))
        self._request_replacement("hangs")
        self._hanging += 1
        if not self._speaking or self._hanging == self.info.at_once:  # all threads hang
            self._closed = True
            self._pipe.kill()

    # ---- what its pipe calls

    def _on_frame(self, frame: Frame) -> None:
        match frame["type"]:
            case "pcm":
                if (speech := self._speaking.get(frame["id"])) is not None:
                    speech.receive(frame["pcm"], frame.get("words", ()))
            case "done":
                if (speech := self._speaking.get(frame["id"])) is not None:
                    speech.receive(b"", frame.get("words", ()))
                self._end_of(frame["id"], frame["bytes"], None)
            case "error":
                kind = UnknownVoice if frame["kind"] == "UnknownVoice" else EngineError
                self._end_of(frame["id"], None, kind(cleaned(frame["message"], MAX_MESSAGE_CHARS)))
            case "hello" | "ready" | "failed":
                self._first.put_nowait(frame)

    def _on_end(self, why: str) -> None:
        self._closed = True
        self._first.put_nowait(None)
        for number in list(self._speaking):
            self._end_of(number, None, self._crashed(why))
        self._request_replacement("ended")

    def _end_of(self, number: int, size: int | None, error: EngineError | None) -> None:
        if (timer := self._stop_timers.pop(number, None)) is not None:
            timer.cancel()
        if (speech := self._speaking.pop(number, None)) is not None:
            speech.end(size, error)

    def _request_replacement(self, why: ReplaceReason) -> None:
        if not self.to_replace.done():
            self.to_replace.set_result(why)

    def _crashed(self, what: str) -> EngineCrashed:
        return EngineCrashed(f"the process of engine {self._name!r} {what}")
