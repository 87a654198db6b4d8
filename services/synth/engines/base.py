"""The engine interface, and how an engine is found by name.

An engine runs in a process of its own (`engine_pool/worker.py`), so it may block, hold the GIL, keep global state or
crash. A package adds an engine with an entry point of the group `orastream.engines`:

    [project.entry-points."orastream.engines"]
    espeak = "services.synth.engines.espeak:EspeakEngine"

The named object is called without arguments and returns an `Engine`. Settings come from the environment.

    EngineError             the engine cannot speak this; the message is safe to report (code engine_error)
    ├── UnknownVoice        no such voice (code invalid_request: the request must change)
    ├── SentenceRefused     the engine's server refuses the sentence (code invalid_request)
    ├── UnknownEngine       the engine, or a package that it needs, is not installed
    ├── Misconfigured       a setting or a file is missing or wrong: the engine cannot start with it
    ├── NoAudio             the engine spoke the text and gave no audio
    ├── AudioTooLong        a sentence or an utterance has more audio than allowed (code audio_too_long)
    ├── WrongInterpreter    the interpreter in ENGINE_PYTHON cannot run an engine process
    ├── CannotResume        the stored part cannot be made again, and the format cannot be continued
    ├── EngineCrashed       the process ended, hung or broke the protocol during a sentence
    └── EngineChanged       a new process reports another engine than the first one
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import ClassVar, NamedTuple, Protocol

from orastream.contract.errors import Code, OrastreamError

GROUP = "orastream.engines"


class EngineError(OrastreamError):
    """The engine cannot speak this. The message never contains the spoken text."""

    code: ClassVar[Code] = "engine_error"


class UnknownVoice(EngineError):
    """The engine has no such voice. Another try cannot help."""

    code: ClassVar[Code] = "invalid_request"


class SentenceRefused(EngineError):
    """The server of the engine refuses this sentence or a parameter. Another try cannot help.

    The message begins with the name of the request's field.
    """

    code: ClassVar[Code] = "invalid_request"


class UnknownEngine(EngineError):
    """The engine, or a package that it imports, is not installed. The message lists the installed engines."""

    code: ClassVar[Code] = "invalid_request"


class Misconfigured(EngineError):
    """A setting or a file of the engine is missing or wrong; the message names it and the fix.

    Raised by `load`, it ends synth with exit code 2: another start cannot help.
    """


class NoAudio(EngineError):
    """The engine spoke the whole text and gave no sample."""


class AudioTooLong(EngineError):
    """A sentence or an utterance has more seconds of audio than the settings allow. Another try cannot help."""

    code: ClassVar[Code] = "audio_too_long"


class WrongInterpreter(EngineError):
    """The interpreter does not exist, or does not have this version of the project installed."""


class CannotResume(EngineError):
    """The stored part of the file cannot be continued; only a new request can help."""


class EngineCrashed(EngineError):
    """The engine process ended, hung or broke the protocol; the pool starts another one."""


class EngineChanged(EngineError):
    """A new engine process reports another EngineInfo than the first one."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice, with the name that requests use."""

    name: str
    language: str
    """BCP 47 tag."""
    sample_rate_hz: int
    also_speaks: tuple[str, ...] = ()
    """Further BCP 47 tags for which the engine chooses this voice, if a request has none."""


class SpokenWord(NamedTuple):
    """A word in the audio of a sentence. Numbers count from the begin of that sentence; ranges are half-open."""

    first: int
    """`sentence[first:end]` is the word, in Unicode code points of the sentence that the engine was given."""
    end: int
    begin_sample: int
    """The first sample of the word."""
    end_sample: int
    """The sample after its last one."""


