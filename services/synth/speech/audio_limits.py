"""How many seconds of audio a sentence and an utterance may have. Pure.

An engine that never ends a sentence (a speech server whose answer does not end, a model that repeats itself) would
otherwise fill TTS_AUDIO, which all sessions share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from services.synth.engines.base import AudioTooLong
from services.synth.text.sentence_splitter import MAX_CHARS


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """The two limits, in seconds; the defaults are no limit."""

    sentence_s: float = math.inf
    """For a sentence of up to MAX_CHARS characters (TTS_MAX_SENTENCE_AUDIO_SECONDS)."""
    utterance_s: float = math.inf
    """For all sentences and pauses of an utterance (TTS_MAX_UTTERANCE_AUDIO_SECONDS)."""

    def sentence_limit_s(self, chars: int) -> float:
        """Returns the limit for a sentence of `chars` characters, as the engine gets it.

        Only words in place of numbers, or SSML (`sub`, `say-as`), make more than MAX_CHARS: the limit grows with them.
        """
        return self.sentence_s * max(chars / MAX_CHARS, 1.0)

    def check_sentence(self, seconds: float, chars: int) -> None:
        """Raises AudioTooLong if a sentence of `chars` characters may not have `seconds` of audio."""
        limit_s = self.sentence_limit_s(chars)
        if seconds > limit_s:
            raise AudioTooLong(
                f"a sentence of {chars} characters has more than {limit_s:g} s of audio: the engine does not end it; "
                "see its log, or raise TTS_MAX_SENTENCE_AUDIO_SECONDS"
            )

    def check_utterance(self, seconds: float) -> None:
        """Raises AudioTooLong if an utterance may not have `seconds` of audio, pauses included."""
        if seconds > self.utterance_s:
            raise AudioTooLong(
                f"the utterance has more than {self.utterance_s:g} s of audio; send less text in one request, or raise "
                "TTS_MAX_UTTERANCE_AUDIO_SECONDS"
            )


UNLIMITED = AudioLimits()
