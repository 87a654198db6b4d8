"""Parses the subset of SSML 1.1 (W3C) that requests may use (docs/reference/protocol.md, “SSML”). Pure.

`parse` refuses malformed, dangerous and out-of-range input, so that synth gets a valid tree. Unknown elements stay in
the tree, and their content is spoken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from orastream.contract.errors import InvalidRequest
from orastream.contract.source_runs import SourceRun, SourceSpan

MAX_DEEP = 32
"""Limit for the depth of nested elements."""
LONGEST_PAUSE_S = 10.0
"""Limit for one pause, in seconds."""
MAX_PAUSE_S = 60.0
"""Limit for all pauses of a text together, in seconds."""
STRENGTHS_S = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.0}
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
NOT_SPOKEN = frozenset({"metadata", "desc"})
"""Elements whose content describes the text and is not spoken."""

_TIME = re.compile(r"\+?(?P<number>[0-9]{1,6}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(?P<unit>ms|s)")
_PERCENT = re.compile(r"(?P<sign>[+-]?)(?P<number>[0-9]{1,4}(?:\.[0-9]{1,4})?)%")
_NUMBER = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,4})?")
_REFERENCE = re.compile(r"&#?\w+;|\r\n")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")


class TextNode(str):
    """A text in the tree: a string that knows where its characters stand in the source."""

    __slots__ = ("runs",)

    runs: tuple[SourceRun, ...]
    """In order; each begins where the one before it ends."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of the tree. `children` are elements and text, in order."""

    name: str
    attributes: Mapping[str, str]
    children: tuple[Element | str, ...]
    source: SourceSpan = field(default=(0, 0), compare=False)
    """The place in the source from the first to the last character of its text; without text, an empty one."""

    @property
    def text(self) -> str:
        """The text of the element and of all elements in it."""
        return "".join(_texts(self))


def parse(text: str) -> Element:
    """Return the `speak` element of the text, with every value checked. Raises InvalidRequest with line and column.

    Fetches nothing and expands only the five entities of XML: a document type is refused where it begins. Time and
    memory are proportional to the length of the text, which the caller must limit.
    """
    reader = _Reader(text)
    try:
        root = reader.read()
    except expat.ExpatError as exc:
        raise _problem(exc.lineno, exc.offset + 1, expat.ErrorString(exc.code)) from None
    if reader.pause_s > MAX_PAUSE_S:
        raise InvalidRequest("text", f"has pauses of more than {MAX_PAUSE_S:g} s together")
    if not any(char.isalnum() for piece in _spoken(root) for char in piece):
        raise InvalidRequest("text", "has nothing to say; send at least one letter or digit")
    return root


def pause_s(attributes: Mapping[str, str]) -> float:
    """Return the length of a `break` in seconds, from `time`, else `strength`, else medium. Raises ValueError."""
    time = attributes.get("time")
    if time is None:
        strength = attributes.get("strength", "medium")
        if strength not in STRENGTHS_S:
            raise ValueError(f"strength of break must be one of {', '.join(STRENGTHS_S)}")
        return STRENGTHS_S[strength]
    match = _TIME.fullmatch(time.strip())
    seconds = float(match["number"]) / (1000 if match["unit"] == "ms" else 1) if match else -1.0
    if not 0 <= seconds <= LONGEST_PAUSE_S:
        raise ValueError(f"time of break must be like 500ms or 1.5s, at most {LONGEST_PAUSE_S:g}s")
    return seconds


def rate(attributes: Mapping[str, str]) -> float:
    """Return the factor for the speed from `rate` of a `prosody`: 80%, 0.8 and -20% give 0.8. Raises ValueError."""
    value = attributes.get("rate", "medium").strip()
    if value in RATES:
        return RATES[value]
    factor = 0.0
    if match := _PERCENT.fullmatch(value):
        part = float(match["number"]) / 100
        factor = {"": part, "+": 1 + part, "-": 1 - part}[match["sign"]]
    elif _NUMBER.fullmatch(value):
        factor = float(value)
    if factor <= 0:
        raise ValueError(f"rate of prosody must be like 80%, +20%, 1.2, or one of {', '.join(RATES)}")
    return factor


