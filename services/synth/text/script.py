"""A text as lines, one for each sentence, in order. Pure, except that `script_of` yields to the event loop.

Lines are made on demand, so the first one is spoken before the last one is cut. Other tasks of the event loop run
between two lines, and also during a long text without a complete line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from orastream.contract.source_runs import SourceSpan
from services.synth.reading import EditedText, read_with_places
from services.synth.text.script_line import ScriptLine
from services.synth.text.sentence_aligner import SentenceAligner
from services.synth.text.sentence_places import SentencePlaces
from services.synth.text.sentence_splitter import steps
from services.synth.text.ssml_script import markup_steps

__all__ = ["ScriptLine", "line_of", "line_steps", "lines_of", "script_of"]


def line_of(
    sentence: str, language: str, speed: float, *, reads: bool = True, source: SourceSpan | None = None, text: str = ""
) -> ScriptLine:
    """Returns the line of one sentence; with `reads`, the engine gets numbers and the like as words.

    `source` is its place in `text`, which is the request's text or the begin of it; None: it was not found.
    """
    spoken = EditedText(sentence)
    if reads:
        spoken = read_with_places(spoken, language)
    places = SentencePlaces(spoken, text[source[0] : source[1]], source[0]) if source else None
    return ScriptLine(sentence, spoken.text, language, speed, source=source, places=places)


def line_steps(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True
) -> Iterator[ScriptLine | None]:
    """`lines_of` in steps of bounded work; yields None after a step that completes no line."""
    if ssml:
        yield from markup_steps(text, language, speed, reads=reads)
        return
    aligner = SentenceAligner()
    for found in steps(text, language):
        yield None
        for sentence in found:
            source = aligner.place(sentence, text)
            yield line_of(sentence, language, speed, reads=reads, source=source, text=text)


def lines_of(text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True) -> list[ScriptLine]:
    """Returns the lines of a complete text. Raises InvalidRequest for invalid SSML."""
    return [line for line in line_steps(text, language, speed, ssml=ssml, reads=reads) if line is not None]


async def script_of(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True
) -> AsyncGenerator[ScriptLine]:
    """`lines_of` as an async iterator, like the lines of a streamed text (`streamed_text`). Cancel-safe."""
    for line in line_steps(text, language, speed, ssml=ssml, reads=reads):
        await asyncio.sleep(0)  # without it a long text would delay the audio of all other sessions
        if line is not None:
            yield line
