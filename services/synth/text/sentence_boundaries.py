"""Where a sentence ends in speech. Pure; the only file that imports sentencex.

sentencex finds the candidates (it knows 3.14, Dr., URLs and Korean sentences without a space between them). The rules
here change its cuts:

    - no cut inside a pair of quotation marks or brackets on one line, and none between a closing mark and the word that
      belongs to it (`"가자."라고`, `"가자." 하고`);
    - a cut after an ellipsis before white space, and at the end of a line, unless the next line starts in lower case;
    - in Korean no cut after dotted Latin letters (`9 a.m. 회의`, `U.S. 대통령`): a sentence ends in a Korean word;
    - a piece without a letter or digit outside of tags (`<|im_end|>`) is not a sentence: it is joined to a neighbour;
    - no cut after a full stop that begins a word (`.NET`, `./build.sh`, `.5`);
    - a cut after 다, 요 or 죠 right before a number (`갔습니다.2024년에는`);
    - no cut between an abbreviation and its number (`Ep. 3`, `approx. $5`, `Ch. IV`), and between a day or month and a
      word in lower case (`Mon. to Fri.`) or a dash (`Mon.-Fri.`);
    - a number alone, or a letter used as one, is joined to the next piece (`1. First`, `가. 항목`, `2024. 5. 3.`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import sentencex  # type: ignore[import-untyped]

from services.synth.reading import is_silent

MAX_CHARS = 300
"""A longer sentence is cut; a longer quotation may be cut."""

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
_AFTER_QUOTE = re.compile(r"(?P<space>\s*)(?P<following>\w*)")  # the sentence may continue: "가자."라고, "Go!" he said
_HANGS_ON = re.compile(
    r"(?:이?라(?:고|며|면서|는|던|지)?|하(?:고|며|면서|는|던|자|더니)|고|며|는|란|이란)(?:는|도|만)?"
)
_DOTTED = re.compile(r"(?<![A-Za-z.])(?:[A-Za-z]\.){2,}[^\S\n]*$")
_ABBREVIATED = re.compile(
    r"(?<![A-Za-z])(?:[Ee]p|[Vv]ol|Ch|Chap|Sec|[Ff]igs?|Ver|Pt|Art|Eq|pp?|[Nn]os|[Aa]pprox|[Ee]st|[Mm]ax|[Mm]in"
    r"|[Aa]vg|[Tt]el|[Ee]xt|[Cc]a|[Cc]f)\.[^\S\n]*$"
)
_NUMBER_AHEAD = re.compile(r"[$€£¥₩]?[0-9]|[IVX]{2,5}(?![A-Za-z'’])")
_DAY_OR_MONTH = re.compile(
    r"(?<![A-Za-z])(?:Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri|Sat|Sun|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.[^\S\n]*$"
)
_AFTER_DAY = re.compile(r"[a-z]|(?<!\n)[-–—~]")  # Mon. to Fri., Mon.-Fri.; a dash that begins a line begins an item
# A full stop before a word, not after one: .NET, .env, ./a, ../a, .5; but a sentence begins in " .Then".
_BEGINS_WORD = re.compile(r"(?:(?<=\s)|(?<![\s\S]))(?:\.{1,2}(?=/)|\.(?=[a-z0-9]|[A-Z]{2}|Net(?![a-z])))")
_GOES_ON = re.compile(r"(?<![A-Za-z])(?:[A-Za-z]\.){2,}\s*$|(?<![A-Za-z])(?:vs|etc)\.\s*$")
_NO = re.compile(r"(?:(?<![\s\S])|(?<=[.!?]\s))No\.[^\S\n](?=I['’\s])")  # sentencex takes I for a number
_RUN_ON = re.compile(r"[가-힣][다요죠]\.+(?=\d)")
_LIST_NUMBER = re.compile(
    r"[\s*_#>\-]*\(?(?:\d{1,3}|[A-Za-z]|[가나다라마바사아자차카타파하]|[\u2160-\u217b]{1,2}|[ivx]{2,5}|[IVX]{2,5})[.)]\s*"
)
_ENDS_IN_NUMBER = re.compile(r"\d\.[^\S\n]*$")
_ENDS_IN_DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+\.\s*$")
_LONGEST_TAIL = 64  # characters at the end of a piece that the rules examine
_Span = tuple[int, int]


def pieces(text: str, code: str) -> list[str]:
    """Returns the text in pieces, one for each sentence, with the white space around it.

    Each piece has a letter or digit. Joined, the pieces are the text; a text without any letter or digit has no piece.
    `code` is an ISO 639 language code.
    """
    if not spoken(text):
        return []
    quotations = [span for span in _quotations(text) if span[1] - span[0] <= MAX_CHARS]
    cuts = _candidate_cuts(text, code, quotations) - _held(text, quotations)
    if code == "ko":
        cuts = {cut for cut in cuts if not _DOTTED.search(text[max(0, cut - _LONGEST_TAIL) : cut])}
    cuts = {cut for cut in cuts if not _abbreviated(text, cut)}
    return _join_numbers(_join_unspoken(_slices(text, cuts)), korean=code == "ko")


def _abbreviated(text: str, cut: int) -> bool:
    """Whether an abbreviation before `cut` belongs to what follows: Ep. 3, Mon. to Fri."""
    before = text[max(0, cut - _LONGEST_TAIL) : cut]
    if _NUMBER_AHEAD.match(text, cut):
        return _ABBREVIATED.search(before) is not None
    return _AFTER_DAY.match(text, cut) is not None and _DAY_OR_MONTH.search(before) is not None


def spoken(piece: str) -> bool:
    """Whether the piece has anything to say: a letter or a digit."""
    return any(char.isalnum() for char in piece)


def open_mark(text: str) -> int:
    """Returns the offset of the first mark that later text may still close; the length of the text if there is none.

    No cut behind that mark is certain. A mark can be closed until the end of its line, and within MAX_CHARS.
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
    """Returns the offsets in `text` where a sentence may begin."""
    marks = {offset for span in quotations for offset in span}
    # sentencex also keeps quotations together, but without a limit: marks without a partner here are hidden from it.
    # And it panics at multi-byte white space between a letter and a full stop, which would end the process.
    plain = _MARK_OR_WIDE_SPACE.sub(lambda mark: mark[0] if mark.start() in marks else " ", text)
    cuts: set[int] = set()
    position = 0
    for piece in _segmented(code, plain):
        position += len(piece)
        opens = position and text[position - 1] in _MARKS and text[position - 2 : position - 1].isspace()
        cuts.add(position - 1 if opens else position)
    cuts.update(run.end() for run in _MARKS_IN_A_ROW.finditer(text) if any(mark in run[0] for mark in _ELLIPSES))
    cuts.update(match.end() for pattern in (_RUN_ON, _NO) for match in pattern.finditer(text))
    for word in _BEGINS_WORD.finditer(text):
        if word.end() in cuts:
            cuts.remove(word.end())
            before = text[max(0, word.start() - _LONGEST_TAIL) : word.start()]
            if before.rstrip()[-1:] in _ENDS and not (_GOES_ON.search(before) or _ABBREVIATED.search(before)):
                cuts.add(word.start())
    for match in _LINE_END.finditer(text):
        if match["wrapped"] is None or match[0][0] in _ENDS or match[0][0] == ":":
            cuts.add(match.end() if match["wrapped"] is None else match.start("wrapped"))
    for begin, end in quotations:  # (A sentence in brackets.) ends after its bracket
        before = text[:begin].rstrip()
        if text[begin] in _BRACKETS and text[end - 1] in _ENDS and (not before or before[-1] in _ENDS):
            after = _SPACE.match(text, end + 1)
            if after is not None:
                cuts.add(after.end())
    return cuts


