"""A text as lines, one for each sentence, in order. Pure, except that `script_of` yields to the event loop.

Lines are made on demand, so the first one is spoken before the last one is cut. Other tasks of the event loop run
between two lines, and also during a long text without a complete line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence

from orastream.contract.source_runs import SourceSpan
from services.synth.reading import EditedText, read_with_places
from services.synth.text.placed_sentences import PlacedSentences
from services.synth.text.script_line import ScriptLine
from services.synth.text.sentence_places import SentencePlaces
from services.synth.text.sentence_splitter import slices
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
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True, skip_tags: Sequence[str] = ()
) -> Iterator[ScriptLine | None]:
    """`lines_of` in steps of bounded work; yields None after a step that completes no line."""
    if ssml:
        yield from markup_steps(text, language, speed, reads=reads)
        return
    found = PlacedSentences(language, skip_tags)
    for part in (*slices(text), None):
        yield None
        for sentence, source in found.finish(text) if part is None else found.push(part, text):
            yield line_of(sentence, language, speed, reads=reads, source=source, text=text)


def lines_of(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True, skip_tags: Sequence[str] = ()
) -> list[ScriptLine]:
    """Returns the lines of a complete text; none if it has nothing to say.

    `skip_tags` are names of tags whose content is not spoken (`skipped_tags`); in SSML they have no effect, because
    there all tags are markup. Raises InvalidRequest for invalid SSML.
    """
    lines = line_steps(text, language, speed, ssml=ssml, reads=reads, skip_tags=skip_tags)
    return [line for line in lines if line is not None]


async def script_of(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True, skip_tags: Sequence[str] = ()
) -> AsyncGenerator[ScriptLine]:
    """`lines_of` as an async iterator, like the lines of a streamed text (`streamed_text`). Cancel-safe."""
    for line in line_steps(text, language, speed, ssml=ssml, reads=reads, skip_tags=skip_tags):
        await asyncio.sleep(0)  # without it a long text would delay the audio of all other sessions
        if line is not None:
            yield line
