"""Numbers that are read digit by digit in Korean: telephone numbers, accounts, cards, help lines."""

from __future__ import annotations

import re

from services.synth.reading.korean.code import is_quantity
from services.synth.reading.korean.numeral import digits
from services.synth.reading.rule import Rule, after, before

_TELEPHONE = re.compile(
    r"(?<![0-9.\-])(?:(?P<plus>\+[0-9]{1,3})[\s\-])?"
    r"(?:\(?(?P<a>0[0-9]{1,3}|(?<=[\s\-])10)\)?[\s\-.]?(?P<b>[0-9]{3,4})[\-.\s](?P<c>[0-9]{4})|(?P<d>1[568][0-9]{2})-(?P<e>[0-9]{4}))"
    r"(?![0-9\-]|\.[0-9]|\s?년)"
)
_KOREA = re.compile(  # +821012345678, +82 (0)2-123-4567
    r"(?<![0-9A-Za-z])\+82[\s\-.]?(?:\(0\)\s?|0)?(?P<a>10|1[16789]|2|[3-6][1-5]|70|80|50[0-9])"
    r"[\s\-.]?(?P<b>[0-9]{3,4})[\s\-.]?(?P<c>[0-9]{4})(?![0-9\-]|\.[0-9])"
)
_ABROAD = re.compile(
    r"(?<![0-9A-Za-z])\+(?P<a>[1-9][0-9]{0,2})(?P<b>(?:[\s\-][0-9]{2,4}){1,3}[\s\-][0-9]{4}"
    r"|[\s\-]?\([0-9]{1,4}\)[\s\-]?[0-9]{2,4}(?:[\s\-][0-9]{2,4}){0,2}[\s\-][0-9]{4})(?![0-9\-]|\.[0-9])"
)
_AMERICAN = re.compile(  # (415) 555-0132, 1-800-555-0199
    r"(?<![0-9.\-+])(?:(?:1[\s\-])?\([2-9][0-9]{2}\)[\s\-]?|1-[2-9][0-9]{2}-)[2-9][0-9]{2}[\s.\-][0-9]{4}(?![0-9\-]|\.[0-9])"
)
_AREA = re.compile(
    r"(?<![0-9.\-])\(?(?P<a>0[2-6][1-5]?)\)\s?(?P<b>[0-9]{3,4})[\-\s.](?P<c>[0-9]{4})(?![0-9\-])"
)  # 031)123-4567
_COMPANY = re.compile(  # numbers of companies, without the dash
    r"(?<![0-9.,\-])(?P<a>1(?:5(?:22|33|44|66|77|88|99)|6(?:00|44|6[0168]|70|88)|8(?:00|11|33|55|77|99)))\s?(?P<b>[0-9]{4})(?![0-9\-]|[.,][0-9])"
)
_MOBILE = re.compile(r"(?<![0-9.\-])(?P<a>01[016789])(?P<b>[0-9]{3,4})(?P<c>[0-9]{4})(?![0-9])")
_GROUPS = re.compile(r"(?<![0-9.\-])[0-9]{2,6}(?:-[0-9]{1,8}){2,4}(?![0-9\-]|\.[0-9])")
# Generations: 2030세대 (people from 20 to 39), 586세대; not that number of households.
_GENERATION = re.compile(
    r"(?<![0-9.,])(?:1020|2030|3040|4050|5060|6070|7080|[3-6]86)"
    r"(?=\s?(?:세대(?!\s?(?:규모|입주|아파트|단지|분양|가\s?(?:입주|들어)))|여성|남성|청년|직장인|소비자))"
)
_SHORT = re.compile(r"(?<![0-9.,\-])1(?:[0-3][0-9]|8[28]|[3568][0-9]{2})(?![0-9\-]|[.,:/][0-9])")
_SERVICE = re.compile(
    r"(?:전화|상담|신고|핫라인|센터|콜|문의|안내|연락처|없이|경찰|소방|소방서|구급|응급|민원)(?:\s?번호)?(?:은|는|이|가)?\s?[:(]?\s?$"
)
# Help lines of Korea that are said digit by digit beside a word for their topic: 학교폭력 117, 118 인터넷 침해 신고.
_TOPICS = {
    number: re.compile(words)
    for number, words in {
        "109": "자살|생명",
        "110": "정부|민원",
        "111": "국정원|국가정보원|간첩|테러",
        "117": "학교\\s?폭력",
        "118": "인터넷|해킹|개인정보|사이버",
        "120": "다산",
        "121": "상수도|수도(?!권|\\s?서울)",
        "123": "한전|한국전력|정전|전기(?!차)",
        "125": "관세청|밀수",
        "126": "국세청|국세|홈택스",
        "128": "환경(?:부|신고|\\s신고|오염)",
        "129": "복지",
        "131": "날씨|기상",
        "132": "법률",
        "182": "실종|미아",
        "1301": "마약|검찰",
        "1303": "국방",
        "1330": "관광",
        "1331": "인권",
        "1332": "금융|금감원",
        "1333": "교통",
        "1339": "질병|감염병|코로나|응급",
        "1345": "외국인|출입국",
        "1350": "노동",
        "1355": "국민연금|연금",
        "1357": "중소기업|소상공인",
        "1366": "여성|가정\\s?폭력",
        "1372": "소비자",
        "1388": "청소년",
        "1393": "자살",
        "1397": "서민금융",
    }.items()
}
_OF_A_TOPIC = re.compile(rf"(?<![0-9.,\-])(?:{'|'.join(_TOPICS)})(?![0-9\-]|[.,:/][0-9]|\s?[=+×÷*])")
_EMERGENCY = re.compile(r"(?<![0-9.,\-])11[29](?![0-9\-]|[.,:/][0-9]|\s?[=+×÷*])")
_EMERGENCIES = re.compile(r"(?<![0-9.,\-])11[029](?:\s?[/·,]\s?11[029]){1,3}(?![0-9\-]|[.,:/][0-9]|\s?[=+×÷*])")
_IN_DANGER = re.compile(
    r"신고|출동|구급|구조|화재|응급|경찰|소방|불러|불렀|부르|호출|긴급|전화|연락|실려|눌러|누르|걸어|걸었|위급|위험하|쓰러졌|쓰러지|다쳤|비상\s?연락"
)
_HELP = re.compile(
    r"(?<=없이 )[0-9]{3,5}(?![0-9])|(?<![0-9.,\-])(?:11[0-9]|12[0-9]|13[0-9]{2}|182|911)"
    r"(?=\s?(?:에|로|으로|번으로|번에)\s?(?:전화|신고|연락|문의|걸)|\s?(?:구급|구조|상황실|안전신고|신고|대원|콜센터|상담|다산|정부민원|민원|안내\s?전화|자살|여성긴급|청소년|외국인|관광|학교폭력))"
)


