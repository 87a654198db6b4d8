"""The engine port: what a text-to-speech engine is to the rest of synth, and how one is found by name.

An engine runs in a process of its own (`engine_pool/worker.py`), so it may block, hold the GIL, keep global state or
crash. A package adds one by an entry point of the group `orastream.engines`:

    [project.entry-points."orastream.engines"]
    espeak = "services.synth.engines.espeak:EspeakEngine"

The object it names is called without arguments and gives an `Engine`; settings come from the environment.

    EngineError             the engine cannot speak this; the message is safe to report (code engine_error)
    ├── UnknownVoice        no such voice (code invalid_request: the request must change)
    ├── UnknownEngine       no such engine is installed, or what it needs is not
    ├── Misconfigured       a variable or a file that it needs is missing or wrong: it will never start like this
    ├── NoAudio             it spoke, and nothing was to be heard
    ├── WrongInterpreter    the interpreter that is to run engines cannot
    ├── CannotResume        the engine would speak it otherwise, and the format cannot go on in the middle
    ├── EngineCrashed       its process died, hung or broke the protocol in mid-sentence
    └── EngineChanged       a process that was to take over is not the engine that it was
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import ClassVar, Protocol

from orastream.contract.errors import Code, OrastreamError

GROUP = "orastream.engines"


class EngineError(OrastreamError):
    """The engine cannot speak this. The message never contains the spoken text."""

    code: ClassVar[Code] = "engine_error"


class UnknownVoice(EngineError):
    """The engine has no such voice; trying again is of no use."""

    code: ClassVar[Code] = "invalid_request"


class UnknownEngine(EngineError):
    """No engine of that name is installed, with all that it imports; the message lists those that are."""

    code: ClassVar[Code] = "invalid_request"


class Misconfigured(EngineError):
    """A variable or a file of the engine is missing or wrong; the message names it and the mend.

    Raised by `load` it ends synth with exit code 2: starting it again is of no use.
    """


class NoAudio(EngineError):
    """All was spoken, and no sample came of it."""


class WrongInterpreter(EngineError):
    """The interpreter cannot run an engine process: it is not there, or lacks this project, or has another version."""


class CannotResume(EngineError):
    """What is stored of the file cannot be gone on with; only the whole request can be tried again."""


class EngineCrashed(EngineError):
    """The engine's process died, fell silent or broke the protocol; the pool starts another one."""


class EngineChanged(EngineError):
    """A new process of the engine says something else about itself than the first one did."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice by the name that requests use for it."""

    name: str
    language: str
    """BCP 47 tag."""
    sample_rate_hz: int


class Engine(Protocol):
    """A text-to-speech engine. Used by one thread, if `at_once` is 1; else `synthesize` by as many at the same time."""

    name: str
    """What `metadata.engine` says to OraServer."""
    version: str
    """Changes whenever the same request may sound different: code, weights, parameters. Read after `load`."""
    deterministic: bool
    """Whether the same sentence gives the same bytes in every call, and in every process of the same version,
    wherever it runs: what moves a sample (threads, kind of CPU, libraries) is part of the version. Read
    after `load`."""
    at_once: int
    """Sentences that one process speaks side by side, each asked for from a thread of its own. Read after `load`."""
    scales: bool
    """Whether more processes speak more: true of a model on this machine, false of one that is somewhere else."""

    def load(self) -> None:
        """Get ready to speak. Called once, before everything else.

        Raises Misconfigured for variables and files, EngineError for what may be mended by itself; each names the mend.
        """

    def voices(self) -> Sequence[Voice]:
        """The voices; the first one's rate is the default. Families of variants need not be listed one by one."""

    def sample_rate_hz(self, voice: str | None) -> int:
        """The rate of what `synthesize` yields for that voice, None for the default. Raises UnknownVoice."""

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Mono PCM16 little-endian of one sentence, in pieces of tens of milliseconds, each of whole samples.

        `voice` None leaves the choice to `language`, a BCP 47 tag; `speed` is 0.5…2.0, 1.0 is normal. `stop` is asked
        at each step of the engine; once true, the iterator ends early. Closing the iterator early has the same
        effect. Raises UnknownVoice, or EngineError when the engine fails.
        """


def installed() -> list[str]:
    """Names of the engines that are installed, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def create(name: str) -> Engine:
    """A new engine, not yet loaded. Raises UnknownEngine, also when something that it imports is not installed."""
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        there = ", ".join(installed()) or "none"
        raise UnknownEngine(f"engine: {name!r} is not installed; there is: {there}")
    try:
        factory = found.load()
    except ImportError as exc:
        raise UnknownEngine(f"engine {name!r} cannot be imported: {exc}; or ENGINE_PYTHON names where it can") from exc
    engine: Engine = factory()
    return engine