def _segmented(code: str, text: str) -> list[str]:
    """Returns the sentences that sentencex finds; the whole text if it panics, which only the other rules cut then.

    A panic of Rust code is not an Exception: it would end the process, again at each redelivery of the request.
    """
    try:
        return list(sentencex.segment(code, text))
    except BaseException as exc:
        if type(exc).__module__ != "pyo3_runtime":
            raise
        return [text]


def _held(text: str, quotations: Iterable[_Span]) -> set[int]:
    """Returns the offsets in a quotation, and between it and the word that belongs to it: no cut there."""
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
    """Returns the offsets of the marks of each outermost quotation or bracket on one line.

    Marks without a partner are ignored.
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
    """Returns the offset of the mark that closes the one at `position`, or -1."""
    mark = text[position]
    if mark == "'":
        closing = _APOSTROPHE_CLOSES.search(text, position + 1)
        return closing.start() if closing else -1
    return text.find(_PAIRS.get(mark, mark), position + 1)


def _begins(text: str, position: int) -> bool:
    """Whether the mark at `position` opens a quotation or bracket. A straight mark does unless a word is right before
    it (`a 5" disk`), an apostrophe only before Hangul (not `'em`), a bracket unless it is part of a smiley (`:(`).
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
    """Joins a piece of marks and tags only to the piece before it; at the beginning, to the one after it."""
    joined: list[str] = []
    leading = ""
    for piece in parts:
        if not is_silent(piece):
            joined.append(leading + piece)
            leading = ""
        elif joined:
            joined[-1] += piece
        else:
            leading += piece
    return joined or [leading]  # of tags alone


def _join_numbers(parts: list[str], *, korean: bool) -> list[str]:
    """Joins a number alone to the next piece; in Korean, where no sentence ends in a whole number, also `2024.`."""
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
