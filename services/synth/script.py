"""What is to be spoken, as lines: one for each sentence, in order. Pure, but for waiting for text that still comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from services.synth.line import Line
from services.synth.markup import lines_of_markup
from services.synth.reading import read_out
from services.synth.segment import sentences

__all__ = ["Line", "line_of", "lines_of", "script_of"]


def line_of(sentence: str, language: str, speed: float, *, reads: bool = True) -> Line:
    """The line of one sentence; `reads`: numbers and the like are given to the engine in words."""
    return Line(sentence, read_out(sentence, language) if reads else sentence, language, speed)


def lines_of(text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True) -> list[Line]:
    """The lines of a text that is there as a whole. Raises InvalidRequest for SSML that is none."""
    if ssml:
        return lines_of_markup(text, language, speed, reads=reads)
    return [line_of(sentence, language, speed, reads=reads) for sentence in sentences(text, language)]


async def script_of(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True
) -> AsyncGenerator[Line]:
    """`lines_of`, in the form that a text which still comes has, too (`scribe`)."""
    for line in lines_of(text, language, speed, ssml=ssml, reads=reads):
        yield line
