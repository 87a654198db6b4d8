"""A text as lines, one for each sentence, in order. Pure, except that `script_of` yields to the event loop.

Lines are made on demand, so the first one is spoken before the last one is cut. Other tasks of the event loop run
between two lines, and also during a long text without a complete line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from orastream.contract.source_runs import SourceSpan
from services.synth.reading import EditedText
from services.synth.reading.lexicon import put_back
from services.synth.text.placed_sentences import PlacedSentences
from services.synth.text.script_line import ScriptLine
from services.synth.text.sentence_places import SentencePlaces
from services.synth.text.sentence_splitter import slices
from services.synth.text.ssml_script import markup_steps
from services.synth.text.text_rules import USUAL_RULES, TextRules

__all__ = ["ScriptLine", "line_of", "line_steps", "lines_of", "script_of"]


def line_of(
    sentence: str,
    language: str,
    speed: float,
    *,
    rules: TextRules = USUAL_RULES,
    source: SourceSpan | None = None,
    text: str = "",
) -> ScriptLine:
    """Returns the line of one sentence.

    `source` is its place in `text`, which is the request's text or the begin of it; None: it was not found.
    """
    spoken = put_back(*rules.lexicon.read(EditedText(sentence), language, rules=rules.reads))
    places = SentencePlaces(spoken, text[source[0] : source[1]], source[0]) if source else None
    return ScriptLine(sentence, spoken.text, language, speed, source=source, places=places)


def line_steps(
    text: str, language: str, speed: float, *, ssml: bool = False, rules: TextRules = USUAL_RULES
) -> Iterator[ScriptLine | None]:
    """`lines_of` in steps of bounded work; yields None after a step that completes no line."""
    if ssml:
        yield from markup_steps(text, language, speed, rules)
        return
    found = PlacedSentences(language, rules.skip_tags)
    for part in (*slices(text), None):
        yield None
        for sentence, source in found.finish(text) if part is None else found.push(part, text):
            yield line_of(sentence, language, speed, rules=rules, source=source, text=text)


def lines_of(
    text: str, language: str, speed: float, *, ssml: bool = False, rules: TextRules = USUAL_RULES
) -> list[ScriptLine]:
    """Returns the lines of a complete text; none if it has nothing to say. Raises InvalidRequest for invalid SSML."""
    return [line for line in line_steps(text, language, speed, ssml=ssml, rules=rules) if line is not None]


async def script_of(
    text: str, language: str, speed: float, *, ssml: bool = False, rules: TextRules = USUAL_RULES
) -> AsyncGenerator[ScriptLine]:
    """`lines_of` as an async iterator, like the lines of a streamed text (`streamed_text`). Cancel-safe."""
    for line in line_steps(text, language, speed, ssml=ssml, rules=rules):
        await asyncio.sleep(0)  # without it a long text would delay the audio of all other sessions
        if line is not None:
            yield line
