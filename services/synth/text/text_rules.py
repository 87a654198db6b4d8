"""What synth does with a text, apart from cutting it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.synth.reading.lexicon import NO_WORDS, Lexicon
from services.synth.settings import SynthSettings


@dataclass(frozen=True, slots=True)
class TextRules:
    """The same for all lines of a text."""

    reads: bool = True
    """Whether the engine gets numbers and the like as words."""
    skip_tags: Sequence[str] = ()
    """Names of tags whose content is not spoken (`skipped_tags`). Without effect in SSML, where all tags are markup."""
    lexicon: Lexicon = NO_WORDS
    """How to say words, also without `reads`."""


USUAL_RULES = TextRules()


def rules_of(settings: SynthSettings, lexicon: Lexicon = NO_WORDS) -> TextRules:
    """Returns the rules of a node with these settings."""
    return TextRules(settings.tts_text_normalization, settings.skip_tags, lexicon)
