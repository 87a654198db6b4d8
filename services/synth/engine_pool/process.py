"""One engine process from the asyncio side: start it, have it speak sentences side by side, stop them, end it.

Each sentence has a window (`frames`): audio that nobody takes waits in the process, and holds nobody else up.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Literal, NotRequired, TypedDict, Unpack

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

STOP_S = 2.0
"""A sentence that was told to stop, or a process to end, and has not by then is given up."""

_OF_ANOTHER = ("PYTHONPATH", "PYTHONHOME")  # packages of one interpreter are not for another

Outlived = Literal["ended", "hangs", "too large"]
"""Why a process is to be replaced."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine says about itself once it is loaded."""

    name: str
    version: str
    deterministic: bool
    at_once: int
    scales: bool
    default_sample_rate_hz: int
    voices: Mapping[str, Voice]

    def differences(self, other: EngineInfo) -> list[str]:
        """Names of what is not the same in the other one."""
        names = (field.name for field in fields(self))
        return [name for name in names if getattr(self, name) != getattr(other, name)]

    def sample_rate_hz(self, voice: str | None) -> int:
        """The rate for that voice. One that is not listed (a variant, or unknown) has the default's."""
        known = self.voices.get(voice) if voice else None
        return known.sample_rate_hz if known else self.default_sample_rate_hz


class Manner(TypedDict):
    """How a sentence is to be spoken: see `Engine.synthesize`, and what this host adds."""

    voice: str | None
    language: str
    speed: NotRequired[float]
    rtf: NotRequired[float | None]
    """Slows the engine to that real-time factor."""
    skip_bytes: NotRequired[int]
    """So many were stored by an earlier attempt: they are not slowed, and not handed over …"""
    keep_skipped: NotRequired[bool]
    """… unless this is set."""


_NEVER: dict[str, type[EngineError]] = {"UnknownEngine": UnknownEngine, "Misconfigured": Misconfigured}
"""What an engine's process says of why it will never start, by its name there."""

_USUAL = {"speed": 1.0, "rtf": None, "skip_bytes": 0, "keep_skipped": False}


class PooledEngine:
    """One engine process, from its start to its end."""

    def __init__(self, name: str, stall_s: float) -> None:
        self.info: EngineInfo
        self.stall_s = stall_s
        self.outlived: asyncio.Future[Outlived] = asyncio.get_running_loop().create_future()
        """Done when the process is to be replaced."""
        self._name = name
        self._pipe: EnginePipe
        self._first: asyncio.Queue[Frame | None] = asyncio.Queue()  # what comes until it is ready: three at most
        self._speaking: dict[int, SentenceStream] = {}
        self._numbers = itertools.count()
        self._patience: dict[int, asyncio.TimerHandle] = {}
        self._hanging = 0
        self._closed = False

    @classmethod
    async def start(
        cls, name: str, *, python: str | None, start_s: float, stall_s: float, default_voice: str | None = None
    ) -> PooledEngine:
        """A warm engine in a new process, of that interpreter with what is installed for it (None: of this one).

        `default_voice` must be one of its voices. Raises EngineError if it does not become one within `start_s`;
        UnknownEngine, Misconfigured and WrongInterpreter say that it never will.
        """
        engine = cls(name, stall_s)
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
            async with asyncio.timeout(start_s):
                engine.info = await engine._loaded(python)
        except TimeoutError:
            await engine._pipe.close(0)
            raise EngineError(f"engine {name!r} was not ready after {start_s:g} s") from None
        except BaseException:
            await engine._pipe.close(0)
            raise
        return engine

    async def _loaded(self, python: str) -> EngineInfo:
        hello = await self._first.get()
        if hello is None or hello.get("protocol") != frames.PROTOCOL:
            status = await self._pipe.close(0 if hello else STOP_S)
            raise WrongInterpreter(
                f"engine {self._name!r}: {python} cannot run it (exit status {status}): this project, in this version, "
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
            voices={voice: Voice(voice, language, rate) for voice, language, rate in frame["voices"]},
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pipe.pid

    @property
    def alive(self) -> bool:
        """Whether the process can speak: it has neither ended nor been given up."""
        return not self._closed and self._pipe.running

    def speak(
        self,
        sentence: str,
        on_end: Callable[[], None],
        **manner: Unpack[Manner],
    ) -> SentenceStream:
        """Begins a sentence at once; `on_end` is called when the engine is done with it.

        More than `at_once` wait for each other in the process. Raises EngineCrashed when the process is gone.
        """
        if not self.alive:
            raise self._crashed("is gone")
        speech = SentenceStream(self, next(self._numbers), on_end)
        self._speaking[speech.number] = speech
        self._pipe.send("speak", id=speech.number, sentence=sentence, **{**_USUAL, **manner})
        return speech

    async def close(self) -> int:
        """End the process: ask it to, and kill it after STOP_S; its exit status. Idempotent."""
        self._closed = True
        return await self._pipe.close(STOP_S)

    def outgrown(self) -> None:
        """It is to be replaced, although it works."""
        self._outlive("too large")

    # ---- what its sentences call

    def more(self, speech: SentenceStream, size: int) -> None:
        """So much of that sentence was taken."""
        self._pipe.send("more", id=speech.number, bytes=size)

    def stop(self, speech: SentenceStream) -> None:
        """End that sentence; the process is given up if it does not within STOP_S."""
        self._pipe.send("stop", id=speech.number)
        self._patience[speech.number] = asyncio.get_running_loop().call_later(
            STOP_S, self.hangs, speech, f"did not stop within {STOP_S:g} s"
        )

    def hangs(self, speech: SentenceStream, what: str) -> None:
        """Give a sentence up, and with it the process: at once if nothing else is spoken in it, else after that."""
        self._end_of(speech.number, None, self._crashed(what))
        self._outlive("hangs")
        self._hanging += 1
        if not self._speaking or self._hanging == self.info.at_once:  # else nobody is left there to speak
            self._closed = True
            self._pipe.kill()

    # ---- what its pipe calls

    def _on_frame(self, frame: Frame) -> None:
        match frame["type"]:
            case "pcm":
                if (speech := self._speaking.get(frame["id"])) is not None:
                    speech.hear(frame["pcm"])
            case "done":
                self._end_of(frame["id"], frame["bytes"], None)
            case "error":
                kind = UnknownVoice if frame["kind"] == "UnknownVoice" else EngineError
                self._end_of(frame["id"], None, kind(frame["message"]))
            case "hello" | "ready" | "failed":
                self._first.put_nowait(frame)

    def _on_end(self, why: str) -> None:
        self._closed = True
        self._first.put_nowait(None)
        for number in list(self._speaking):
            self._end_of(number, None, self._crashed(why))
        self._outlive("ended")

    def _end_of(self, number: int, size: int | None, error: EngineError | None) -> None:
        if (patience := self._patience.pop(number, None)) is not None:
            patience.cancel()
        if (speech := self._speaking.pop(number, None)) is not None:
            speech.end(size, error)

    def _outlive(self, why: Outlived) -> None:
        if not self.outlived.done():
            self.outlived.set_result(why)

    def _crashed(self, what: str) -> EngineCrashed:
        return EngineCrashed(f"the process of engine {self._name!r} {what}")
