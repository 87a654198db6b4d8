"""Two numbers that belong together, in Korean: 3-1, 2대 1, 별점 4.8/5, 4/4박자, 1/4분기, six foot two."""

from __future__ import annotations

import re

from services.synth.reading.korean.numeral import decimal, sino
from services.synth.reading.rule import Rule

_SCORE = re.compile(
    r"(?<![0-9.\-])(?P<a>[0-9]{1,2})-(?P<b>[0-9]{1,2})(?=(?:로|으로)?\s?(?:승리|이겼|이기|이긴|졌|졌다|진|패|무승부|역전|앞서|앞섰|뒤진|완승|완패))"
)
_STANDING = re.compile(r"(?<![0-9.\-])(?P<a>[0-9]{1,2})-(?P<b>[0-9]{1,2})(?![0-9\-])")
_STANDING_BEFORE = re.compile(r"(?:스코어|점수)(?:는|은|가)?\s?:?\s?$")
_BEAT = re.compile(r"(?<![0-9.,/])(?P<a>[0-9]{1,2})/(?P<b>[1-9][0-9]?)\s?박자")
_RATED = re.compile(r"(?<![0-9.,/])(?P<a>[0-9]{1,3}(?:\.[0-9]{1,2})?)\s?/\s?(?P<b>5|10|100)(?:점(?!수))?(?![0-9./])")
_RATED_BEFORE = re.compile(r"(?:별점|평점|점수|만족도|평가)(?:은|는)?\s?:?\s?$")
_LENGTH = re.compile(r"(?<![0-9.,])(?P<a>[0-9]{1,2})['’′](?P<b>[0-9]{1,2})[\"”″]")  # 1'30\", 6'2\"
_AGAINST = re.compile(
    r"(?<![0-9.,\-])(?P<a>[0-9]{1,3})\s?대\s?(?P<b>[0-9]{1,3})"
    r"(?=$|[^0-9가-힣]|(?:으?로|의|까지|비율|이|은|는|을|를|가)(?![가-힣]{3}))"
)
_QUARTER = re.compile(r"(?<![0-9.,/])(?P<a>[1-4])/4\s?분기")


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 12) : match.start()]


def _score(match: re.Match[str]) -> str:
    return f"{sino(int(match['a']))} 대 {sino(int(match['b']))}"


def _standing(match: re.Match[str]) -> str | None:
    return _score(match) if _STANDING_BEFORE.search(_before(match)) else None


def _beat(match: re.Match[str]) -> str:
    return f"{sino(int(match['b']))} 분의 {sino(int(match['a']))} 박자"


def _rated(match: re.Match[str]) -> str | None:
    """Read a rating such as 별점 4.8/5: points of the maximum."""
    points = match["a"]
    if float(points) > int(match["b"]) or not ("." in points or _RATED_BEFORE.search(_before(match))):
        return None
    return f"{sino(int(match['b']))} 점 만점에 {decimal(points)}" + ("" if "." in points else " 점")


def _length(match: re.Match[str]) -> str | None:
    """Read feet and inches if that is a likely body height, else minutes and seconds."""
    first, second = int(match["a"]), int(match["b"])
    if second > 59:
        return None
    tall = 3 <= first <= 7 and second <= 11 and match["b"][0] != "0"
    return f"{sino(first)} 피트 {sino(second)} 인치" if tall else f"{sino(first)} 분 {sino(second)} 초"


def _quarter(match: re.Match[str]) -> str:
    return f"{sino(int(match['a']))}사분기"


RULES = (
    Rule(_QUARTER, _quarter),
    Rule(_SCORE, _score),
    Rule(_STANDING, _standing),
    Rule(_AGAINST, _score),
    Rule(_BEAT, _beat),
    Rule(_LENGTH, _length),
    Rule(_RATED, _rated),
)
