"""SSML as lines: sentences, pauses, languages, speeds, and substitutions. Pure.

`orastream.contract.ssml` says what is valid; this file says how it is spoken. Markup cuts a sentence only where a
pause, a paragraph, a language or a speed begins or ends in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from orastream.contract import ssml
from orastream.contract.messages import MAX_SPEED, MIN_SPEED
from orastream.contract.source_runs import SourceRun, SourceRuns, SourceSpan
from services.synth.reading import Edit, EditedText, counts, read_out, say_as
from services.synth.reading.lexicon import put_back, without_marks
from services.synth.text.script_line import ScriptLine
from services.synth.text.sentence_aligner import SentenceAligner
from services.synth.text.sentence_places import SentencePlaces
from services.synth.text.sentence_splitter import MAX_CHARS, steps
from services.synth.text.text_rules import USUAL_RULES, TextRules

PARAGRAPH_S = 0.5
"""Seconds of silence after a paragraph."""

# Placeholders for the readings of say-as and sub, while the text around them is split and read. They are letters of a
# script that no rule changes (Yi); those that the text itself contains are not used. If it contains all of them, each
# reading becomes a sentence of its own.
_STANDINS = [chr(code) for code in range(0xA000, 0xA48D)]
_NUMBER = re.compile(r"[0-9]{1,20}")
_OF_A_NUMBER = re.compile(r"[A-Za-z0-9.,\-]")


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a part of the text is spoken."""

    language: str
    speed: float


def markup_steps(text: str, language: str, speed: float, rules: TextRules = USUAL_RULES) -> Iterator[ScriptLine | None]:
    """Yields the lines of a text in SSML, in steps of bounded work; None after a step that completes no line.

    Numbers and the like become words also without a say-as, if the rules say so. Their lexicon has no effect in a `sub`
    or `say-as`. A line is complete when the next one has begun, because a pause may follow it. Raises InvalidRequest
    for invalid SSML, or if it has nothing to say.
    """
    root = ssml.parse(text)
    script = _Script(rules, taken=frozenset(root.text))  # not of `text`: it may have `&#xA000;`
    yield None
    yield from script.element(root, _Manner(language, speed))
    yield from script.finish()


