"""Numbers of places and of their order in Korean, and short forms beside a number.

B1층, 3F, 3-5번지, 101-1203호, 720-1번 버스, 3째 주, 고3; 2EA, and spoons of a recipe (간장 1T).
"""

from __future__ import annotations

import re

from services.synth.reading.korean import counter
from services.synth.reading.korean.attached import form_after
from services.synth.reading.korean.numeral import decimal, native, sino
from services.synth.reading.rule import Rule, before

_NTH = re.compile(r"(?<![0-9.,])(?P<n>[1-9][0-9]?)째(?!깍)")
# 매월 2, 4째 주: several weeks of a month.
_NTHS = re.compile(
    r"(?<![0-9.,])(?P<all>[1-5](?:\s?[,·]\s?[1-5]){1,3})(?P<name>번?째)(?=\s?(?:주|[월화수목금토일]요일))"
)
_FLOOR = re.compile(  # 3F, B1층, B2 주차장
    r"(?<![A-Za-z0-9])(?P<below>[Bb])?(?P<n>[1-9][0-9]?)(?:F(?![A-Za-z0-9])|(?<=[Bb][0-9])(?:층|(?=\s?주차장)))"
)
# p.35, pp.10-12, with the particle after it, which depends on the last syllable.
_PAGE = re.compile(
    r"(?<![A-Za-z0-9.])pp?\.\s?(?P<a>[0-9]{1,4})(?:\s?[-–~]\s?(?P<b>[0-9]{1,4}))?(?![0-9]|[.,\-][0-9])"
    r"(?:(?P<particle>을|은|이|과|으로)(?![가-힣]))?"
)
_GRADE = re.compile(  # 고3, 초6: a year at school
    r"(?<=[초중고])(?<![가-힣][초중고])(?P<n>[1-6])(?=$|[^0-9가-힣]|병|[이가은는을를과와의도]|때|까지|부터)(?![.:][0-9])"
)
_PIECES = re.compile(r"(?<![0-9A-Za-z.,])(?P<n>[0-9]{1,4})\s?(?:EA|ea)(?![A-Za-z0-9])")
_SPOONS = re.compile(r"(?<![0-9A-Za-z.,/])(?P<n>[1-9][0-9]?)(?:/(?P<of>[2-9]))?\s?(?P<spoon>[Tt])(?![A-Za-z0-9])")
_INGREDIENT = re.compile(
    r"(?:간장|설탕|소금|식초|맛술|청주|미림|가루|기름|참깨|후추|마늘|생강|된장|액젓|올리고당|물엿|매실청|고추장|케첩|버터|소스|꿀|시럽)\s?$"
)
# 3-5번지, 101-1203호, 720-1번 버스: parts of one number, not a range.
_HYPHENATED = re.compile(
    r"(?<![0-9.,\-])(?P<a>[0-9]{1,5})-(?P<b>[0-9]{1,5})(?P<name>번지|호(?!선)|번(?=\s?(?:(?:탑승|출입|승강)?문(?:으로|에서|(?![가-힣]))|승강장|(?:시내|마을|광역|간선|지선)?\s?버스)))"
)


def _nth_of(match: re.Match[str]) -> str:
    """Read 3째 주 as 셋째 주."""
    return _nth(int(match["n"]))


def _nths(match: re.Match[str]) -> str:
    values = map(int, re.findall("[0-9]", match["all"]))
    return ", ".join(counter.counted(value, "번째") if match["name"] == "번째" else _nth(value) for value in values)


def _nth(value: int) -> str:
    if value < 5:
        return ("첫", "둘", "셋", "넷")[value - 1] + "째"
    words = native(value)
    last = {3: "셋", 4: "넷"}.get(value % 10)  # 열셋째, but 열한째, 열두째
    return f"{words[:-1]}{last}째" if last else f"{words}째"


def _pieces(match: re.Match[str]) -> str:
    return counter.counted(int(match["n"]), "개") if int(match["n"]) else "영 개"


def _spoons(match: re.Match[str]) -> str | None:
    """Read 1T after an ingredient as 한 큰술, and 1/2t as 이 분의 일 작은술; elsewhere t is a ton."""
    if not _INGREDIENT.search(before(match, 8)):
        return None
    spoon = "큰술" if match["spoon"] == "T" else "작은술"
    if match["of"]:
        return f"{sino(int(match['of']))} 분의 {sino(int(match['n']))} {spoon}"
    return counter.counted(int(match["n"]), spoon)


def _floor(match: re.Match[str]) -> str:
    return f"{'지하 ' if match['below'] else ''}{sino(int(match['n']))} 층"


def _page(match: re.Match[str]) -> str:
    until = f"에서 {sino(int(match['b']))}" if match["b"] else ""
    return f"{sino(int(match['a']))}{until} 페이지{form_after('페이지', match['particle'] or '')}"


def _hyphenated(match: re.Match[str]) -> str | None:
    """Read the parts with 다시; 301-305호 with as many digits is a range of rooms."""
    first, second, name = match["a"], match["b"], match["name"]
    if name == "호" and len(first) == len(second) and int(first) < int(second):
        return None
    return f"{decimal(first)} 다시 {decimal(second)} {name}"


FIRST_RULES = (
    Rule(_NTHS, _nths),
    Rule(_PAGE, _page),
    Rule(_FLOOR, _floor),
    Rule(_PIECES, _pieces),
    Rule(_SPOONS, _spoons),
    Rule(_GRADE, lambda match: sino(int(match["n"]))),
)
"""Must come before the rules that read letters and dates."""
RULES = (Rule(_NTH, _nth_of), Rule(_HYPHENATED, _hyphenated))
