"""The first frames of an engine process: `hello`, then `ready` or `failed`."""

from __future__ import annotations

import asyncio

from services.synth.engine_pool import frames
from services.synth.engine_pool.frames import Frame
from services.synth.engine_pool.pipe import EnginePipe
from services.synth.engines.base import EngineError, Misconfigured, UnknownEngine, WrongInterpreter

STOP_S = 2.0
"""Timeout for the end of a sentence after `stop`, and of a process after its input was closed."""

_NEVER: dict[str, type[EngineError]] = {"UnknownEngine": UnknownEngine, "Misconfigured": Misconfigured}
"""Errors that mean the engine cannot start with this configuration, by the `kind` of a `failed` frame."""


async def ready_frame(name: str, python: str, pipe: EnginePipe, first: asyncio.Queue[Frame | None]) -> Frame:
    """Waits for `ready` of engine `name`, run by the interpreter `python`, and returns it. Cancel-safe.

    `first` gets the frames before it, and None at the end of the process. Raises EngineError; UnknownEngine,
    Misconfigured or WrongInterpreter if another try cannot help.
    """
    hello = await first.get()
    if hello is None or hello.get("protocol") != frames.PROTOCOL:
        status = await pipe.close(0 if hello else STOP_S)
        raise WrongInterpreter(
            f"engine {name!r}: {python} cannot run it (exit status {status}): this version of the project "
            f"is not installed there; install it: {python} -m pip install ./shared ."
        )
    frame = await first.get()
    if frame is None:
        status = await pipe.close(STOP_S)
        raise EngineError(f"engine {name!r} ended while it started (exit status {status}); see its log")
    if frame["type"] != "ready":
        raise _NEVER.get(frame["kind"], EngineError)(frame["message"])
    return frame
