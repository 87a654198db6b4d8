"""Numbers in Korean, with counters and units: 3명, 1만 2천 원, -3.5℃, 10~20%, 100km/h, 제1회, 1/2."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import PLAIN
from services.synth.reading.korean import counter
from services.synth.reading.korean.numeral import LONGEST, decimal, digits, final_consonant, month, ordinal, sino
from services.synth.reading.rule import Rule, after, before

_SCALE = r"(?:[십백천]{0,2}[만억조](?!각)|경(?![가-힣])|[십백천](?!각))"
_REST = r"(?:(?:[0-9]{1,4}|\s?[0-9],[0-9]{3}|\s[0-9]{4}(?!\s?[년번호]))(?![0-9,.]))"  # 1만2345, 1만 2,345
SCALED = rf"{PLAIN}\s?{_SCALE}(?:\s?{PLAIN}\s?{_SCALE})*{_REST}?"
_MINUS = r"(?<![0-9A-Za-z가-힣)%.\-])(?P<minus>[-−–])"
_MEASURE = unit.pattern(unit.KOREAN, unit.AHEAD)
_FOR_EACH = rf"(?:/(?P<per>{unit.pattern(unit.KOREAN)}))?"  # mg/dL
_TAIL = rf"(?:\s?(?P<unit>{_MEASURE}){_FOR_EACH}|(?P<more>여)?{counter.PATTERN})"
_TILDE = r"\s?~\s?"

_QUANTITY = re.compile(rf"(?<![A-Za-z])(?:{_MINUS})?(?P<number>{SCALED}|{PLAIN}){_TAIL}")
_NUMBER = re.compile(rf"(?:{_MINUS})?(?P<number>{SCALED}|{PLAIN})(?P<more>여)?")
_RANGE = re.compile(
    rf"(?<![0-9.\-])(?P<minus>(?<![0-9A-Za-z가-힣)%.])[-−])?(?P<a>[0-9]{{1,12}}(?:,[0-9]{{3}})*(?:\.[0-9]+)?)(?P<dash>{_TILDE}|\s?[-–—]\s?)"
    rf"(?P<below>[-−])?(?P<b>{SCALED}|{PLAIN})(?![0-9\-]){_TAIL}"
)
_SAID_AHEAD = re.compile(r"(?:영하|영상|섭씨|화씨|시속|초속)\s?$")
_PIECE = re.compile(rf"(?P<number>{PLAIN})\s?(?P<scale>{_SCALE})?")
_ORDINAL_PREFIX = re.compile(
    r"(?<![가-힣])제(?:(?P<close>[0-9]{1,6})|\s(?P<apart>[0-9]{1,6})(?=\s?(?:회|차|조|항|장|절|편|권|호|판|기|대|부|과|막|세대|공화국)))"
)
_FRACTION = re.compile(rf"(?<![0-9.,/])(?P<a>[0-9]{{1,4}})/(?P<b>[1-9][0-9]{{0,4}})(?![0-9/.]){_TAIL}?")
_MIXED = re.compile(
    r"(?<![0-9.,/])(?P<n>[1-9][0-9]?)\s(?=(?P<a>[1-9][0-9]?)/(?P<b>[1-9][0-9]?)(?![0-9/.(~]))"
)  # 3 1/2컵
_NEIGHBOURS = re.compile(rf"(?<![0-9.,])(?P<a>[1-8]),(?P<b>[2-9])(?![0-9.,]){counter.PATTERN}")  # 3,4명
_WARM = re.compile(rf"(?<![0-9A-Za-z가-힣)])\+(?P<n>{PLAIN})\s?(?:°C|도)(?![A-Za-z])")
_PER = re.compile(rf"(?<![A-Za-z0-9])(?P<unit>{unit.pattern(unit.KOREAN)})(?=당)")
_VERSION = re.compile(
    r"(?<![0-9A-Za-z.])(?:(?P<v>[vV](?:er)?\.?\s?)(?P<a>[0-9]+(?:\.[0-9]+)*)|(?P<b>[0-9]+(?:\.[0-9]+){2,}))(?![0-9A-Za-z])"
)
_VERSION_BEFORE = re.compile(r"(?:버전|버젼|판본)\s?$")
_BUS = re.compile(r"(?<![0-9.,\-])(?P<n>[0-9]{4})번(?=\s?(?:시내|마을|광역|간선|지선)?\s?버스)")

# Two consecutive numbers are one word where that is usual: 두세 명, 이삼 일, 오륙 년 (오륙: 한글 맞춤법 제52항).
_NATIVE_NEIGHBOURS = {
    1: "한두",
    2: "두세",
    3: "서너",
    4: "네다섯",
    5: "대여섯",
    6: "예닐곱",
    7: "일고여덟",
    8: "여덟아홉",
}
_SINO_NEIGHBOURS = {1: "일이", 2: "이삼", 3: "삼사", 4: "사오", 5: "오륙", 6: "육칠", 7: "칠팔", 8: "팔구"}
_ABOUT_AS_MANY = frozenset("시 명 사람 마리 개 가지 군데 곳 잔 병 시간 달 배 살".split())
_OF_TWO_DIGITS = frozenset({"", "년", "년도", "년대"})
_ON_A_CLOCK = frozenset("시 분 초".split())
_LASTING = frozenset("인 일 주 주일 주간 년 년간 개월 분 초 인분 일간".split())


def spoken(number: str) -> str:
    """Reads a number, with or without 만 and 억 in it: "1만 2천" is 만 이천."""
    said: list[str] = []
    for piece in _PIECE.finditer(number):
        words, scale = decimal(piece["number"]), piece["scale"] or ""
        first = not said
        if words == "일" and (scale[:1] in tuple("십백천") or (scale == "만" and first)):
            words = ""
        glue = said and said[-1][-1] not in "만억조경"
        said.append(("" if glue or first else " ") + words + scale)
    return "".join(said)


def _whole(number: str) -> int | None:
    """Return the value of a plain whole number; None for anything else."""
    plain = number.replace(",", "")
    return int(plain) if plain.isdecimal() and len(plain) <= LONGEST and (plain[0] != "0" or plain == "0") else None


def _unpadded(number: str, name: str) -> str:
    """Return 5 for 05월 and 05분. A year, a code and the placeholder 00명 keep their zeros (08년, 007번)."""
    padded = len(number) == 2 and number[0] == "0" and name not in _OF_TWO_DIGITS
    return number[1] if padded and (number != "00" or name in _ON_A_CLOCK) else number


def counted(number: str, name: str, before: str, after: str) -> str:
    """Reads a number and its counter: `before` and `after` are the text around them."""
    number = _unpadded(number, name)
    value = _whole(number)
    return f"{spoken(number)} {name}" if value is None else counter.counted(value, name, before, after)


def _around(match: re.Match[str]) -> tuple[str, str]:
    return before(match, 20), after(match, 20)


def _each(match: re.Match[str]) -> str:
    """Return the words for the unit after a slash, which come before the number: 데시리터당 in mg/dL."""
    return f"{unit.KOREAN[match['per']]}당 " if match["per"] else ""


def _measured(words: str, name: str, minus: bool, before: str) -> str:
    """Read 영하 삼 도, 시속 백 킬로미터, 십 퍼센트. A word that the text already has is not repeated (영하 10℃)."""
    if name in unit.AHEAD:
        ahead, behind = unit.AHEAD[name]
        if _SAID_AHEAD.search(before) and (behind == "도" or before.rstrip().endswith(ahead)):
            return f"{words} {behind}"
        if minus and behind == "도":
            return f"{'' if name == '°C' else ahead + ' '}영하 {words} {behind}"
        return f"{'마이너스 ' if minus else ''}{ahead} {words} {behind}"
    return f"{'마이너스 ' if minus else ''}{words} {unit.KOREAN[name]}"


def _quantity(match: re.Match[str]) -> str:
    minus, number, name = bool(match["minus"]), match["number"], counter.name_in(match)
    if match["unit"]:
        return _each(match) + _measured(spoken(number), match["unit"], minus, before(match, 20))
    if match["more"]:
        return f"{spoken(number)}여 {name}"
    said = counted(number, name, *_around(match))
    if not minus:
        return said
    if name == "도" and _SAID_AHEAD.search(before(match, 20)):  # 영하 -10도
        return said
    return f"{'영하' if name == '도' else '마이너스'} {said}"


def _range(match: re.Match[str]) -> str | None:
    name = counter.name_in(match)
    first, second = _unpadded(match["a"], name), _unpadded(match["b"], name)
    if match["minus"] or match["below"]:
        return _span_of_temperatures(match)
    low, high = _whole(first), _whole(second)
    scaled = _PIECE.fullmatch(second)
    if scaled and scaled["scale"] and low is not None:  # 1~2만: 만 applies to both
        return f"{decimal(first)}{scaled['scale']}에서 {decimal(scaled['number'])}{scaled['scale']} {_named(match)}"
    if low is not None and high is not None and low >= high and "~" not in match["dash"]:
        return None
    if match["unit"]:
        if match["unit"] in unit.AHEAD:
            ahead, behind = unit.AHEAD[match["unit"]]
            said = "" if _SAID_AHEAD.search(before(match, 20)) else f"{ahead} "
            return f"{said}{spoken(first)}에서 {spoken(second)} {behind}"
        return f"{_each(match)}{spoken(first)}에서 {spoken(second)} {unit.KOREAN[match['unit']]}"
    if match["more"] or low is None or high is None:
        return f"{spoken(first)}에서 {spoken(second)}{match['more'] or ''} {name}"
    return _counted_range(low, high, name, *_around(match))


def _counted_range(low: int, high: int, name: str, before: str, after: str) -> str:
    """Read a range of whole numbers with a counter; `before` and `after` are the text around it."""
    if name in ("월", "시"):
        return f"{counter.counted(low, name)}에서 {counter.counted(high, name)}"
    native = counter.takes_native(high, name, before, after) and (high < 10 or name in ("살", "번째"))
    if native and low > 0:
        if high == low + 1 and low in _NATIVE_NEIGHBOURS and name not in ("번째", "대", "번"):
            return f"{_NATIVE_NEIGHBOURS[low]} {name}"
        return f"{counter.counted(low, name, before, after)}에서 {counter.counted(high, name, before, after)}"
    if name == "일" and before.rstrip().endswith("월"):
        return f"{sino(low)} 일에서 {sino(high)} 일"
    if high == low + 1 and low in _SINO_NEIGHBOURS and name in _LASTING:
        return f"{_SINO_NEIGHBOURS[low]} {name}"
    if name == "대" and high == low + 10 and low % 10 == 0 and 20 <= low <= 80:
        return f"{_SINO_NEIGHBOURS[low // 10]}십 대"
    return f"{sino(low)}에서 {sino(high)} {name}"


def _named(match: re.Match[str]) -> str:
    """Return the unit's name or the counter in a match of a number with its tail."""
    return unit.KOREAN.get(match["unit"], "") if match["unit"] else counter.name_in(match)


