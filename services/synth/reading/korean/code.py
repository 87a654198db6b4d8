"""Codes that are read digit by digit after the word that names them, in Korean: 계좌번호는 1002…, 끝자리 3456번.

Also masked ones (****-3456: the stars are silent), number plates (12가 3456), and very long numbers.
"""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import NETWORK_CARD
from services.synth.reading.korean import counter, key, sign
from services.synth.reading.korean.latin import spelled, word_or_letters
from services.synth.reading.korean.numeral import digits
from services.synth.reading.rule import Rule, after, before

# The repeats are bounded, and a match begins only where the character before it is no part of a code.
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9.,*\-])(?P<code>[A-Za-z0-9]{1,24}(?:-[A-Za-z0-9]{1,24}){0,6})(?![A-Za-z0-9*]|-[A-Za-z0-9]|[.,:/][0-9])"
)
_SPACED = re.compile(r"(?<![A-Za-z0-9.,*\-])[0-9]{2,6}(?:\s[0-9]{2,8}){1,4}(?![A-Za-z0-9*,]|-[A-Za-z0-9]|[.:/][0-9])")
_MASKED = re.compile(
    r"(?<![A-Za-z0-9*.\-])(?=[0-9\-\s]{0,24}\*\*)(?P<code>[0-9*]{1,16}(?:[\-\s][0-9*]{1,16}){1,6})(?![0-9*\-])"
    r"|(?<![A-Za-z0-9*.\-])(?:[0-9]{2,12}\*{3,12}[0-9]{0,12}|\*{3,12}[0-9]{2,12})(?![0-9*\-])"
)
_MASKED_CARD = re.compile(r"(?<=[(\[])(?=[0-9*]{0,8}[0-9])(?=[0-9]{0,8}\*)[0-9*]{4,16}(?=[)\]])")  # 카드(1*2*)
_DOOR = re.compile(
    r"(?<![0-9A-Za-z*#])(?P<before>[*#])?(?P<code>[0-9]{3,8})(?P<after>[*#])?(?![0-9A-Za-z*#])"
)  # *1234#
_OF_A_DOOR = re.compile(r"(?:현관|도어락|비밀번호|비번|출입\s?번호)(?:은|는)?\s?[:=]?\s?$")
_HEXADECIMAL = re.compile(r"(?<![A-Za-z0-9.])0[xX](?P<n>[0-9A-Fa-f]{1,16})(?![0-9A-Za-z])")
_LONG = re.compile(r"(?<![A-Za-z0-9.,*+\-=])[1-9][0-9]{10,19}(?![A-Za-z0-9*\-]|[.,][0-9]|\s?[=+×÷*])")
_PLATE = re.compile(
    r"(?<![A-Za-z0-9.,\-])(?P<a>[0-9]{2,3})(?P<letter>[가나다라마바사아자거너더러머버서어저허하고노도로모보소오조구누두루무부수우주배호])"
    r"(?P<space>\s?)(?P<b>[0-9]{4})(?![0-9\-]|[.,][0-9])"
)

