"""Two numbers that belong together, in Korean: 3-1, 2대 1, 별점 4.8/5, 4/4박자, 1/4분기, 6'2"."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.korean.latin import ENGLISH_NUMBERS
from services.synth.reading.korean.numeral import decimal, digits, sino
from services.synth.reading.rule import Rule, after, always, before

_WON = (
    r"승리|이겼|이기|이긴|이겨|졌|진(?![가-힣])|지고|패|무승부|역전|앞서|앞섰|앞선|뒤진|뒤지|완승|완패|대승|대패|신승|석패|참패|비겼|비긴|비기|"
    r"눌렀|누르고|꺾|제압|제쳤|리드|동점|격파|물리쳤|따돌|승(?![가-힣])"
)
_FURTHER = r"(?:\s?[,·]\s?[0-9]{1,3}[\-:][0-9]{1,3}(?![0-9\-:])){0,6}+"  # 25-23, 25-20으로 이겼다
_SCORE = re.compile(
    rf"(?<![0-9.:\-])(?P<a>[0-9]{{1,3}})[\-:](?P<b>[0-9]{{1,3}})(?={_FURTHER}(?:\([^()]{{1,12}}\))?(?:로|으로)?\s?(?:{_WON}))"
)
_IN_A_GAME = re.compile(
    r"(?<![0-9.\-])(?P<a>[0-9]{1,3})-(?P<b>[0-9]{1,3})(?![0-9\-]|[.,][0-9])(?!\s?(?:번지|호(?!골)|번|동(?!점)|층|개(?!막)|명|원(?!정)|반(?![가-힣])|장(?![가-힣])|쪽|일(?!본)|월|세(?!트)|분|초|시(?![가-힣])|년|회|%|[A-Za-z]{1,2}(?![A-Za-z])))"
)
_GAME = re.compile(
    r"경기(?!도)|전반|후반|결승|준결승|세트|리그|골을|득점|축구|야구|농구|배구|탁구|테니스|배드민턴|핸드볼|[0-9]회\s?[초말]|쿼터|이닝|승부차기|연장전|끝내기|홈런|연장(?!선)|승리|완승|역전승|우승|패배|연승|연패|점\s?차|[0-9]차전|(?<![0-9제])(?:32|16|8|4)강(?![가-힣])"
)
_TEAM = (
    "한국|일본|중국|미국|북한|호주|브라질|독일|프랑스|잉글랜드|스페인|이탈리아|대한민국|가나|사우디|이란|우루과이|멕시코|크로아티아|벨기에|베트남|태국|대만|쿠바|튀르키예|포르투갈|네덜란드|아르헨티나|토트넘|맨유|맨시티|리버풀|첼시|아스널|"
    "바르셀로나|레알|뮌헨|두산|LG|KIA|기아|롯데|한화|SSG|NC|KT|키움|전북|다저스|양키스"
)
_TEAM_BEFORE, _TEAM_AFTER = re.compile(rf"(?:{_TEAM})\s$"), re.compile(rf"\s(?:{_TEAM})(?![가-힣]{{2}})")
_PLACE = re.compile(r"(?:[로길동리가]|주소|번지|지하|산)\s?$")
_FORMATION = re.compile(r"(?<![0-9.\-])[1-5](?:-[1-5]){2,4}(?![0-9\-])")
_FORMED = re.compile(r"포메이션|전형|전술|대형")
_SHORT_TIME = re.compile(
    r"(?<=[0-9]초)\s?(?P<n>[0-9]{2,3})(?![0-9가-힣A-Za-z%℃°~\-]|\s?[가-힣]{1,2}[0-9]|[.,:][0-9]|\s[가-힣A-Za-z%])|(?<=[0-9]초)\s?(?P<n2>[0-9]{2,3})(?=[의에로을은이]|입니다)"
)  # 9초58
_FACTORIAL = re.compile(r"(?<![0-9.,A-Za-z])(?P<n>[0-9]{1,3})!(?=\s?[=+×*÷/])")
_OUT = re.compile(r"(?<![0-9.,])(?P<n>[1-3])\s?(?=아웃|스트라이크)")
_PRESSURE = re.compile(
    r"(?<![0-9.,/\-])(?P<a>[0-9]{2,3})\s?/\s?(?P<b>[0-9]{2,3})(?![0-9/\-]|[.,][0-9])(?P<unit>\s?mmHg(?![A-Za-z]))?"
)
_BLOOD = re.compile(r"혈압|수축기|이완기")
_STANDING = re.compile(r"(?<![0-9.\-])(?P<a>[0-9]{1,2})-(?P<b>[0-9]{1,2})(?![0-9\-])")
_STANDING_BEFORE = re.compile(r"(?:스코어|점수)(?:는|은|가)?\s?:?\s?$")
_BEAT = re.compile(r"(?<![0-9.,/])(?P<a>[0-9]{1,2})/(?P<b>[1-9][0-9]?)\s?박자")
_RATED = re.compile(r"(?<![0-9.,/])(?P<a>[0-9]{1,3}(?:\.[0-9]{1,2})?)\s?/\s?(?P<b>5|10|100)(?:점(?!수))?(?![0-9./])")
_RATED_BEFORE = re.compile(r"(?:별점|평점|점수|만족도|평가)(?:은|는)?\s?:?\s?$")
_GRADE = re.compile(
    r"(?<![0-9.,/])(?P<a>[0-4]\.[0-9]{1,2})\s?/\s?(?P<b>4\.[035])(?![0-9/.])"  # 학점 3.8/4.5
)
_FULL_MARK = re.compile(r"(?<![0-9.,])(?P<n>4\.[035]\s?|(?:5|10|50|100|990|1000)\s)(?=만점)")
_LENGTH = re.compile(r"(?<![0-9.,])(?P<a>[0-9]{1,2})['’′](?P<b>[0-9]{1,2})[\"”″]")  # 1'30", 6'2"
_AGAINST = re.compile(
    r"(?<![0-9.,\-])(?P<a>[0-9]{1,3})\s?대\s?(?P<b>[0-9]{1,3})"
    r"(?=$|[^0-9가-힣]|(?:으?로|의|까지|비율|이|은|는|을|를|가)(?![가-힣]{3}))"
)
_ALWAYS_OPEN = re.compile(
    r"(?<![0-9A-Za-z./])24/7(?=$|[,.!?]|\s?(?:로\s|고객|상담|운영|지원|영업|서비스|이용|가능|모니터링|대응|연중|시스템|헬프))(?!\.[0-9])"
)
_QUARTER = re.compile(r"(?<![0-9.,/])(?P<a>[1-4])/4\s?분기")


def _score(match: re.Match[str]) -> str:
    return f"{sino(int(match['a']))} 대 {sino(int(match['b']))}"


def _in_a_game(match: re.Match[str]) -> str | None:
    """Read 1-0 as a score in a sentence about a game, but not after the name of a street."""
    near = _GAME.search(before(match, 40)) or _GAME.search(after(match, 40))
    near = near or _TEAM_BEFORE.search(before(match, 8)) or _TEAM_AFTER.match(match.string, match.end())
    return _score(match) if near and not _PLACE.search(before(match, 4)) else None


def _formation(match: re.Match[str]) -> str | None:
    """Read 4-4-2 beside a word for a formation: 사 사 이."""
    text, first, end = match.string, match.start(), match.end()
    if not (_FORMED.match(text, end + 1) or _FORMED.search(text[max(0, first - 10) : end + 1])):
        return None
    return " ".join(sino(int(line)) for line in match[0].split("-"))


def _short_time(match: re.Match[str]) -> str:
    return digits(match["n"] or match["n2"])


def _pressure(match: re.Match[str]) -> str | None:
    """Read a blood pressure, 백이십에 팔십, beside its unit or the word for it."""
    systolic, diastolic = int(match["a"]), int(match["b"])
    if not (match["unit"] or _BLOOD.search(before(match, 24))):
        return None
    if not (60 <= systolic <= 280 and 30 <= diastolic < systolic):
        return None
    return f"{sino(systolic)}에 {sino(diastolic)}" + (f" {unit.KOREAN['mmHg']}" if match["unit"] else "")


def _standing(match: re.Match[str]) -> str | None:
    return _score(match) if _STANDING_BEFORE.search(before(match, 12)) else None


def _beat(match: re.Match[str]) -> str:
    return f"{sino(int(match['b']))} 분의 {sino(int(match['a']))} 박자"


def _rated(match: re.Match[str]) -> str | None:
    """Read a rating such as 별점 4.8/5: points of the maximum."""
    points = match["a"]
    if float(points) > int(match["b"]) or not ("." in points or _RATED_BEFORE.search(before(match, 12))):
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


FIRST_RULES = (Rule(_SCORE, _score), Rule(_FACTORIAL, lambda match: f"{sino(int(match['n']))} 팩토리얼"))
"""Must come before the rules that read 15:10 as a time."""
RULES = (
    Rule(_QUARTER, _quarter),
    Rule(_ALWAYS_OPEN, always("투엔티포 세븐")),
    Rule(_STANDING, _standing),
    Rule(_FORMATION, _formation),
    Rule(_IN_A_GAME, _in_a_game),
    Rule(_SHORT_TIME, _short_time),
    Rule(_OUT, lambda match: ENGLISH_NUMBERS[int(match["n"]) - 1]),
    Rule(_PRESSURE, _pressure),
    Rule(_AGAINST, _score),
    Rule(_BEAT, _beat),
    Rule(_GRADE, lambda match: f"{decimal(match['b'])} 만점에 {decimal(match['a'])}"),
    Rule(_FULL_MARK, lambda match: f"{decimal(match['n'].strip())} "),
    Rule(_LENGTH, _length),
    Rule(_RATED, _rated),
)
