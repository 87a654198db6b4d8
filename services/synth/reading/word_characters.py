"""Characters that stand for a number, a letter or a word: ①, Ⅳ, ½, ⓐ, ㈜, ℡. This runs before all rules.

They become words, not digits, where digits would join those beside them: "① 3개" is not 1 and 3 in a row.
"""

from __future__ import annotations

import re
import unicodedata

from services.synth.reading.common import roman_value
from services.synth.reading.edited_text import EditedText
from services.synth.reading.english.numeral import cardinal
from services.synth.reading.korean.numeral import sino
from services.synth.reading.rule import after, before

_COUNTED = (
    "\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf"  # ① ⑴ ⒈ ❶ ㈠ ㉑ ㊀ ㊱
)
_NUMBER = re.compile(f"[{_COUNTED}]")
_SPAN = re.compile(rf"(?<=[{_COUNTED}])\s?[~–\-]\s?(?=[{_COUNTED}])")
_ROMAN = re.compile("[\u2160-\u217f]{1,8}")
_LETTER = re.compile("[\u249c-\u24e9]")  # ⒜ Ⓐ ⓐ
_OF_HANGUL = re.compile("[\u3200-\u321b\u3260-\u327b]")  # ㈀ ㈎ ㉠ ㉮
_FRACTION = re.compile(r"(?:(?<=[0-9])\s)?[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒]")
_NAME = re.compile("[㈜㈔㍿℡℻]")
_ANY = re.compile(f"[{_COUNTED}\u2160-\u217f\u249c-\u24e9\u3200-\u321c\u3260-\u327b½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒㍿℡℻]")

_KOREAN_NAMES = {"㈜": "주식회사", "㈔": "사단법인", "㍿": "주식회사", "℡": "전화", "℻": "팩스"}
_ENGLISH_NAMES = {"℡": "telephone", "℻": "fax"}  # the others have no usual word in English, and are silent
_JAMO, _SYLLABLES = "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ", "가나다라마바사아자차카타파하"
# What may follow without a space: a particle, or 번 of ①번.
_HANGS_ON = re.compile(
    r"번|(?:은|는|이|가|을|를|의|에|로|와|과|도|만|입니다|이다|이고|까지|부터|에서|에게|으로|이나|처럼|보다)(?![가-힣])"
)
_COPYRIGHT = re.compile(r"[ⓒⒸ](?=\s?[0-9A-Z]|[가-힣])")
_MEASURED = re.compile(r"\s?(?:[A-Za-z]|분기)")


def in_words(text: EditedText, code: str) -> EditedText:
    """Returns the text with these characters as words, or as what the rules read: `code` is ko or en.

    ① is 일 or one; Ⅳ 사 or four; ⓐ the letter; 2¼ is 2 1/4. Each word comes from its character. Takes linear time.
    """
    if not _ANY.search(text.text):
        return text
    korean = code == "ko"
    names = _KOREAN_NAMES if korean else _ENGLISH_NAMES
    text = text.sub(_FRACTION, _korean_fraction if korean else _fraction)
    text = text.sub(_NAME, lambda sign: _apart(sign, names[sign[0]]) if sign[0] in names else " ")
    text = text.sub(_COPYRIGHT, " ").sub(_LETTER, lambda sign: _apart(sign, _letter(sign[0])))
    text = text.sub(_OF_HANGUL, lambda sign: _apart(sign, _syllable(sign[0])))
    text = text.sub(_SPAN, "에서 " if korean else " to ")
    said = sino if korean else cardinal
    text = text.sub(_NUMBER, lambda sign: _apart(sign, said(int(unicodedata.numeric(sign[0])))))
    return text.sub(_ROMAN, lambda sign: _joined(sign, said(_roman(sign[0]))))


def _apart(match: re.Match[str], words: str) -> str:
    """Return the words with spaces where a word is beside them; a Korean particle hangs on."""
    left, right = before(match, 1), after(match, 1)
    hangs = _HANGS_ON.match(match.string, match.end())
    ahead = " " if left.isalnum() and left != "제" else ""
    return ahead + words + (" " if right.isalnum() and not hangs else "")


def _joined(match: re.Match[str], words: str) -> str:
    """Return the words without a space at Hangul: 제Ⅱ장 is one word."""
    left, right = before(match, 1), after(match, 1)
    ahead = " " if left.isalnum() and (left.isascii() or words.isascii()) else ""
    return ahead + words + (" " if right.isalnum() and (right.isascii() or words.isascii()) else "")


def _letter(sign: str) -> str:
    return unicodedata.normalize("NFKC", sign).strip("()").upper()


def _syllable(sign: str) -> str:
    """Return the letter (ㄱ) or syllable (가) in ㈀, ㈎, ㉠ or ㉮."""
    place = (ord(sign) - (0x3200 if sign < "\u3260" else 0x3260)) % 28
    return (_JAMO + _SYLLABLES)[place]


def _fraction(match: re.Match[str]) -> str:
    """Return digits, which the rules read with a unit or after a whole number: 1/2 cup, 2 1/4."""
    left, right = before(match, 1), after(match, 1)
    return (" " if left.isalnum() else "") + _digits(match) + (" " if right.isdecimal() else "")


def _digits(fraction: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", fraction[0].strip()).replace("⁄", "/")


def _korean_fraction(match: re.Match[str]) -> str:
    """Return words, or digits before a unit and after a whole number: 2와 1/4. 1/2까지 would be read as a date."""
    whole = before(match, 1)
    if whole.isdecimal():
        return ("와 " if whole in "2459" else "과 ") + _digits(match)
    if _MEASURED.match(match.string, match.end()):
        return _fraction(match)
    above, below = _digits(match).split("/")
    return _apart(match, f"{sino(int(below))} 분의 {sino(int(above))}")


def _roman(sign: str) -> int:
    """Return the value of a numeral in Roman characters: 14 for ⅩⅣ."""
    return roman_value(unicodedata.normalize("NFKC", sign).upper())