class Engine(Protocol):
    """A text-to-speech engine. If `at_once` is 1, one thread uses it; else `at_once` threads call `synthesize`."""

    name: str
    """Value of `metadata.engine` for OraServer."""
    version: str
    """Changes whenever the same request may sound different: code, weights, parameters. Read after `load`."""
    deterministic: bool
    """Whether the same sentence gives the same bytes in every call and in every process of the same version, on any
    machine. Whatever can change a sample (threads, kind of CPU, libraries) must be part of the version. Read after
    `load`."""
    at_once: int
    """Number of sentences that one process speaks at the same time, each on its own thread. Read after `load`."""
    scales: bool
    """Whether more processes give more throughput: True for a local model, False for a remote one."""
    max_growth_mb: int | None
    """For a library that leaks memory: MiB by which a process may grow after its start before it is replaced, if
    ENGINE_MAX_MEMORY_MB is not set. None, or no such attribute: no limit."""
    trained: bool
    """Whether a model that has learned from recordings makes the sound; files say so. No such attribute: True."""

    def load(self) -> None:
        """Prepares the engine. Called once, before everything else.

        Raises Misconfigured for a wrong setting or file, EngineError for a problem that may pass without a change. The
        message names the fix.
        """

    def voices(self) -> Sequence[Voice]:
        """Returns the voices; the first one has the default rate. Variants of a voice need not be listed."""

    def sample_rate_hz(self, voice: str | None) -> int:
        """Returns the rate of `synthesize` for that voice; None means the default voice. Raises UnknownVoice."""

    def synthesize(
        self, sentence: str, *, voice: str | None, language: str, speed: float, stop: Callable[[], bool]
    ) -> Iterator[bytes]:
        """Yields mono PCM16 little-endian of one sentence, in pieces of 20 ms to 1 s, each of whole samples.

        With `voice` None, `language` (a BCP 47 tag) selects the voice. `speed` is 0.5…2.0, 1.0 is normal. The engine
        calls `stop` at each step and ends early when it returns True, or when the iterator is closed. Raises
        UnknownVoice, SentenceRefused, or EngineError if the engine fails.
        """


class PushingEngine(Protocol):
    """What an engine may have besides `Engine`, if its library calls back with the audio and `at_once` is 1.

    The worker then calls `speak_to` instead of `synthesize`: an iterator would need a thread for each sentence, which
    costs a fast engine more than the speech.
    """

    def speak_to(
        self, give: Callable[[bytes], bool], sentence: str, *, voice: str | None, language: str, speed: float
    ) -> None:
        """As `Engine.synthesize`, but calls `give` with each piece. An empty piece asks whether to go on.

        It ends early when `give` returns False, and raises what `give` raises.
        """


class WordEngine(Protocol):
    """What an engine may have besides `Engine`, if it knows when it speaks each word and `at_once` is 1.

    The worker then calls `speak_words_to`, instead of `PushingEngine.speak_to` and `synthesize`.
    """

    def speak_words_to(
        self,
        give: Callable[[bytes], bool],
        word: Callable[[SpokenWord], None],
        sentence: str,
        *,
        voice: str | None,
        language: str,
        speed: float,
    ) -> None:
        """As `PushingEngine.speak_to`; calls `word` with each word before `give` gets the last sample of the word.

        Words come in the order of the sentence and of the audio: they overlap neither in the text nor in time, and each
        has at least one character and one sample. The worker leaves out a word that breaks this. A deterministic engine
        gives the same words in every call.
        """


class WordIterator(Protocol):
    """What an engine may have besides `Engine`, if it knows when it speaks each word, with any `at_once`.

    The worker then calls `synthesize_words` instead of `synthesize`.
    """

    def synthesize_words(
        self,
        word: Callable[[SpokenWord], None],
        sentence: str,
        *,
        voice: str | None,
        language: str,
        speed: float,
        stop: Callable[[], bool],
    ) -> Iterator[bytes]:
        """As `Engine.synthesize`; calls `word` with each word before it yields the last sample of the word.

        For the words see `WordEngine.speak_words_to`.
        """


def installed() -> list[str]:
    """Returns the names of the installed engines, sorted."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def create(name: str) -> Engine:
    """Returns a new engine, not loaded yet. Raises UnknownEngine, also if a package that it imports is missing."""
    found = next(iter(entry_points(group=GROUP, name=name)), None)
    if found is None:
        there = ", ".join(installed()) or "none"
        raise UnknownEngine(f"engine {name!r} is not installed; there is: {there}")
    try:
        factory = found.load()
    except ImportError as exc:
        raise UnknownEngine(
            f"engine {name!r} cannot be imported: {exc}; install it, or set ENGINE_PYTHON to an interpreter that has it"
        ) from exc
    engine: Engine = factory()
    return engine
