"""One line of a script: one sentence with all that the engine needs for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from orastream.contract.source_runs import SourceSpan
from services.synth.text.sentence_places import SentencePlaces


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """One sentence for the engine. All attempts at a request have the same lines in the same order."""

    text: str
    """The sentence as it was written, for display."""
    spoken: str
    """The sentence as the engine gets it."""
    language: str
    """BCP 47 tag."""
    speed: float = 1.0
    pause_s: float = 0.0
    """Seconds of silence after it."""
    before_s: float = 0.0
    """Seconds of silence before it; only for a first line."""
    source: SourceSpan | None = field(default=None, compare=False)
    """Its place in the request's text, in code points; for SSML in the document. Has no effect on the sound. None: not
    found."""
    places: SentencePlaces | None = field(default=None, compare=False, repr=False)
    """The places of its words; None: not known."""

    def place(self, first: int, end: int) -> SourceSpan | None:
        """Returns where `spoken[first:end]` comes from in the request's text, in code points; for SSML in the document.

        Each word that a rule makes comes from all that the rule replaced: of "이천이십오 년", from "2025년". A word
        of a `sub` or `say-as` comes from the content of the element; for an empty one the range is empty. White space
        at the ends of other text does not belong to the range. None: not known, only white space, or not in `spoken`.
        """
        return self.places.span(first, end) if self.places is not None else None
