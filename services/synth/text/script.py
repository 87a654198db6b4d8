"""What is to be spoken, as lines: one for each sentence, in order. Pure, but for the turns that it leaves to others.

Lines are made when they are asked for, so the first one is spoken before the last one is cut. Between two of them, and
within a long text that has none yet, other tasks of the event loop get their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

from services.synth.reading import read_out
from services.synth.text.script_line import ScriptLine
from services.synth.text.sentence_splitter import steps
from services.synth.text.ssml_script import markup_steps

__all__ = ["ScriptLine", "line_of", "line_steps", "lines_of", "script_of"]


def line_of(sentence: str, language: str, speed: float, *, reads: bool = True) -> ScriptLine:
    """The line of one sentence; `reads`: numbers and the like are given to the engine in words."""
    return ScriptLine(sentence, read_out(sentence, language) if reads else sentence, language, speed)


def line_steps(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True
) -> Iterator[ScriptLine | None]:
    """`lines_of`, in steps of bounded work; None after a step that completes no line."""
    if ssml:
        yield from markup_steps(text, language, speed, reads=reads)
        return
    for found in steps(text, language):
        yield None
        for sentence in found:
            yield line_of(sentence, language, speed, reads=reads)


def lines_of(text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True) -> list[ScriptLine]:
    """The lines of a text that is there as a whole. Raises InvalidRequest for SSML that is none."""
    return [line for line in line_steps(text, language, speed, ssml=ssml, reads=reads) if line is not None]


async def script_of(
    text: str, language: str, speed: float, *, ssml: bool = False, reads: bool = True
) -> AsyncGenerator[ScriptLine]:
    """`lines_of`, in the form that a text which is still being written has too (`streamed_text`).

    Leaves the event loop free between two steps. Cancel-safe.
    """
    for line in line_steps(text, language, speed, ssml=ssml, reads=reads):
        await asyncio.sleep(0)  # without it a long text would hold up the audio of every other session
        if line is not None:
            yield line
