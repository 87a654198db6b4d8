"""A number for each of something in Korean: 3회/일 is 하루 삼 회, 5만원/박 박당 오만 원, 5,000원/kg 킬로그램당 오천 원.

The word after the slash comes first. 2명/3명 is a list, and "주 2회/월, 수" has days of the week.
"""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.common import PLAIN
from services.synth.reading.korean.quantity import SCALED, counted, spoken
from services.synth.reading.rule import Rule, after, before

_PRICE = re.compile(rf"(?P<number>{SCALED}|{PLAIN})\s?원/(?P<per>{unit.pattern(unit.KOREAN)})")
_EACH = re.compile(
    rf"(?P<number>{SCALED}|{PLAIN})\s?(?P<name>원|회|명|건|개|장|타|번|박|시간|분|대|권|잔|병|통|걸음|마리|점|층|동|쪽|페이지|자)"
    r"/(?P<per>시간|분|초|일|주|월|년|인|명|박|개|건|회|평|대|권|팩|병|장|실|봉|포|알|쪽|가구|세대|과목|학기)"
    r"(?=$|[^가-힣0-9]|(?:입니다|이에요|예요|이고|이며|정도|까지|으로|로|이|은|는|을|를|에|의)(?![가-힣]{3}))"
    r"(?!\s?[,·/]\s?[월화수목금토일](?![가-힣]))"
)
_AHEAD = {"일": "하루", "주": "주", "월": "월", "년": "연"}


def _price(match: re.Match[str]) -> str:
    return f"{unit.KOREAN[match['per']]}당 {spoken(match['number'])} 원"


def _each(match: re.Match[str]) -> str:
    ahead = _AHEAD.get(match["per"]) or f"{match['per']}당"
    return f"{ahead} {counted(match['number'], match['name'], before(match, 20), after(match, 20))}"


RULES = (Rule(_PRICE, _price), Rule(_EACH, _each))
"""Must come before the rules for quantities."""