def _span_of_temperatures(match: re.Match[str]) -> str | None:
    """Read -20~30℃, each side with 영하 or 영상; None if it is not a temperature: other ranges have no minus."""
    if counter.name_in(match) != "도" and unit.AHEAD.get(match["unit"] or "", ("", ""))[1] != "도":
        return None
    sides = [
        ("영하" if sign else "영상") + f" {spoken(match[part])} 도"
        for sign, part in ((match["minus"], "a"), (match["below"], "b"))
    ]
    return "에서 ".join(sides)


def _number(match: re.Match[str]) -> str:
    said = spoken(match["number"]) + (match["more"] or "")
    if said == "만" and match["number"].endswith("만"):
        said = "일만"  # 1만 without a counter
    cold = _SAID_AHEAD.search(before(match, 4))  # 영하 -10
    return f"마이너스 {said}" if match["minus"] and not cold else said


def _nth(match: re.Match[str]) -> str:
    return "제" + sino(int(match["close"] or match["apart"]))


def _nth_counted(match: re.Match[str]) -> str:
    """Read 제1회: after 제 the numeral is Sino-Korean for any counter."""
    name = counter.name_in(match)
    return f"{_nth(match)}{'' if name == '자' else ' '}{name}"  # 제삼자


def _fraction(match: re.Match[str]) -> str | None:
    if int(match["a"]) >= int(match["b"]):
        return None
    tail = _named(match)
    return f"{sino(int(match['b']))} 분의 {sino(int(match['a']))}" + (f" {tail}" if tail else "")


