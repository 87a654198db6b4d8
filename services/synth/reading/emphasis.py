r"""Removes the marks of emphasis and code: **bold**, *italic*, ***both***, __bold__, _italic_, ~~strike~~, ==mark==,
++underline++, ||spoiler||, `code`.

Nothing takes their place, so that a particle stays at its word and a rule sees the number that was bold. A star that is
not a mark stays, because the rules say it: a key (press *), a product (5 * 3, 2**3), a hidden digit (****-3456).
CommonMark decides by the characters beside a mark; here Hangul counts as a word beside which a mark may stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.synth.reading.edited_text import Edit, EditedText

_ANY = re.compile(r"[*_`\\]|~~|==|\+\+|\|\|")
# Linear time for any text: content is bounded, and each opening mark is tried once.
_LINE = r"(?:[^\n]|\n(?![^\S\n]*\n))"  # emphasis may go on in the next line, but not in the next paragraph
_NOT_IN_QUOTES = r"(?:(?<![\"'‘“「『(\[`])|(?=[*_]{1,3}[\w$€£₩#+\-~<`]))"  # '*' in quotes is the sign itself
_CODE = re.compile(r"(?<![`\\])(?P<mark>`{1,2})(?!`)(?P<words>[^`\n]{1,300})(?P=mark)(?!`)")
_STRIKE = re.compile(
    r"(?<![\w~=+|\\])(?P<mark>~~|==|\+\+|\|\|)(?P<words>(?![\s~=+|])(?:(?!(?P=mark))[^\n]){1,300}(?<!\s))(?P=mark)"
    r"(?![~=+|A-Za-z0-9])"
)
_BOLD = re.compile(
    r"(?:(?<![0-9A-Za-z)\]@*\\])|(?<=[0-9A-Za-z)\]])(?=\*{2,3}[^\x00-\x7f]))"  # not 2**3, 12**-34**
    rf"{_NOT_IN_QUOTES}(?P<mark>\*{{2,3}})(?![\s*,;:!?)\]}}]|-[0-9]{{3}})"
    rf"(?P<words>(?:(?!\*\*){_LINE}){{1,300}}?)(?<![\s(\[{{“‘\-/@\\])(?P=mark)(?!\*)"
)
_ITALIC = re.compile(
    rf"(?<![\w*\\/)\]]){_NOT_IN_QUOTES}\*(?![\s*.,;:!?)\]}}]|(?:를|을|는|와|과|로|키|버튼|표)(?:\s|$)|-[0-9]{{3}})"
    rf"(?P<words>(?:(?!\*){_LINE}){{1,300}}?)(?<![\s(\[{{“‘\-/@\\])\*(?![*0-9A-Za-z])"
)
_UNDERSCORED = re.compile(
    rf"(?<![\w\\/.@=&?%:~\-]){_NOT_IN_QUOTES}(?P<mark>_{{1,3}})(?![\s_.,;:!?)\]}}])"
    rf"(?P<words>{_LINE}{{1,300}}?)(?<![\s_\\])(?P=mark)(?![0-9A-Za-z_])"
)
_UNPAIRED = re.compile(r"(?<![*\\])\*{2,3}(?!\*)")
_BULLET = re.compile(
    r"(?m)^[^\S\n]{0,20}\*[^\S\n]{1,4}(?=\S)(?!(?:키|버튼|표|또는|혹은|key|button|or|and)(?![A-Za-z])|[#*])"
)
_ESCAPED = re.compile(r"\\(?P<sign>[*#_~`.+>\-])")
_OPENING, _CLOSING = frozenset("\"'‘“「『(["), frozenset("\"'’”」』)]")


def unmarked(text: EditedText) -> EditedText:
    """Returns the text without these marks. Each character that is left comes from itself. Takes linear time."""
    if not _ANY.search(text.text):
        return text
    text = _without(_CODE, text)
    text = _without(_BOLD, _without(_STRIKE, text))
    text = _without(_UNDERSCORED, _without(_ITALIC, text))
    text = text.sub(_UNPAIRED, lambda stars: stars[0] if _is_sign(stars) else "")
    return text.sub(_BULLET, "").sub(_ESCAPED, lambda escaped: escaped["sign"])


def around(match: re.Match[str], kept: str) -> Iterator[Edit]:
    """Yields the edits that delete the match except its group `kept`."""
    for first, end in ((match.start(), match.start(kept)), (match.end(kept), match.end())):
        if first < end:
            yield first, end, ""


def _without(pattern: re.Pattern[str], text: EditedText) -> EditedText:
    return text.edited([edit for found in pattern.finditer(text.text) for edit in around(found, "words")])


def _is_sign(stars: re.Match[str]) -> bool:
    """Whether two or three stars without a partner are a sign, and not half of a mark whose other half is elsewhere.

    A sentence can end inside of a bold text: "**Wait. Then** go." gives "**Wait." and "Then** go."
    """
    before = stars.string[stars.start() - 1 : stars.start()]
    after = stars.string[stars.end() : stars.end() + 1]
    if not before.strip() and not after.strip() or before in _OPENING and after in _CLOSING and before:
        return True
    if before.isascii() and before.isalnum() or before in (")", "]"):
        word = stars.string[max(0, stars.start() - 24) : stars.start()].split()[-1]
        return "*" in word or after.isascii() and (after.isalnum() or after in ("(", "[", "-", "@")) and bool(after)
    return before == "-" or after in ("-", "@") or (bool(before.strip()) and after.isdecimal())