_FAR = 36  # characters before a code that may have its label
_PLACES = r"(?:[0-9]{1,2}|한|두|세|네|다섯|여섯|일곱|여덟|열)\s?자리"
_PARTICLE = r"(?:은|는|이|가|을|를|의|인|로|으로)?"
_OPEN = r"\s?[:=]?\s?[\[(\"'“‘]?$"
_LABEL = re.compile(
    r"(?:번호|코드|포트|모델명|품번|학번|사번|군번|계좌|암호|비번|패스워드|생년월일|송장|"
    rf"(?:뒤|앞|끝|마지막)\s?{_PLACES}|[뒷끝앞]\s?(?:자리|번호)|PIN|OTP|CVC|CVV){_PARTICLE}"
    rf"(?:\s?(?:뒤|뒷|앞|끝|마지막)?\s?{_PLACES}{_PARTICLE}(?:\s?숫자{_PARTICLE})?)?{_OPEN}"
)
_SECRET = re.compile(
    r"(?<![A-Za-z0-9!@#$%^&*_+=.\-])(?=[0-9!@#$%^&*_+=?]{0,23}[A-Za-z])(?=[A-Za-z]{0,23}[0-9!@#$%^&*_+=?][A-Za-z0-9!@#$%^&*_+=?])"
    r"(?P<code>[A-Za-z0-9!@#$%^&*_+=?]{2,40}(?<![!?]))(?![A-Za-z0-9@#$%^&*_+=]|-[A-Za-z0-9])"
)
_SECRET_LABEL = re.compile(rf"(?:비밀번호|비번|패스워드|암호|인증\s?키)(?:은|는|이|가|을|를)?{_OPEN}")
# 생년월일 6자리(예: 900517)
_EXAMPLE = re.compile(r"(?:번호|코드|생년월일|자리|학번|사번)[^0-9]{0,12}(?<![가-힣])예\s?[:)]\s?$")
_ENDING = re.compile(
    rf"(?:[뒷끝앞]\s?(?:자리|번호)|(?:뒤|앞|끝|마지막)\s?{_PLACES}){_PARTICLE}(?:\s?{_PLACES}{_PARTICLE})?{_OPEN}"
)
_ORDER = re.compile(r"(?:대기|등|순|좌석|방|호실)\s?번호(?:은|는|이|가)?\s?:?\s?$|번호표(?:은|는)?\s?:?\s?$")
_CARD = re.compile(r"(?:카드|통장|계좌|은행|체크)\s?(?P<open>[\[(])?\s?$")
_PAID = re.compile(r"\s?(?:승인|에서\s|으?로\s|카드|결제|[번]\s?(?:카드|으로|에서))")
_VEHICLE = re.compile(r"차량|차\s?번호|번호판|차주|주차|승용차|렌터카|렌트카|입차|출차")
_ON_PLATES = frozenset("가나다라마바사아자거너더러머버서어저허하")  # those that no counter is: 12부 2024 is none
_NOT_COUNTERS = frozenset({"도", "인", "번"})
_QUANTITY = re.compile(
    rf"\s?(?:{unit.pattern(unit.KOREAN, unit.AHEAD)}|[십백천만억조](?![가-힣])|[십백천]?[만억조]|포인트|라인|"
    r"여\s?[가-힣]|이상|이하|미만|초과)"
)
_BIRTHDAY = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}")
_UNTIL = re.compile(r"\s?~\s?[0-9]")
_IF = re.compile(r"\s?일\s?(?:때|경우|수)")
_PART = re.compile(r"[A-Za-z]+|[0-9]+")
_PART_OF_SECRET = re.compile(r"[A-Za-z]+|[0-9]+|.")


def is_quantity(text: str, end: int) -> bool:
    """Whether the number that ends at `end` counts something: a counter, a unit or 만 follows.

    번, 도 and 인 do not count, because they may follow a code, too: 3456번, 1234도, 1234인.
    """
    following = text[end : end + 16]
    if _QUANTITY.match(following):
        return True
    name = counter.beginning(following)
    return bool(name) and name not in _NOT_COUNTERS and not _IF.match(following)


def _spelled(code: str) -> str:
    """Read a code: digits one by one, short parts of letters by their names, the parts apart."""
    parts = (part[0] for part in _PART.finditer(code))
    return " ".join(digits(part, "공") if part.isdecimal() else word_or_letters(part) for part in parts)


def _space(match: re.Match[str]) -> str:
    """Return a space before 번, which is a word of its own."""
    return " " if after(match, 1) == "번" else ""


