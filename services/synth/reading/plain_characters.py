"""Replaces characters by those that the rules know: digits of other scripts, other widths, spaces, dashes.

This runs before all rules, and does not depend on the language. It is not NFKC, which would also change letters of
Hangul that stand alone (ㅋㅋ), powers (m²) and fractions (½).
"""

from __future__ import annotations

import re
import unicodedata

from services.synth.reading.edited_text import EditedText

_USUAL = re.compile(r"[\t\n\r -~가-힣ㄱ-ㅠㅢㅣ…‘’“”·]*")
"""Texts that have nothing to replace: most of all."""

# Zero width, directions of writing, soft hyphens, variation selectors, control characters.
_INVISIBLE = re.compile(
    "(?<=[*#])\ufe0f?\u20e3"  # the frame of a key: #️⃣
    "|[\u0001-\u0008\u000e-\u001b\u007f-\u0084\u0086-\u009f\u00ad\u034f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0100-\U000e01ef]+"
)
_SPACES = "\u001c\u001d\u001e\u001f\u00a0\u1680\u202f\u205f\u2800\u3000\u3164\uffa0" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SAME = {
    "\u2010\u2011\u2012\ufe63": "-", "\ufe58\u2015\u2500": "—", "\u2043": "•", "⋅∙‧": "·", "∼〜": "~", "∶": ":",
    "⁄∕": "/", "‥": "…", "٫": ".", "٬": ",", "٪﹪": "%", "￦": "₩", "￥": "¥", "￡": "£", "￠": "¢", "﹖": "?",
    "﹗": "!", "﹟": "#", "﹠": "&", "﹡": "*", "﹢": "+", "﹦": "=", "﹩": "$", "﹫": "@", "\u0085\u2028\u2029": "\n",
}  # fmt: skip
_ONE_FOR_ONE = (
    _WIDE
    | dict.fromkeys(map(ord, _SPACES), " ")
    | {ord(char): plain for chars, plain in _SAME.items() for char in chars}
)
_RAISED_FRACTION = re.compile(r"(?P<above>[⁰¹²³⁴-⁹]{1,3})/(?P<below>[₀-₉]{1,3})")
_DIGIT = re.compile(r"[^\D0-9]")
_STYLED = re.compile("[\U0001d400-\U0001d7cb]")  # letters as mathematical signs: 𝗕𝗼𝗹𝗱
_SQUARED = re.compile("[\u3371-\u337a\u3380-\u33df\ufb00-\ufb06]")  # ㎏, ㎿, ㏂, ﬁ

_DASH = "[–—−ㅡー]"
_ANY_DASH = "[–—−ㅡー-]"
_DASHES = re.compile(_DASH)
# Three groups of digits or more are a telephone, a date or a code. Of two, only those that are certainly a telephone.
_GROUPS = re.compile(rf"(?<![0-9.,])[0-9]{{1,14}}(?:{_ANY_DASH}[0-9]{{1,14}}){{2,5}}(?![0-9])")
_AREA = re.compile(
    rf"(?:\([0-9]{{2,4}}\)(?:\s|{_ANY_DASH})?|(?<![0-9.,])0[0-9]{{1,3}}(?:\) ?|[ .]))"
    rf"[0-9]{{3,4}}{_DASH}[0-9]{{4}}(?![0-9])"
)
_SERVICE = re.compile(rf"(?<![0-9.,\-–—−])(?P<a>1[568][0-9]{{2}}){_DASH}(?P<b>[0-9]{{4}})(?![0-9])")
_BETWEEN = re.compile(r"(?<=[0-9])[—ㅡー](?=[0-9])")
_AFTER_UNIT = re.compile(
    r"(?:(?<=[시분일월년%°℃)])|(?<=[aApP][mM])|(?<=[ap]\.m\.))[—−](?=[0-9]|오전|오후|새벽|저녁|밤|다음)"
)
_WEEKDAYS = re.compile(r"(?<=[월화수목금토일])[–—−](?=[월화수목금토일](?:요일|(?!\w)))")
# A range with a unit or in a month; without them it is a subtraction, which the rules know: 5−3.
_MINUS_BETWEEN = re.compile(
    r"(?<=[0-9])−(?=[0-9.,]{1,12}\s?(?:[%‰°℃$€₩A-Za-z~]|[명개년월시분초원층세살회주권장병잔]|일(?!\s?때)))"
)
_MONTH = re.compile(r"(?<![0-9.,])(?P<year>(?:19|20)[0-9]{2})[–—−](?P<month>0[1-9]|1[0-2])(?![0-9.,%–—−\-])")
_MINUS = re.compile(r"(?<![0-9A-Za-z가-힣)%.,~–—−\-])(?<![0-9]\s)–(?=[0-9$€£₩])")


def plain(text: EditedText) -> EditedText:
    """Returns the text with plain characters; each comes from what stood in its place. Takes linear time.

    Between digits, a dash becomes a hyphen in a telephone, a date or a code, and stays an en dash in a range: 9–5.
    """
    if _USUAL.fullmatch(text.text):
        return text
    plain = text.respelled(text.text.translate(_ONE_FOR_ONE)).sub(_INVISIBLE, "").sub(_SQUARED, _letters)
    same = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), plain.text)
    same = _STYLED.sub(lambda letter: unicodedata.normalize("NFKC", letter[0]), same)
    plain = plain.respelled(_with_plain_dashes(same))
    return plain.sub(_RAISED_FRACTION, _fraction)


def _letters(sign: re.Match[str]) -> str:
    letters = unicodedata.normalize("NFKC", sign[0]).replace("∕", "/")
    return f"{letters[:-1]}²" if letters.endswith("s2") else letters  # m/s²


def _fraction(match: re.Match[str]) -> str:
    """Return ¹/₂ as 1/2, apart from a whole number before it."""
    apart = " " if match.string[match.start() - 1 : match.start()].isdecimal() else ""
    return apart + unicodedata.normalize("NFKC", match[0])


def _with_plain_dashes(text: str) -> str:
    """Return a text of the same length in which a dash at a digit is the one that the rules know for its purpose."""
    if not _DASHES.search(text):
        return text
    for pattern in (_GROUPS, _AREA):
        text = pattern.sub(lambda groups: _DASHES.sub("-", groups[0]), text)
    text = _MONTH.sub(_month, _SERVICE.sub(_service, text))
    text = _BETWEEN.sub(lambda dash: "–" if dash[0] == "—" else "-", text)
    text = _WEEKDAYS.sub("-", text)
    return _MINUS.sub("-", _MINUS_BETWEEN.sub("–", _AFTER_UNIT.sub("–", text)))


def _service(match: re.Match[str]) -> str:
    """Return 1588-1234; two years in order stay a range: 1500–1900."""
    years = int(match["a"]) < int(match["b"]) <= 2100
    return match[0] if years else f"{match['a']}-{match['b']}"


def _month(match: re.Match[str]) -> str:
    """Return 2024-05; two years in a row stay a range: 2005–06."""
    years = int(match["month"]) == int(match["year"]) % 100 + 1
    return match[0] if years else f"{match['year']}-{match['month']}"
