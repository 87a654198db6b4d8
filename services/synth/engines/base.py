"""The engine port: what a text-to-speech engine is to the rest of synth, and how one is found by name.

An engine runs in a process of its own (`engine_process`), one sentence at a time, so it may block, hold the GIL, keep
global state or crash. A package adds one by an entry point of the group `orastream.engines`:

    [project.entry-points."orastream.engines"]
    espeak = "services.synth.engines.espeak:EspeakEngine"

The object it names is called without arguments and gives an `Engine`; settings come from the environment.

    EngineError             the engine cannot speak this; the message is safe to report (code engine_error)
    ├── UnknownVoice        no such voice (code invalid_request: the request must change)
    ├── UnknownEngine       no such engine is installed
    └── EngineCrashed       its process died, hung or broke the protocol in mid-sentence
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import ClassVar, Protocol

from orastream.errors import Code, OrastreamError

GROUP = "orastream.engines"


class EngineError(OrastreamError):
    """The engine cannot speak this. The message never contains the spoken text."""

    code: ClassVar[Code] = "engine_error"


class UnknownVoice(EngineError):
    """The engine has no such voice; trying again is of no use."""

    code: ClassVar[Code] = "invalid_request"


class UnknownEngine(EngineError):
    """No engine of that name is installed; the message lists those that are."""

    code: ClassVar[Code] = "invalid_request"


class EngineCrashed(EngineError):
    """The engine's process died, fell silent or broke the protocol; the pool starts another one."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice by the name that requests use for it."""

    name: str
    language: str
    """BCP 47 tag."""
    sample_rate_hz: int


class Engine(Protocol):
    """A text-to-speech engine. Used by one thread; `stop` may be called from another."""

    name: str
    deterministic: bool
    """Whether the same sentence gives the same bytes in every call and process. Read after `load`."""

    def load(self) -> None:
        """Get ready to speak. Called once, before everything else. Raises EngineError naming the mend."""

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
    """A new engine, not yet loaded. Raises UnknownEngine, or EngineError when what it needs is not installed."""
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        there = ", ".join(installed()) or "none"
        raise UnknownEngine(f"engine: {name!r} is not installed; there is: {there}")
    try:
        factory = found.load()
    except ImportError as exc:
        raise EngineError(f"engine {name!r} cannot be imported: {exc}") from exc
    engine: Engine = factory()
    return engine