def _mixed(match: re.Match[str]) -> str | None:
    """Read the 3 of 3 1/2: 삼과 이 분의 일."""
    if int(match["a"]) >= int(match["b"]):
        return None
    words = sino(int(match["n"]))
    return words + ("과 " if final_consonant(words[-1]) else "와 ")


def _neighbours(match: re.Match[str]) -> str | None:
    """Read 3,4명 like 3~4명, as 서너 명; but 1,2층 and 1,2권 name two of them: 일, 이 층."""
    low, name = int(match["a"]), counter.name_in(match)
    if int(match["b"]) != low + 1:
        return None
    if name in _LASTING:
        return f"{_SINO_NEIGHBOURS[low]} {name}"
    if name in _ABOUT_AS_MANY:
        return f"{_NATIVE_NEIGHBOURS[low]} {name}"
    return f"{sino(low)}, " + (month(low + 1) if name == "월" else f"{sino(low + 1)} {name}")


def _warm(match: re.Match[str]) -> str:
    said = _SAID_AHEAD.search(before(match, 4))
    return f"{spoken(match['n'])} 도" if said else f"영상 {spoken(match['n'])} 도"


def _per(match: re.Match[str]) -> str:
    return unit.KOREAN[match["unit"]]


def _version(match: re.Match[str]) -> str:
    parts = (match["a"] or match["b"]).split(".")
    words = " 점 ".join(sino(int(part)) if len(part) <= LONGEST else digits(part) for part in parts)
    if not match["v"] or _VERSION_BEFORE.search(before(match, 8)):
        return words
    return f"버전 {words}"


def _bus(match: re.Match[str]) -> str:
    """Read the number of a bus digit by digit: 5714번 버스."""
    return f"{digits(match['n'], '공')} 번"


def cardinal(text: str) -> str | None:
    """Reads a text that is one number, for say-as cardinal; None if it is not."""
    match = _NUMBER.fullmatch(text)
    return _number(match) if match else None


def nth(text: str) -> str | None:
    """Returns the ordinal for say-as ordinal: 첫 번째 for 1; None if the text is not a whole number from 1."""
    value = _whole(text) if text else None
    return ordinal(value) if value else None


_ORDINAL_COUNTED = re.compile(_ORDINAL_PREFIX.pattern + counter.PATTERN)

RULES = (
    Rule(_ORDINAL_COUNTED, _nth_counted),
    Rule(_ORDINAL_PREFIX, _nth),
    Rule(_VERSION, _version),
    Rule(_WARM, _warm),
    Rule(_PER, _per),
    Rule(_FRACTION, _fraction),
    Rule(_MIXED, _mixed),
    Rule(_BUS, _bus),
    Rule(_NEIGHBOURS, _neighbours),
    Rule(_RANGE, _range),
    Rule(_QUANTITY, _quantity),
    Rule(_NUMBER, _number),
)