def _code(match: re.Match[str]) -> str | None:
    """Read a code after its label; None without a label, and for a quantity: 비밀번호 4자리, 계좌에 500원."""
    code, words = match["code"], before(match, _FAR)
    if not any(char.isdecimal() for char in code) or ("생년월일" in words and _BIRTHDAY.fullmatch(code)):
        return None
    if _of_a_card(match, words):
        return _spelled(code)
    if code.isdecimal():
        if is_quantity(match.string, match.end()) or _UNTIL.match(match.string, match.end()):
            return None
        if len(code) < 5 and _ORDER.search(words):  # 대기번호 23번 is a number
            return None
        if len(code) < 3 and not _ENDING.search(words):
            return None
    return _spelled(code) + _space(match) if _LABEL.search(words) or _EXAMPLE.search(words) else None


def _of_a_card(match: re.Match[str], words: str) -> bool:
    """Whether the four digits are the last ones of a card or an account: 신한카드(1234)."""
    card = _CARD.search(words)
    if card is None or not match["code"].isdecimal() or len(match["code"]) != 4:
        return False
    return bool(card["open"] or _PAID.match(match.string, match.end()))


def _characters(code: str) -> str:
    """Read a hexadecimal number, or the address of a network card in pairs: 공공 일에이."""
    pairs = re.split(r"[:\-]", code)
    return " ".join(
        "".join(digits(char, "공") if char.isdecimal() else spelled(char) for char in pair) for pair in pairs
    )


def _secret(match: re.Match[str]) -> str | None:
    """Read each character of a password, also those of a word: qwer1234, abc!23."""
    if not _SECRET_LABEL.search(before(match, _FAR)):
        return None
    parts = (part[0] for part in _PART_OF_SECRET.finditer(match["code"]))
    return " ".join(digits(part, "공") if part.isdecimal() else sign.named(part) or spelled(part) for part in parts)


def _spaced(match: re.Match[str]) -> str | None:
    """Read groups of digits after a label: 인증번호 482 913."""
    if is_quantity(match.string, match.end()) or not _LABEL.search(before(match, _FAR)):
        return None
    return _spelled(match[0])


def _masked(match: re.Match[str]) -> str | None:
    return _spelled(match[0]) if any(char.isdecimal() for char in match[0]) else None


def _masked_card(match: re.Match[str]) -> str | None:
    words = before(match, _FAR)
    return _spelled(match[0]) if _CARD.search(words) or _LABEL.search(words) else None


def _door(match: re.Match[str]) -> str | None:
    """Read the keys of a door: 별표 일이삼사 우물 정자."""
    if not (match["before"] or match["after"]) or not _OF_A_DOOR.search(before(match, _FAR)):
        return None
    parts = (key.NAMES.get(match["before"]), digits(match["code"], "공"), key.NAMES.get(match["after"]))
    return " ".join(part for part in parts if part)


def _long(match: re.Match[str]) -> str | None:
    """Read a number of 11 digits and more without commas, which nobody reads as a quantity."""
    return None if is_quantity(match.string, match.end()) else digits(match[0], "공")


def _plate(match: re.Match[str]) -> str | None:
    """Read a number plate; a letter that is also a counter needs a word for a vehicle beside it."""
    if is_quantity(match.string, match.end()):
        return None
    named = _VEHICLE.search(before(match, 20)) or _VEHICLE.search(after(match, 8))
    if not named and (match["space"] or match["letter"] not in _ON_PLATES):
        return None
    return f"{digits(match['a'], '공')}{match['letter']} {digits(match['b'], '공')}"


RULES = (
    Rule(NETWORK_CARD, lambda match: _characters(match[0])),
    Rule(_HEXADECIMAL, lambda match: f"영엑스 {_characters(match['n'])}"),
    Rule(_PLATE, _plate),
    Rule(_MASKED, _masked),
    Rule(_MASKED_CARD, _masked_card),
    Rule(_DOOR, _door),
    Rule(_SECRET, _secret),
    Rule(_SPACED, _spaced),
    Rule(_TOKEN, _code),
    Rule(_LONG, _long),
)
