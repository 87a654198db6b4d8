"""One engine process, seen from asyncio: start it, speak several sentences at the same time, stop them, end it.

Each sentence has a window (`frames`): audio that is not read waits in the process and does not block other sentences.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Unpack

from orastream.base.foreign_text import MAX_MESSAGE_CHARS, cleaned
from orastream.service import memory
from services.synth.engine_pool.canary import CanarySentence, SpeechProof
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engine_pool.frames import Frame
from services.synth.engine_pool.handshake import STOP_S, ready_frame
from services.synth.engine_pool.manner import USUAL, Manner
from services.synth.engine_pool.pipe import EnginePipe
from services.synth.engine_pool.sentence_stream import LATE_S, READ_S, SentenceStream
from services.synth.engines.base import (
    EngineCrashed,
    EngineError,
    SentenceRefused,
    UnknownVoice,
    WrongInterpreter,
)

MIB = 1 << 20
MEMORY_EVERY_S = 0.05
"""Seconds between two looks at the memory of a process. A look takes about 30 µs, and sentences are short."""

_OF_ANOTHER = ("PYTHONPATH", "PYTHONHOME")  # another interpreter would import packages built for this one

ReplaceReason = Literal["ended", "hangs", "does not speak", "too large"]
"""Why a process must be replaced."""


_OF_THE_REQUEST: dict[str, type[EngineError]] = {"UnknownVoice": UnknownVoice, "SentenceRefused": SentenceRefused}
"""Errors that mean the request must change, by the `kind` of an `error` frame."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of one engine process."""

    max_memory_mb: int | None = None
    """Resident memory after a sentence, in MiB, above which the process is replaced. None: the engine's
    `max_growth_mb` over its memory after its start, if it has one."""
    stall_s: float = 20.0
    """A process that sends neither audio nor a keepalive for this long during a sentence is killed."""
    edge_silence_ms: int | None = None
    """Silence at the begin and at the end of a sentence's audio is cut to this. None: as the engine makes it."""
    start_s: float = 300.0
    """Timeout for the start of a process, including the load of the model."""
    canary_s: float | None = None
    """Seconds without speech after which a process of a local engine speaks a canary (`canary`). None: never."""


