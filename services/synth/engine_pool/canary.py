"""When an engine process must show that it still speaks: it then speaks a canary, a few words that nobody hears. Pure.

The caller passes times of one clock, in seconds. What a process says is evidence:

    audio of a sentence, not only zeros      it speaks: the next canary is due `every_s` later
    a sentence that ended with an error      doubt: a canary is due at once, before other sentences, but not more often
    of the engine, or without a sound        than each DOUBT_EVERY_S. An engine that fails at once is always free, so it
                                             would get most of the sentences
    nothing                                  a canary is due `every_s` after the last audio

An error of the request (`UnknownVoice`, `SentenceRefused`) and a stopped sentence are no evidence.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

DOUBT_EVERY_S = 5.0
"""Shortest time between the begins of two canaries of a process that are due because of a doubt: texts on which an
engine always fails must not double its work."""

_NUMBERS = "1, 2."
_WORDS = {
    "ko": "하나, 둘.",
    "ja": "いち、に。",
    "zh": "一，二。",
    "ru": "один, два.",
    "el": "ένα, δύο.",
    "ar": "واحد، اثنان.",
}
_OTHER_WORDS = "one, two."


class CanarySentence(NamedTuple):
    """What a process speaks as a canary."""

    text: str
    voice: str | None
    language: str
    """BCP 47 tag."""
    sounds: bool
    """Whether a process that works gives a sound for it. Else it only has to end without an error."""


class CanaryResult(Enum):
    """How a canary ended; the value is the label of the metric."""

    PASSED = "passed"
    """The process speaks."""
    FAILED = "failed"
    """Both tries ended with an error of the engine, or without a sound, or the process ended."""
    HUNG = "hung"
    """It did not end within the deadline."""
    STOPPED = "stopped"
    """A sentence needed the slot, or this process itself stood still: nothing is known."""


def words_of(language: str) -> str:
    """Returns two short words in the language of a BCP 47 tag; in English if there are none."""
    return _WORDS.get(language.partition("-")[0].lower(), _OTHER_WORDS)


def warm_up_texts(language: str) -> list[str]:
    """Returns the texts that a new process tries in turn, until one gives a sound.

    Models that read letters only have no sound for digits.
    """
    return list(dict.fromkeys([_NUMBERS, words_of(language), _OTHER_WORDS]))


class SpeechProof:
    """What is known about the speech of one process. It begins when the process has spoken its warm-up sentence."""

    def __init__(self, every_s: float | None, warm_up: CanarySentence, now: float) -> None:
        """`every_s`: seconds without speech after which a canary is due; None: never, also after a doubt."""
        self.doubted = False
        """Whether the last evidence is a doubt. Its canary goes before the sentences that wait."""
        self._every_s = every_s
        self._warm_up = warm_up
        self._spoke_at = now
        self._last: tuple[str | None, str] | None = None
        self._doubt_canary_at = -math.inf
        self._in_progress = False

    @property
    def enabled(self) -> bool:
        """Whether canaries are on."""
        return self._every_s is not None

    def spoke(self, now: float) -> None:
        """The process gave audio with a sound."""
        self._spoke_at, self.doubted = now, False

    def ended_well(self, voice: str | None, language: str) -> None:
        """A sentence with a sound has ended. The next canary has its voice: another one might have to be loaded."""
        self._last = voice, language

    def doubt(self) -> None:
        """A sentence ended with an error of the engine, or without a sound."""
        self.doubted = True

    def due_at(self) -> float:
        """Returns when the next canary is due; infinity if canaries are off or one is in progress."""
        if self._every_s is None or self._in_progress:
            return math.inf
        silent = self._spoke_at + self._every_s
        return min(silent, self._doubt_canary_at + min(DOUBT_EVERY_S, self._every_s)) if self.doubted else silent

    def begin(self, now: float) -> list[CanarySentence]:
        """A canary begins. Returns its sentences: the second one is spoken if the first one fails.

        The first one has the voice of the last sentence that ended well. The second one is the warm-up sentence, so an
        error that does not last, and a text that this voice cannot read, do not count.
        """
        self._in_progress = True
        if self.doubted:
            self._doubt_canary_at = now
        if self._last is None:
            return [self._warm_up, self._warm_up]
        voice, language = self._last
        return [CanarySentence(words_of(language), voice, language, sounds=True), self._warm_up]

    def end(self, result: CanaryResult, now: float) -> None:
        """The canary has ended."""
        self._in_progress = False
        if result is CanaryResult.PASSED:
            self.spoke(now)