class _Reader:
    """Builds the tree of one text, without recursion. Use an instance once."""

    def __init__(self, source: str) -> None:
        """Raises UnicodeEncodeError for a lone surrogate."""
        self.pause_s = 0.0
        self._source = source
        self._bytes = source.encode()
        self._ascii = len(self._bytes) == len(source)
        self._at_bytes = self._at = 0  # a place in the source, in bytes and in code points
        self._open: list[tuple[str, dict[str, str], list[Element | str]]] = []
        self._text: list[tuple[str, SourceRun]] = []  # of the text node that is being read
        self._root: Element | None = None
        self._parser = parser = expat.ParserCreate()
        # Without buffer_text, expat reports each run of text where it stands, and each reference alone.
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._on_text
        parser.StartDoctypeDeclHandler = self._doctype

    def read(self) -> Element:
        """Return the root element. Raises ExpatError, InvalidRequest."""
        self._parser.Parse(self._source, True)
        assert self._root is not None, "expat accepts no document without a root"
        return self._root

    def _place(self) -> int:
        """Where in the source, in code points, the parser is. Reads each byte once in all."""
        now = self._parser.CurrentByteIndex
        if self._ascii:
            return now
        self._at += len(self._bytes[self._at_bytes : now].decode())
        self._at_bytes = now
        return self._at

    def _refuse(self, problem: str) -> InvalidRequest:
        return _problem(self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1, problem)

    def _doctype(self, *_: object) -> None:
        raise self._refuse("a document type is not allowed")

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "speak":
            raise self._refuse("the outermost element must be speak")
        if len(self._open) == MAX_DEEP:
            raise self._refuse(f"elements are nested more than {MAX_DEEP} deep")
        try:
            if name == "break":
                self.pause_s += pause_s(attributes)
            elif name == "prosody":
                rate(attributes)
        except ValueError as exc:
            raise self._refuse(str(exc)) from None
        if not _LANGUAGE.fullmatch(attributes.get("xml:lang", "en")):
            raise self._refuse("xml:lang must be a language tag, like ko-KR")
        self._close_text()
        self._open.append((name, attributes, []))

    def _end(self, _: str) -> None:
        self._close_text()
        name, attributes, children = self._open.pop()
        spans = [span for child in children if (span := _span(child)) is not None]
        source = (spans[0][0], spans[-1][1]) if spans else (self._place(),) * 2
        element = Element(name, attributes, tuple(children), source)
        if self._open:
            self._open[-1][2].append(element)
        else:
            self._root = element

    def _on_text(self, text: str) -> None:
        first = self._place()
        # One character may be a reference (&amp; &#44032;) or a line end of two characters. A run of CDATA is as it is.
        reference = _REFERENCE.match(self._source, first) if len(text) == 1 else None
        self._text.append((text, SourceRun(first, reference.end() if reference else first + len(text), len(text))))

    def _close_text(self) -> None:
        """Add the text before a tag to the element that is open."""
        if self._text:
            node = TextNode("".join(text for text, _ in self._text))
            node.runs = tuple(run for _, run in self._text)
            self._open[-1][2].append(node)
            self._text.clear()


def _problem(line: int, column: int, problem: str) -> InvalidRequest:
    return InvalidRequest("text", f"is no SSML at line {line}, column {column}: {problem}")


def _span(child: Element | str) -> SourceSpan | None:
    """The place of the child's text in the source; None if it has none."""
    if isinstance(child, Element):
        return child.source if child.source[0] < child.source[1] else None
    assert isinstance(child, TextNode), "the reader makes no other text"
    return child.runs[0].first, child.runs[-1].end


def _texts(element: Element) -> Iterator[str]:
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from _texts(child)


def _spoken(element: Element) -> Iterator[str]:
    """Yield the texts that are spoken."""
    if element.name in NOT_SPOKEN:
        return
    if element.name == "sub" and "alias" in element.attributes:
        yield element.attributes["alias"]
        return
    for child in element.children:
        if isinstance(child, str):
            yield child
        else:
            yield from _spoken(child)