class PooledEngine:
    """One engine process, from its start to its end."""

    def __init__(self, name: str, limits: ProcessLimits) -> None:
        self.info: EngineInfo
        self.proof: SpeechProof
        self.problem = ""
        """Why the process must be replaced, in words; empty while it need not."""
        self.on_doubt: Callable[[], None] = lambda: None
        """Called when a sentence makes it doubtful whether the process still speaks, before its reader knows."""
        self.stall_s = limits.stall_s
        self.to_replace: asyncio.Future[ReplaceReason] = asyncio.get_running_loop().create_future()
        """Done when the process must be replaced."""
        self._name = name
        self._limits = limits
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
        the engine's voices. Raises EngineError if the engine is not ready within `limits.start_s`; UnknownEngine,
        Misconfigured or WrongInterpreter if another try cannot help.
        """
        engine = cls(name, limits)
        module = ["-m", "services.synth.engine_pool.worker", "--engine", name]
        if default_voice is not None:
            module.append(f"--voice={default_voice}")
        if limits.edge_silence_ms is not None:
            module.append(f"--edge-silence-ms={limits.edge_silence_ms}")
        try:
            if python is None:
                # As this process was started: else the worker could import another package `services`.
                options = ["-P"] if sys.flags.safe_path else []
                python, environment = sys.executable, dict(os.environ)
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
                engine._on_ready(await ready_frame(name, python, engine._pipe, engine._first))
        except TimeoutError:
            await engine._pipe.close(0)
            raise EngineError(f"engine {name!r} was not ready after {limits.start_s:g} s") from None
        except BaseException:
            await engine._pipe.close(0)
            raise
        engine._memory_after_start = memory.resident_bytes(engine.pid)
        return engine

    def _on_ready(self, ready: Frame) -> None:
        self.info = EngineInfo.of(ready)
        # A remote engine has servers of its own, which it watches itself: its process is only the way to them.
        every_s = self._limits.canary_s if self.info.scales else None
        self.proof = SpeechProof(every_s, CanarySentence(*ready["warm_up"]), asyncio.get_running_loop().time())

    @property
    def pid(self) -> int:
        """The process id."""
        return self._pipe.pid

    @property
    def alive(self) -> bool:
        """Whether the process can speak: it runs, and nobody has closed or killed it."""
        return not self._closed and self._pipe.running

    @property
    def takes_sentences(self) -> bool:
        """Whether it may get new sentences: it can speak, and need not be replaced, or only because of its memory."""
        return self.alive and (not self.to_replace.done() or self.to_replace.result() == "too large")

    def speak(self, sentence: str, on_end: Callable[[], None], **manner: Unpack[Manner]) -> SentenceStream:
        """Begins a sentence; `on_end` is called when the engine has finished or stopped it.

        The process speaks `at_once` sentences at the same time and queues the others. Raises EngineCrashed if it has
        ended.
        """
        if not self.alive:
            raise self._crashed("is gone")
        speech = SentenceStream(self, next(self._numbers), on_end, manner)
        self._speaking[speech.number] = speech
        self._pipe.send("speak", id=speech.number, sentence=sentence, **{**USUAL, **manner})
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
        if self._limits.max_memory_mb is not None:
            limit = self._limits.max_memory_mb * MIB
        elif self.info.max_growth_mb is not None:
            limit = self._memory_after_start + self.info.max_growth_mb * MIB
        else:
            return
        if memory.resident_bytes(self.pid) > limit:
            self._request_replacement("too large", "is too large")

    def give_up(self, what: str) -> None:
        """Request a replacement, because the process does not speak; `what` says how that was noticed."""
        self._request_replacement("does not speak", what)

    # ---- what its sentences call

    def more(self, speech: SentenceStream, size: int) -> None:
        """Tell the process that `size` bytes of that sentence were read."""
        self._pipe.send("more", id=speech.number, bytes=size)

    def stop(self, speech: SentenceStream) -> None:
        """Stop that sentence. If it does not end within STOP_S, see `hangs`."""
        loop = asyncio.get_running_loop()
        self._pipe.send("stop", id=speech.number)
        due = loop.time() + STOP_S
        self._stop_timers[speech.number] = loop.call_at(due, self._on_stop_overdue, speech, due)

    def _on_stop_overdue(self, speech: SentenceStream, due: float, *, read: bool = False) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() > due + LATE_S:  # this process itself stood still
            self.stop(speech)
        elif read:
            self.hangs(speech, f"did not stop within {STOP_S:g} s")
        else:
            again = partial(self._on_stop_overdue, speech, loop.time() + READ_S, read=True)
            self._stop_timers[speech.number] = loop.call_later(READ_S, again)

    def hangs(self, speech: SentenceStream, what: str) -> None:
        """End a sentence that hangs with EngineCrashed, and replace the process.

        The process is killed at once if no other sentence can finish in it; else its other sentences continue.
        """
        self._end_of(speech.number, None, self._crashed(what))
        self._request_replacement("hangs", what)
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
                    if speech.sounded:
                        self.proof.spoke(asyncio.get_running_loop().time())
            case "done":
                if (speech := self._speaking.get(frame["id"])) is not None:
                    speech.receive(b"", frame.get("words", ()))
                self._end_of(frame["id"], frame["bytes"], None)
            case "error":
                kind = _OF_THE_REQUEST.get(frame["kind"], EngineError)
                self._end_of(frame["id"], None, kind(cleaned(frame["message"], MAX_MESSAGE_CHARS)))
            case "hello" | "ready" | "failed":
                self._first.put_nowait(frame)

    def _on_end(self, why: str) -> None:
        self._closed = True
        self._first.put_nowait(None)
        for number in list(self._speaking):
            self._end_of(number, None, self._crashed(why))
        self._request_replacement("ended", why)

    def _end_of(self, number: int, size: int | None, error: EngineError | None) -> None:
        if (timer := self._stop_timers.pop(number, None)) is not None:
            timer.cancel()
        if (speech := self._speaking.pop(number, None)) is not None:
            self._weigh(speech, error)
            speech.end(size, error)

    def _weigh(self, speech: SentenceStream, error: EngineError | None) -> None:
        """What the end of a sentence says about the process."""
        if not speech.wanted or isinstance(error, UnknownVoice | SentenceRefused | EngineCrashed):
            return
        manner = speech.manner
        if error is None and speech.sounded:
            self.proof.ended_well(manner["voice"], manner["language"])
        elif error is not None or not manner.get("skip_bytes"):
            self.proof.doubt()
            self.on_doubt()

    def _request_replacement(self, why: ReplaceReason, what: str) -> None:
        if not self.to_replace.done():
            self.problem = f"process {self.pid} {what}"
            self.to_replace.set_result(why)

    def _crashed(self, what: str) -> EngineCrashed:
        return EngineCrashed(f"the process of engine {self._name!r} {what}")
