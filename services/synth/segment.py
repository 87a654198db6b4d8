"""Text into sentences, for speech: Korean and English. Pure; the only file that imports sentencex.

sentencex finds the candidates (it knows 3.14, Dr., URLs and Korean sentences without a space between them). The rules
here decide which of its cuts a speaker would make:

    - none inside a pair of quotation marks, nor between a closing mark and what hangs on it (`"가자."라고`);
    - one more after an ellipsis that is followed by white space;
    - a piece without a letter or digit is no sentence: it stays with its neighbour;
    - a lone number is the head of what follows (`1. First`, `2024. 5. 3.`);
    - a sentence longer than MAX_CHARS is cut at a comma or a space, since audio comes a sentence at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sentencex  # type: ignore[import-untyped]

MAX_CHARS = 300
"""A longer sentence is cut; a longer quotation is not held together."""

_MIN_CUT = 60  # no earlier than this does a long sentence end at a comma: crumbs sound worse than a late pause
_ELLIPSIS = re.compile(r"(?:…|\.{3,})[.…!?]*(?=\s)")
_PAIRS = {"“": "”", "‘": "’", "「": "」", "『": "』", "«": "»"}
_MARKS = frozenset({'"', *_PAIRS, *_PAIRS.values()})
_AFTER_QUOTE = re.compile(r"(?P<space>\s*)(?P<following>\w?)")  # goes on with its sentence: "가자."라고, "Go!" he said
_Span = tuple[int, int]
_LIST_NUMBER = re.compile(r"\s*\(?\d{1,3}[.)]\s*")
_ENDS_IN_NUMBER = re.compile(r"\d\.\s*$")
_HANGUL = re.compile(r"[가-힣]")


def sentences(text: str, language: str) -> list[str]:
    """The sentences of `text`, in order, stripped, each with at least one letter or digit and at most MAX_CHARS long
    (a run of marks rides along).

    Joined, they are the whole text but for white space; a text without any letter or digit gives no sentence.
    `language` is a BCP 47 tag; only its first part counts. A text in Hangul is Korean whatever the tag says.
    """
    if not _spoken(text):
        return []
    code = "ko" if _HANGUL.search(text) else language.replace("_", "-").partition("-")[0].lower() or "en"
    quotations = [span for span in _quotations(text) if span[1] - span[0] <= MAX_CHARS]
    cuts = _candidate_cuts(text, code, quotations) - _held(text, quotations)
    pieces = _join_numbers(_join_unspoken(_slices(text, cuts)), korean=code == "ko")
    return [part for piece in pieces for part in _bounded(piece.strip())]


def _candidate_cuts(text: str, code: str, quotations: Iterable[_Span]) -> set[int]:
    """Offsets into `text` where a sentence may begin."""
    marks = {offset for span in quotations for offset in span}
    # sentencex holds quotations too, but without a bound; it must not see the marks that hold nothing here.
    plain = "".join(" " if c in _MARKS and i not in marks else c for i, c in enumerate(text))
    cuts: set[int] = set()
    position = 0
    for piece in sentencex.segment(code, plain):
        position += len(piece)
        opens = position and text[position - 1] in _MARKS and text[position - 2 : position - 1].isspace()
        cuts.add(position - 1 if opens else position)
    cuts.update(match.end() for match in _ELLIPSIS.finditer(text))
    return cuts


def _held(text: str, quotations: Iterable[_Span]) -> set[int]:
    """Offsets at which a cut would part a quotation, or part it from the word that hangs on it."""
    held: set[int] = set()
    for begin, end in quotations:
        held.update(range(begin + 1, end + 1))
        after = _AFTER_QUOTE.match(text, end + 1)
        if after and (after["following"].islower() if after["space"] else after["following"].isalnum()):
            held.update(range(end + 1, after.end()))
    return held


def _quotations(text: str) -> list[_Span]:
    """Offsets of the marks of each outermost quotation; a mark without its partner counts for nothing."""
    spans: list[_Span] = []
    position = 0
    while position < len(text):
        mark = text[position]
        closing = _PAIRS.get(mark)
        end = -1
        if closing is not None:
            end = text.find(closing, position + 1)
        elif mark == '"' and _opens(text, position):
            end = text.find('"', position + 1)
        if end > 0:
            spans.append((position, end))
            position = end
        position += 1
    return spans


def _opens(text: str, position: int) -> bool:
    """Whether a straight mark opens a quotation: no word touches it from the left (as in `a 5" disk`)."""
    return (position == 0 or not text[position - 1].isalnum()) and not text[position + 1 : position + 2].isspace()


def _slices(text: str, cuts: Iterable[int]) -> list[str]:
    bounds = sorted({0, len(text), *cuts})
    return [text[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]


def _spoken(piece: str) -> bool:
    return any(char.isalnum() for char in piece)


def _join_unspoken(pieces: list[str]) -> list[str]:
    """Pieces without a letter or digit go to the sentence before them, at the beginning to the one after."""
    joined: list[str] = []
    leading = ""
    for piece in pieces:
        if _spoken(piece):
            joined.append(leading + piece)
            leading = ""
        elif joined:
            joined[-1] += piece
        else:
            leading += piece
    return joined


def _join_numbers(pieces: list[str], *, korean: bool) -> list[str]:
    """A lone number goes to what follows it; in Korean, where no sentence ends in a figure, so does `2024.`."""
    joined: list[str] = []
    waiting = ""
    for piece in pieces:
        piece = waiting + piece
        waiting = ""
        if _LIST_NUMBER.fullmatch(piece) or (korean and _ENDS_IN_NUMBER.search(piece)):
            waiting = piece
        else:
            joined.append(piece)
    if waiting:
        joined.append(waiting)
    return joined


def _bounded(sentence: str) -> list[str]:
    """The sentence in parts of at most MAX_CHARS, cut after a comma, else at white space, else in mid-word."""
    parts: list[str] = []
    while len(sentence) > MAX_CHARS:
        cut = _cut_of(sentence)
        parts.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return _join_unspoken([*parts, sentence])


def _cut_of(sentence: str) -> int:
    window = sentence[:MAX_CHARS]
    for pattern in (r"[,;:，、—](?=\s)", r"\s"):
        ends = [m.end() for m in re.finditer(pattern, window) if m.end() >= _MIN_CUT]
        if ends:
            return ends[-1]
    return MAX_CHARS
