"""Replaces characters by those that the rules know: digits of other scripts, other widths, spaces, hyphens.

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

_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:[\u00a0\u2009\u202f][0-9]{3}){1,6}(?![0-9])")  # 1 000 000
_FIXED_SPACE = re.compile(r"[\u00a0\u2009\u202f]")


def plain(text: EditedText) -> EditedText:
    """Returns the text with plain characters; each comes from what stood in its place. Takes linear time."""
    if _USUAL.fullmatch(text.text):
        return text
    same = _THOUSANDS.sub(lambda number: _FIXED_SPACE.sub(",", number[0]), text.text)
    plain = text.respelled(same.translate(_ONE_FOR_ONE)).sub(_INVISIBLE, "").sub(_SQUARED, _letters)
    same = _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), plain.text)
    same = _STYLED.sub(lambda letter: unicodedata.normalize("NFKC", letter[0]), same)
    return plain.respelled(same).sub(_RAISED_FRACTION, _fraction)


def _letters(sign: re.Match[str]) -> str:
    letters = unicodedata.normalize("NFKC", sign[0]).replace("∕", "/")
    return f"{letters[:-1]}²" if letters.endswith("s2") else letters  # m/s²


def _fraction(match: re.Match[str]) -> str:
    """Return ¹/₂ as 1/2, apart from a whole number before it."""
    apart = " " if match.string[match.start() - 1 : match.start()].isdecimal() else ""
    return apart + unicodedata.normalize("NFKC", match[0])
