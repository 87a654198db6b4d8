"""Where a speaker would end a sentence. Pure; the only file that imports sentencex.

sentencex finds the candidates (it knows 3.14, Dr., URLs and Korean sentences without a space between them). The rules
here decide which of its cuts a speaker would make:

    - none inside a pair of quotation marks or brackets on one line, nor between a closing mark and what hangs on it
      (`"가자."라고`, `"가자." 하고`);
    - one more after an ellipsis that is followed by white space, and at a line's end unless the next line goes on in
      lower case;
    - in Korean none after dotted Latin letters (`9 a.m. 회의`, `U.S. 대통령`): a Korean sentence ends in a Korean word;
    - a piece without a letter or digit is no sentence: it stays with its neighbour;
    - a sentence may end in 다, 요 or 죠 right before a number (`갔습니다.2024년에는`), an abbreviation none (`Ep. 3`);
    - a lone number, or a letter that numbers, is the head of what follows (`1. First`, `가. 항목`, `2024. 5. 3.`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sentencex  # type: ignore[import-untyped]

MAX_CHARS = 300
"""A longer sentence is cut; a longer quotation is not held together."""

_MARKS_IN_A_ROW = re.compile(r"(?<![.…!?])[.…!?]++(?=\s)")
_ELLIPSES = ("…", "...")
_ENDS = frozenset(".!?…。！？")
_BRACKETS = frozenset("([（")
_SPACE = re.compile(r"\s+")
_LINE_END = re.compile(r"[.!?…。！？:]?[^\S\n]*\n\s*(?P<wrapped>[a-z])?")
_PAIRS = {"“": "”", "‘": "’", "「": "」", "『": "』", "«": "»", "(": ")", "[": "]", "（": "）"}
_APOSTROPHE_CLOSES = re.compile(r"'(?![A-Za-z])")
_MARKS = frozenset({'"', *_PAIRS, *_PAIRS.values()})
_MARK_OR_WIDE_SPACE = re.compile(f"[{re.escape(''.join(sorted(_MARKS)))}]|[^\\S\\x00-\\x7f]")
_OPENING = re.compile(f"[\"'{re.escape(''.join(_PAIRS))}]")
_AFTER_QUOTE = re.compile(r"(?P<space>\s*)(?P<following>\w*)")  # goes on with its sentence: "가자."라고, "Go!" he said
_HANGS_ON = re.compile(
    r"(?:이?라(?:고|며|면서|는|던|지)?|하(?:고|며|면서|는|던|자|더니)|고|며|는|란|이란)(?:는|도|만)?"
)
_DOTTED = re.compile(r"(?<![A-Za-z.])(?:[A-Za-z]\.){2,}[^\S\n]*$")
_ABBREVIATED = re.compile(r"(?<![A-Za-z])(?:[Ee]p|[Vv]ol|Ch|Chap|Sec|[Ff]ig|Ver|Pt|Art|Eq|pp?)\.[^\S\n]*$")
_RUN_ON = re.compile(r"[가-힣][다요죠]\.+(?=\d)")
_LIST_NUMBER = re.compile(
    r"[\s*_#>\-]*\(?(?:\d{1,3}|[A-Za-z]|[가나다라마바사아자차카타파하]|[\u2160-\u217b]{1,2}|[ivx]{2,5}|[IVX]{2,5})[.)]\s*"
)
_ENDS_IN_NUMBER = re.compile(r"\d\.[^\S\n]*$")
_ENDS_IN_DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+\.\s*$")
_LONGEST_TAIL = 64  # characters that the rules on a piece's end look at
_Span = tuple[int, int]


def pieces(text: str, code: str) -> list[str]:
    """The text in pieces, one for each sentence, each with a letter or digit, with the white space around it.

    Joined, they are the text; a text without any letter or digit gives none. `code` is an ISO 639 language code.
    """
    if not spoken(text):
        return []
    quotations = [span for span in _quotations(text) if span[1] - span[0] <= MAX_CHARS]
    cuts = _candidate_cuts(text, code, quotations) - _held(text, quotations)
    if code == "ko":
        cuts = {cut for cut in cuts if not _DOTTED.search(text[max(0, cut - _LONGEST_TAIL) : cut])}
    cuts = {cut for cut in cuts if not (text[cut : cut + 1].isdigit() and _abbreviated(text, cut))}
    return _join_numbers(_join_unspoken(_slices(text, cuts)), korean=code == "ko")


def _abbreviated(text: str, cut: int) -> bool:
    """Whether what ends at `cut` is the short name of what the number behind it counts: Ep. 3."""
    return _ABBREVIATED.search(text[max(0, cut - _LONGEST_TAIL) : cut]) is not None


def spoken(piece: str) -> bool:
    """Whether there is anything to say in it: a letter or a digit."""
    return any(char.isalnum() for char in piece)


def open_mark(text: str) -> int:
    """Offset of the first mark that what follows may still close, so that no cut behind it is certain; else the length.

    A mark waits for its partner up to the end of its line, and no longer than MAX_CHARS.
    """
    closed = dict(_quotations(text))
    position = max(text.rfind("\n") + 1, len(text) - MAX_CHARS, 0)
    for begin, end in closed.items():
        if begin < position <= end:
            position = end + 1
    while mark := _OPENING.search(text, position):
        if mark.start() not in closed and _begins(text, mark.start()):
            return mark.start()
        position = closed.get(mark.start(), mark.start()) + 1
    return len(text)


def _candidate_cuts(text: str, code: str, quotations: Iterable[_Span]) -> set[int]:
    """Offsets into `text` where a sentence may begin."""
    marks = {offset for span in quotations for offset in span}
    # sentencex holds quotations too, but without a bound; it must not see the marks that hold nothing here. And it
    # panics at white space of more than one byte behind a letter and before a full stop, which would end the process.
    plain = _MARK_OR_WIDE_SPACE.sub(lambda mark: mark[0] if mark.start() in marks else " ", text)
    cuts: set[int] = set()
    position = 0
    for piece in _segmented(code, plain):
        position += len(piece)
        opens = position and text[position - 1] in _MARKS and text[position - 2 : position - 1].isspace()
        cuts.add(position - 1 if opens else position)
    cuts.update(run.end() for run in _MARKS_IN_A_ROW.finditer(text) if any(mark in run[0] for mark in _ELLIPSES))
    cuts.update(match.end() for match in _RUN_ON.finditer(text))
    for match in _LINE_END.finditer(text):
        if match["wrapped"] is None or match[0][0] in _ENDS or match[0][0] == ":":
            cuts.add(match.end() if match["wrapped"] is None else match.start("wrapped"))
    for begin, end in quotations:  # (A sentence of its own.) ends behind its bracket
        before = text[:begin].rstrip()
        if text[begin] in _BRACKETS and text[end - 1] in _ENDS and (not before or before[-1] in _ENDS):
            after = _SPACE.match(text, end + 1)
            if after is not None:
                cuts.add(after.end())
    return cuts


def _segmented(code: str, text: str) -> list[str]:
    """The sentences that sentencex finds; the whole text where sentencex panics, so that the other rules alone cut it.

    A panic of Rust code is no Exception: it would end the process, and end it again at each redelivery of the request.
    """
    try:
        return list(sentencex.segment(code, text))
    except BaseException as exc:
        if type(exc).__module__ != "pyo3_runtime":
            raise
        return [text]


def _held(text: str, quotations: Iterable[_Span]) -> set[int]:
    """Offsets at which a cut would part a quotation, or part it from the word that hangs on it."""
    held: set[int] = set()
    for begin, end in quotations:
        held.update(range(begin + 1, end + 1))
        after = _AFTER_QUOTE.match(text, end + 1)
        if after is None or "\n" in after["space"]:
            continue
        word = after["following"]
        hangs = (word[:1].islower() or _HANGS_ON.fullmatch(word)) if after["space"] else word[:1].isalnum()
        if hangs:
            held.update(range(end + 1, after.end("space") + 1))
    return held


def _quotations(text: str) -> list[_Span]:
    """Offsets of the marks of each outermost quotation or bracket on one line; a mark without its partner counts for
    nothing.
    """
    spans: list[_Span] = []
    mark = _OPENING.search(text)
    while mark is not None:
        begin = end = mark.start()
        if _begins(text, begin):
            partner = _partner(text, begin)
            if partner > 0 and "\n" not in text[begin:partner]:
                spans.append((begin, partner))
                end = partner
        mark = _OPENING.search(text, end + 1)
    return spans


def _partner(text: str, position: int) -> int:
    """Offset of the mark that closes the one at `position`, or -1."""
    mark = text[position]
    if mark == "'":
        closing = _APOSTROPHE_CLOSES.search(text, position + 1)
        return closing.start() if closing else -1
    return text.find(_PAIRS.get(mark, mark), position + 1)


def _begins(text: str, position: int) -> bool:
    """Whether a quotation or bracket is opened here. A straight mark does if no word touches it from the left (unlike
    `a 5" disk`), an apostrophe only before Hangul (unlike `'em`), a bracket unless it is a mouth (`:(`).
    """
    mark = text[position]
    before = text[position - 1] if position else ""
    if mark == '"':
        return not before.isalnum() and not text[position + 1 : position + 2].isspace()
    if mark == "'":
        return not before.isalnum() and "가" <= text[position + 1 : position + 2] <= "힣"
    return mark in _PAIRS and not (mark in "([" and before in (":", ";", "="))


def _slices(text: str, cuts: Iterable[int]) -> list[str]:
    bounds = sorted({0, len(text), *cuts})
    return [text[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]


def _join_unspoken(parts: list[str]) -> list[str]:
    """Pieces without a letter or digit go to the sentence before them, at the beginning to the one after."""
    joined: list[str] = []
    leading = ""
    for piece in parts:
        if spoken(piece):
            joined.append(leading + piece)
            leading = ""
        elif joined:
            joined[-1] += piece
        else:
            leading += piece
    return joined


def _join_numbers(parts: list[str], *, korean: bool) -> list[str]:
    """A lone number goes to what follows it; in Korean, where no sentence ends in a whole number, so does `2024.`."""
    joined: list[str] = []
    waiting = ""
    for piece in parts:
        piece = waiting + piece
        waiting = ""
        tail = piece[-_LONGEST_TAIL:]
        if _LIST_NUMBER.fullmatch(piece) or (
            korean and _ENDS_IN_NUMBER.search(tail) and not _ENDS_IN_DECIMAL.search(tail)
        ):
            waiting = piece
        else:
            joined.append(piece)
    if waiting:
        joined.append(waiting)
    return joined
