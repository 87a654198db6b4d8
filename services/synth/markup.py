"""SSML as lines: where sentences, pauses, languages and speeds change, and what is said in the place of what. Pure.

`orastream.ssml` says what is sound; this file says how it sounds. A sentence is parted where a pause, a language or a
speed begins or ends in it, and nowhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from orastream import ssml
from orastream.messages import MAX_SPEED, MIN_SPEED
from services.synth.line import Line
from services.synth.reading import counts, read_out, say_as
from services.synth.segment import sentences

PARAGRAPH_S = 0.5
"""Silence between a paragraph and what follows."""

# Stand for what say-as and sub say, while the text around them is cut and read: letters of a script that no rule
# touches (Yi), and of those the ones that the text itself does not have.
_STANDINS = [chr(code) for code in range(0xA000, 0xA48D)]
_NUMBER = re.compile(r"[0-9]{1,20}")
_OF_A_NUMBER = re.compile(r"[A-Za-z0-9.,\-]")


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a part of the text is spoken."""

    language: str
    speed: float


def lines_of_markup(text: str, language: str, speed: float, *, reads: bool = True) -> list[Line]:
    """The lines of a text in SSML. `reads`: numbers and the like become words also where no say-as says how.

    Raises InvalidRequest for a text that is no SSML, or has nothing to say.
    """
    root = ssml.parse(text)
    script = _Script(reads=reads, taken=frozenset(text))
    script.element(root, _Manner(language, speed))
    return script.finish()


class _Script:
    """Gathers text until something parts it, then makes lines of it."""

    def __init__(self, *, reads: bool, taken: frozenset[str]) -> None:
        self._reads = reads
        self._standins = [char for char in _STANDINS if char not in taken]
        self._lines: list[Line] = []
        self._text = ""
        self._manner: _Manner | None = None
        self._instead: dict[str, tuple[str, str]] = {}  # stand-in → (written, said)
        self._numbers: dict[str, str] = {}  # those for a number: what it counts says how it is read
        self._cardinals: set[str] = set()  # those for a number whose reading is said
        self._pause_s = 0.0  # since the last line
        self._paragraph = False  # it has ended since the last line

    def element(self, element: ssml.Element, manner: _Manner) -> None:
        """What is in it, in the manner that it sets."""
        attributes = element.attributes
        manner = replace(manner, language=attributes.get("xml:lang", manner.language))
        match element.name:
            case name if name in ssml.NOT_SPOKEN:
                return
            case "break":
                if (seconds := ssml.pause_s(attributes)) > 0:
                    self._part()
                    self._pause_s += seconds
            case "prosody":
                speed = min(max(manner.speed * ssml.rate(attributes), MIN_SPEED), MAX_SPEED)
                self._children(element, replace(manner, speed=round(speed, 3)))
            case "sub" if "alias" in attributes:
                alias = attributes["alias"]
                self._say_instead(element.text, self._read(alias, manner.language), manner, number=alias)
            case "say-as" if "interpret-as" in attributes:
                form = attributes.get("format", "")
                kind = attributes["interpret-as"]
                self._say_instead(element.text, say_as(element.text, kind, manner.language, form), manner, kind=kind)
            case "p" | "s":
                self._part()
                self._children(element, manner)
                self._part()
                self._paragraph = self._paragraph or element.name == "p"
            case _:
                self._children(element, manner)

    def finish(self) -> list[Line]:
        """All lines; a pause behind the last one belongs to it, the end of its paragraph makes none."""
        self._part()
        if self._lines:
            self._lines[-1] = replace(self._lines[-1], pause_s=self._pause_s)
        return self._lines

    def _children(self, element: ssml.Element, manner: _Manner) -> None:
        for child in element.children:
            if isinstance(child, str):
                self._say(child, manner)
            else:
                self.element(child, manner)

    def _say(self, text: str, manner: _Manner) -> None:
        if manner != self._manner and text.strip():
            self._part()
            self._manner = manner
        self._text += text

    def _say_instead(self, written: str, said: str, manner: _Manner, *, kind: str = "", number: str = "") -> None:
        if not any(char.isalnum() for char in said):
            return
        if len(self._instead) == len(self._standins):
            self._part()
        standin = self._standins[len(self._instead)]
        self._say(standin, manner)
        self._instead[standin] = (" ".join(written.split()), " ".join(said.split()))
        if kind.lower() in ("cardinal", "number"):
            self._cardinals.add(standin)
        elif _NUMBER.fullmatch(number):
            self._numbers[standin] = number

    def _part(self) -> None:
        """Make lines of what has been gathered; line breaks of the markup mean nothing."""
        text, manner = " ".join(self._text.split()), self._manner
        if manner is not None:
            for sentence in sentences(text, manner.language):
                self._line(sentence, manner)
        self._text, self._manner = "", None
        self._instead.clear()
        self._numbers.clear()
        self._cardinals.clear()

    def _read(self, text: str, language: str) -> str:
        return read_out(text, language, tags=False) if self._reads else text

    def _counting(self, sentence: str) -> str:
        """The sentence with the numbers that count what stands behind them, and a space behind said ones that do."""
        parts: list[str] = []
        for place, char in enumerate(sentence):
            counting = char in self._instead and counts(sentence[place + 1 : place + 16])
            apart = place == 0 or _OF_A_NUMBER.match(sentence[place - 1]) is None
            if counting and apart and char in self._numbers:
                parts.append(self._numbers[char])
            else:
                parts.append(f"{char} " if counting and char in self._cardinals else char)
        return "".join(parts)

    def _line(self, sentence: str, manner: _Manner) -> None:
        spoken = self._read(self._counting(sentence), manner.language)
        written = "".join(self._instead[char][0] if char in self._instead else char for char in sentence)
        said = "".join(self._instead[char][1] if char in self._instead else char for char in spoken)
        before_s = 0.0
        if self._lines:
            pause_s = max(self._pause_s, PARAGRAPH_S if self._paragraph else 0.0)
            self._lines[-1] = replace(self._lines[-1], pause_s=pause_s)
        else:
            before_s = self._pause_s
        self._pause_s, self._paragraph = 0.0, False
        self._lines.append(Line(written, said, manner.language, manner.speed, before_s=before_s))
