"""Korean numerals: Sino-Korean, native, digit by digit.

Spacing follows 한글 맞춤법 제44항: a number is written in groups of ten thousand (십이억 삼천사백오십육만 칠천팔백).
"""

from __future__ import annotations

LONGEST = 20
"""Maximum digits of a whole number that is read as a number; a longer one is read digit by digit."""

_DIGITS = "영일이삼사오육칠팔구"
_PHONE_DIGITS = "공일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_GROUPS = ("", "만", "억", "조", "경")
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")


def digits(number: str, zero: str = "영") -> str:
    """Reads digit by digit; `zero` is 영 after a decimal point, 공 in a telephone number."""
    names = _DIGITS if zero == "영" else _PHONE_DIGITS
    return "".join(names[int(digit)] for digit in number if digit in "0123456789")


def sino(number: int) -> str:
    """Returns the Sino-Korean numeral: 일, 이, 삼. 10 000 is 만, 100 000 000 is 일억, as in speech."""
    if number == 0:
        return "영"
    text = str(number)
    if len(text) > LONGEST:
        return digits(text)
    groups: list[str] = []
    for place, name in enumerate(_GROUPS):
        group = number // 10_000**place % 10_000
        if group == 1 and place == 1 and number < 20_000:
            groups.append(name)
        elif group:
            groups.append(_below_ten_thousand(group) + name)
    return " ".join(reversed(groups))


def _below_ten_thousand(number: int) -> str:
    """Return the numeral without 일 before 십, 백 and 천."""
    said = ""
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if digit:
            said += ("" if digit == 1 and place else _DIGITS[digit]) + _PLACES[place]
    return said


def decimal(number: str) -> str:
    """Reads a plain number, with or without commas and a point: 3.14 is 삼 점 일사, 007 is 공공칠."""
    whole, _, fraction = number.replace(",", "").partition(".")
    if len(whole) > 1 and whole[0] == "0":
        return digits(whole, "공") + (f" 점 {digits(fraction)}" if fraction else "")
    said = sino(int(whole)) if len(whole) <= LONGEST else digits(whole)
    return f"{said} 점 {digits(fraction)}" if fraction else said


def native(number: int) -> str:
    """Returns the native numeral before a counter, from 1: 한, 두, 세.

    Above 99 only the ones have a native name, and only if the tens are zero: 101 is 백한, 112 is 백십이.
    """
    if number > 99:
        rest = number % 100
        if not 0 < rest < 10:
            return sino(number)
        return sino(number - rest) + (" " if number % 10_000 == rest else "") + _ONES[rest]
    if number == 20:
        return "스무"
    return _TENS[number // 10] + _ONES[number % 10]


def ordinal(number: int) -> str:
    """Returns the ordinal: 첫 번째, 두 번째, 스물한 번째, 백 번째."""
    return ("첫" if number == 1 else native(number)) + " 번째"


def month(number: int) -> str:
    """Returns the month; 유월 and 시월 are irregular (한글 맞춤법 제52항)."""
    return {6: "유", 10: "시"}.get(number, sino(number)) + "월"


def final_consonant(syllable: str) -> int:
    """Returns the number of the final consonant of a Hangul syllable: 0 is none, 8 is ㄹ."""
    return (ord(syllable) - 0xAC00) % 28 if "가" <= syllable <= "힣" else 0