class _Script:
    """Collects text until markup cuts it, then makes lines of it. Its methods are iterators like `markup_steps`."""

    def __init__(self, rules: TextRules, *, taken: frozenset[str]) -> None:
        self._rules = rules
        self._standins = [char for char in _STANDINS if char not in taken]
        self._last: ScriptLine | None = None  # held until the pause after it is known
        self._text: list[str] = []
        self._runs = SourceRuns()  # where that text stands in the document
        self._manner: _Manner | None = None
        self._instead: dict[str, tuple[str, str]] = {}  # stand-in → (written, said)
        self._numbers: dict[str, str] = {}  # stand-ins for a number: the word after it decides its reading
        self._cardinals: set[str] = set()  # stand-ins for a number with a given reading
        self._pause_s = 0.0  # since the last line
        self._paragraph = False  # a paragraph has ended since the last line

    def element(self, element: ssml.Element, manner: _Manner) -> Iterator[ScriptLine | None]:
        """Handle an element and its content."""
        attributes = element.attributes
        manner = replace(manner, language=attributes.get("xml:lang", manner.language))
        match element.name:
            case name if name in ssml.NOT_SPOKEN:
                return
            case "break":
                if (seconds := ssml.pause_s(attributes)) > 0:
                    yield from self._part()
                    self._pause_s += seconds
            case "prosody":
                speed = min(max(manner.speed * ssml.rate(attributes), MIN_SPEED), MAX_SPEED)
                yield from self._children(element, replace(manner, speed=round(speed, 3)))
            case "sub" if "alias" in attributes:
                alias = attributes["alias"]
                said = yield from self._said(alias, manner, lambda part: self._read(part, manner.language))
                yield from self._say_instead(element, said, manner, number=alias)
            case "say-as" if "interpret-as" in attributes:
                form = attributes.get("format", "")
                kind = attributes["interpret-as"]
                said = yield from self._said(
                    element.text, manner, lambda part: say_as(part, kind, manner.language, form)
                )
                yield from self._say_instead(element, said, manner, kind=kind)
            case "p" | "s":
                yield from self._part()
                yield from self._children(element, manner)
                yield from self._part()
                self._paragraph = self._paragraph or element.name == "p"
            case _:
                yield from self._children(element, manner)

    def finish(self) -> Iterator[ScriptLine | None]:
        """Yield the rest. A pause after the last line belongs to it; the end of its paragraph adds no silence."""
        yield from self._part()
        if self._last is not None:
            yield replace(self._last, pause_s=self._pause_s)

    def _children(self, element: ssml.Element, manner: _Manner) -> Iterator[ScriptLine | None]:
        for child in element.children:
            if isinstance(child, ssml.Element):
                yield from self.element(child, manner)
            else:
                assert isinstance(child, ssml.TextNode), "the parser makes no other text"
                yield from self._say(child, manner, *child.runs)

    def _say(self, text: str, manner: _Manner, *runs: SourceRun) -> Iterator[ScriptLine | None]:
        if manner != self._manner and text.strip():
            yield from self._part()
            self._manner = manner
        self._text.append(text)
        self._runs.add(*runs)

    def _said(self, text: str, manner: _Manner, say: Callable[[str], str]) -> Generator[ScriptLine | None, None, str]:
        """Returns `say(text)`; for a text of more than MAX_CHARS, sentence by sentence."""
        if len(text) <= MAX_CHARS:
            yield None
            return say(text)
        parts: list[str] = []
        for found in steps(text, manner.language):
            yield None
            for sentence in found:
                parts.append(say(sentence))
                yield None
        return " ".join(parts)

    def _say_instead(
        self, element: ssml.Element, said: str, manner: _Manner, *, kind: str = "", number: str = ""
    ) -> Iterator[ScriptLine | None]:
        if not any(char.isalnum() for char in said):
            return
        written, said = " ".join(element.text.split()), " ".join(without_marks(said).split())
        if len(self._instead) == len(self._standins):
            yield from self._part()
        if not self._standins:
            runs = SourceRuns()
            runs.add(SourceRun(*element.source, 1))
            whole = EditedText("x").edited([(0, 1, said)])  # one character for the element, like a stand-in
            yield self._hold(written, manner, element.source, whole, SentencePlaces(whole, "x", 0, runs))
            return
        standin = self._standins[len(self._instead)]
        yield from self._say(standin, manner, SourceRun(*element.source, 1))
        self._instead[standin] = (written, said)
        if kind.lower() in ("cardinal", "number"):
            self._cardinals.add(standin)
        elif _NUMBER.fullmatch(number):
            self._numbers[standin] = number

    def _part(self) -> Iterator[ScriptLine | None]:
        """Make lines of the collected text; line breaks in the markup are white space."""
        text, manner, aligner = "".join(self._text), self._manner, SentenceAligner()
        if manner is not None:
            for found in steps(" ".join(text.split()), manner.language):
                yield None
                for sentence in found:
                    yield self._line(sentence, manner, text, aligner.place(sentence, text))
        self._text, self._manner = [], None
        self._runs = SourceRuns()  # a new one: the lines keep those that they come from
        self._instead.clear()
        self._numbers.clear()
        self._cardinals.clear()

    def _read(self, text: str, language: str) -> str:
        return read_out(text, language, tags=False) if self._rules.reads else text

    def _counting(self, sentence: str) -> EditedText:
        """Put back numbers before the word that they count, so that they are read with it; put a space after a stand-in
        with a given reading there.
        """
        edits: list[Edit] = []
        for place, char in enumerate(sentence):
            counting = char in self._instead and counts(sentence[place + 1 : place + 16])
            apart = place == 0 or _OF_A_NUMBER.match(sentence[place - 1]) is None
            if counting and apart and char in self._numbers:
                edits.append((place, place + 1, self._numbers[char]))
            elif counting and char in self._cardinals:
                edits.append((place, place + 1, f"{char} "))
        return EditedText(sentence).edited(edits)

    def _line(self, sentence: str, manner: _Manner, text: str, place: SourceSpan | None) -> ScriptLine | None:
        """`_hold` for a sentence with stand-ins. `place` is its place in the collected text."""
        rules = self._rules
        spoken, words = rules.lexicon.read(self._counting(sentence), manner.language, rules=rules.reads, tags=False)
        written = "".join(self._instead[char][0] if char in self._instead else char for char in sentence)
        instead = {char: said for char, (_, said) in self._instead.items()}
        said = put_back(spoken, {**instead, **words})
        if place is None:
            return self._hold(written, manner, None, said, None)
        places = SentencePlaces(said, text[place[0] : place[1]], place[0], self._runs)
        return self._hold(written, manner, self._runs.span(*place), said, places)

    def _hold(
        self,
        written: str,
        manner: _Manner,
        source: SourceSpan | None,
        said: EditedText,
        places: SentencePlaces | None,
    ) -> ScriptLine | None:
        """Hold the line of a sentence; return the line before it, which is complete now."""
        before, before_s = self._last, 0.0
        if before is not None:
            before = replace(before, pause_s=max(self._pause_s, PARAGRAPH_S if self._paragraph else 0.0))
        else:
            before_s = self._pause_s
        self._pause_s, self._paragraph = 0.0, False
        self._last = ScriptLine(
            written, said.text, manner.language, manner.speed, before_s=before_s, source=source, places=places
        )
        return before
