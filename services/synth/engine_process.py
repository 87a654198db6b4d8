"""The process that an engine runs in: `python -m services.synth.engine_process --engine NAME`.

`engine_client` starts it, `frames` is the protocol. It speaks one sentence at a time on its main thread; a second one
reads commands, so that a stop is seen in mid-sentence. The pipe is the hand-off: when the host does not read, the
engine waits.

Standard output belongs to the protocol: descriptor 1 is pointed at standard error before the engine is loaded, so what
an engine prints is a log. The process ends when its input ends, which it does however the host dies; it ignores SIGINT
and SIGTERM, because a host that is asked to end first finishes its utterances.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from services.synth import frames
from services.synth.engines import base
from services.synth.frames import Frame

SIGN_OF_LIFE_S = 1.0
_EXIT_GRACE_S = 2.0
_PR_SET_PDEATHSIG = 1
_WARM_UP = "1, 2."


class EngineProcess:
    """Answers the commands of one host. `read` runs on a thread of its own, `serve` on the engine's."""

    def __init__(self, engine: base.Engine, source: BinaryIO, sink: BinaryIO) -> None:
        self._engine = engine
        self._source = source
        self._sink = sink
        self._commands: queue.SimpleQueue[Frame | None] = queue.SimpleQueue()
        self._wake = threading.Condition()
        self._stopped_through = -1  # ids rise, so this is all there is to know about stops

    def read(self, on_end: Callable[[], None]) -> None:
        """Takes commands until the host quits or dies; ends what is being spoken then, and calls `on_end`."""
        with contextlib.suppress(OSError, ValueError):
            while (frame := frames.read(self._source)) is not None and frame["type"] != "quit":
                if frame["type"] == "stop":
                    self._stop_through(frame["id"])
                else:
                    self._commands.put(frame)
        self._stop_through(sys.maxsize)
        self._commands.put(None)
        on_end()

    def serve(self) -> None:
        """Loads the engine, warms it up, and speaks until the host quits or dies."""
        try:
            self._engine.load()
            self._warm_up()
        except base.EngineError as exc:
            self._send("failed", message=str(exc))
            return
        self._send(
            "ready",
            name=self._engine.name,
            deterministic=self._engine.deterministic,
            sample_rate_hz=self._engine.sample_rate_hz(None),
            voices=[(v.name, v.language, v.sample_rate_hz) for v in self._engine.voices()],
        )
        while (command := self._commands.get()) is not None:
            self._speak(command)

    def _warm_up(self) -> None:
        voice = self._engine.voices()[0]
        for _ in self._engine.synthesize(
            _WARM_UP, voice=voice.name, language=voice.language, speed=1.0, stop=lambda: self._stopped(0)
        ):
            pass

    def _speak(self, command: Frame) -> None:
        number: int = command["id"]
        try:
            total = self._pieces(command)
        except base.EngineError as exc:
            self._send("error", id=number, kind=type(exc).__name__, message=str(exc))
        else:
            self._send("done", id=number, bytes=total)

    def _pieces(self, command: Frame) -> int:
        """Speaks a sentence; how many bytes it has, those skipped included."""
        number, skip = command["id"], command["skip_bytes"]
        rate_hz = self._engine.sample_rate_hz(command["voice"])
        pace = _Pace(command["rtf"], rate_hz)
        total = 0
        last_sign = time.monotonic()
        for pcm in self._engine.synthesize(
            command["sentence"],
            voice=command["voice"],
            language=command["language"],
            speed=command["speed"],
            stop=lambda: self._stopped(number),
        ):
            if len(pcm) % 2:
                raise base.EngineError(f"engine {self._engine.name} gave half a sample")
            skipped = min(len(pcm), max(skip - total, 0))
            total += len(pcm)
            new = pcm[skipped:]
            if new and not self._sleep(pace.wait_s(len(new)), number):
                break
            handed = pcm if command["keep_skipped"] else new
            if handed or time.monotonic() - last_sign > SIGN_OF_LIFE_S:
                last_sign = time.monotonic()
                self._send("pcm", id=number, pcm=handed)
        return total

    def _stopped(self, number: int) -> bool:
        return number <= self._stopped_through

    def _stop_through(self, number: int) -> None:
        with self._wake:
            self._stopped_through = max(self._stopped_through, number)
            self._wake.notify_all()

    def _sleep(self, seconds: float, number: int) -> bool:
        """Waits, but not past a stop of that sentence; whether to go on."""
        if seconds > 0:
            with self._wake:
                self._wake.wait_for(lambda: self._stopped(number), seconds)
        return not self._stopped(number)

    def _send(self, kind: str, /, **fields: object) -> None:
        self._sink.write(frames.pack(kind, **fields))
        self._sink.flush()


class _Pace:
    """Slows an engine to a real-time factor: audio of d seconds is not complete before rtf·d seconds."""

    def __init__(self, rtf: float | None, rate_hz: int) -> None:
        self._seconds_per_byte = (rtf or 0.0) / (2 * rate_hz)
        self._started = 0.0
        self._bytes = 0

    def wait_s(self, size: int) -> float:
        """How long to wait before the next `size` bytes; the clock starts with the first of them."""
        now = time.monotonic()
        if not self._bytes:
            self._started = now
        self._bytes += size
        return self._started + self._bytes * self._seconds_per_byte - now


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The standard pipes for the protocol alone: whoever reads 0 finds nothing, what is written to 1 goes to 2."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def main() -> None:
    """Run one engine until the host ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", required=True, help="name of the entry point")
    arguments = parser.parse_args()
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, sink = _private_pipes()
    try:
        engine = base.create(arguments.engine)
    except base.EngineError as exc:
        sink.write(frames.pack("failed", message=str(exc)))
        sink.flush()
        return
    process = EngineProcess(engine, source, sink)
    ended = threading.Event()

    def on_end() -> None:
        # A model that does not look at `stop` must not outlive its host.
        if not ended.wait(_EXIT_GRACE_S):
            os._exit(1)

    threading.Thread(target=process.read, args=(on_end,), name="commands", daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        process.serve()
    ended.set()


if __name__ == "__main__":
    main()