def _telephone(match: re.Match[str]) -> str:
    groups = [digits(match[name], "공") for name in ("a", "b", "c", "d", "e") if match[name]]
    if match["plus"]:
        groups.insert(0, "플러스 " + digits(match["plus"], "공"))
    return " ".join(groups)


def _mobile(match: re.Match[str]) -> str:
    return " ".join(digits(group, "공") for group in match.groups())


def _groups(match: re.Match[str]) -> str:
    return " ".join(digits(group, "공") for group in re.findall(r"[0-9]+", match[0]))


def _abroad(match: re.Match[str]) -> str:
    return f"플러스 {digits(match['a'], '공')} " + " ".join(
        digits(group, "공") for group in re.findall(r"[0-9]+", match["b"])
    )


def _korea(match: re.Match[str]) -> str:
    return "플러스 팔이 " + _mobile(match)


def _company(match: re.Match[str]) -> str | None:
    return None if is_quantity(match.string, match.end()) else _mobile(match)


def _short(match: re.Match[str]) -> str | None:
    """Read a number of three or four digits after a word for a service: 상담전화 109, 여성긴급전화 1366."""
    if is_quantity(match.string, match.end()) or not _SERVICE.search(before(match, 14)):
        return None
    return digits(match[0], "공")


def _of_a_topic(match: re.Match[str]) -> str | None:
    """Read the number of a help line if a word for its topic stands near: 청소년전화 1388, 학교폭력 117."""
    around = f"{before(match, 18)} {after(match, 10)}"
    if is_quantity(match.string, match.end()) or not _TOPICS[match[0]].search(around):
        return None
    return digits(match[0], "공")


def _emergency(match: re.Match[str]) -> str | None:
    """Read 119 and 112 if a word for an emergency stands near: 119를 불러 주세요."""
    text, first, end = match.string, match.start(), match.end()
    if is_quantity(text, end) or not _IN_DANGER.search(text[max(0, first - 24) : end + 24]):
        return None
    return digits(match[0], "공")


def _emergencies(match: re.Match[str]) -> str | None:
    """Read 112 / 119 / 110 without another word."""
    if is_quantity(match.string, match.end()):
        return None
    return ", ".join(digits(number, "공") for number in re.findall("[0-9]+", match[0]))


def _help(match: re.Match[str]) -> str:
    return digits(match[0], "공")


RULES = (
    Rule(_KOREA, _korea),
    Rule(_ABROAD, _abroad),
    Rule(_AMERICAN, _groups),
    Rule(_AREA, _mobile),
    Rule(_TELEPHONE, _telephone),
    Rule(_COMPANY, _company),
    Rule(_MOBILE, _mobile),
    Rule(_GROUPS, _groups),
    Rule(_GENERATION, lambda match: digits(match[0], "공") + " "),
    Rule(_EMERGENCIES, _emergencies),
    Rule(_HELP, _help),
    Rule(_SHORT, _short),
    Rule(_OF_A_TOPIC, _of_a_topic),
    Rule(_EMERGENCY, _emergency),
)
