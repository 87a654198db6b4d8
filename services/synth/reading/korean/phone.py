"""Numbers that are read digit by digit in Korean: telephone numbers, accounts, cards, help lines."""

from __future__ import annotations

import re

from services.synth.reading.korean.numeral import digits
from services.synth.reading.rule import Rule

_TELEPHONE = re.compile(
    r"(?<![0-9.\-])(?:(?P<plus>\+[0-9]{1,3})[\s\-])?"
    r"(?:\(?(?P<a>0[0-9]{1,3}|(?<=[\s\-])10)\)?[\s\-.]?(?P<b>[0-9]{3,4})[\-.\s](?P<c>[0-9]{4})|(?P<d>1[568][0-9]{2})-(?P<e>[0-9]{4}))"
    r"(?![0-9\-]|\.[0-9]|\s?년)"
)
_MOBILE = re.compile(r"(?<![0-9.\-])(?P<a>01[016789])(?P<b>[0-9]{3,4})(?P<c>[0-9]{4})(?![0-9])")
_GROUPS = re.compile(r"(?<![0-9.\-])[0-9]{2,6}(?:-[0-9]{1,8}){2,4}(?![0-9\-]|\.[0-9])")
_CODE = re.compile(r"(?<![0-9.,\-])[0-9]{3,12}(?![0-9.,\-]|\s?[가-힣]?(?:개|자리|원|명|번째|건))")
_NAME_OF_A_CODE = re.compile(
    r"(?:번호|코드|학번|사번|군번|계좌|암호|PIN|OTP)(?:은|는|이|가|을|를)?\s?[:=]?\s?[\[(\"'“‘]?$"
)
_CODES = re.compile(r"(?<![0-9.,\-])[0-9]{2,12}(?:-[0-9]{1,12}){1,4}(?![0-9\-]|[.,][0-9])")
# Generations: 2030세대 (people from 20 to 39), 586세대; not that number of households.
_GENERATION = re.compile(
    r"(?<![0-9.,])(?:1020|2030|3040|4050|5060|6070|7080|[3-6]86)"
    r"(?=\s?(?:세대(?!\s?(?:규모|입주|아파트|단지|분양|가\s?(?:입주|들어)))|여성|남성|청년|직장인|소비자))"
)
_HELP = re.compile(
    r"(?<=없이 )[0-9]{3,5}(?![0-9])|(?<![0-9.,\-])(?:11[0-9]|12[0-9]|13[0-9]{2}|182|911)"
    r"(?=\s?(?:에|로|으로|번으로|번에)\s?(?:전화|신고|연락|문의|걸)|\s?(?:구급|구조|상황실|안전신고|신고|대원|콜센터|상담|다산))"
)


def _telephone(match: re.Match[str]) -> str:
    groups = [digits(match[name], "공") for name in ("a", "b", "c", "d", "e") if match[name]]
    if match["plus"]:
        groups.insert(0, "플러스 " + digits(match["plus"], "공"))
    return " ".join(groups)


def _mobile(match: re.Match[str]) -> str:
    return " ".join(digits(group, "공") for group in match.groups())


def _groups(match: re.Match[str]) -> str:
    return " ".join(digits(group, "공") for group in match[0].split("-"))


def _code(match: re.Match[str]) -> str | None:
    """Read a code such as 인증번호는 482913, only after a word for a code."""
    before = match.string[max(0, match.start() - 12) : match.start()]
    return digits(match[0], "공") if _NAME_OF_A_CODE.search(before) else None


def _codes(match: re.Match[str]) -> str | None:
    before = match.string[max(0, match.start() - 12) : match.start()]
    return _groups(match) if _NAME_OF_A_CODE.search(before) else None


def _help(match: re.Match[str]) -> str:
    return digits(match[0], "공")


RULES = (
    Rule(_TELEPHONE, _telephone),
    Rule(_MOBILE, _mobile),
    Rule(_GROUPS, _groups),
    Rule(_CODE, _code),
    Rule(_CODES, _codes),
    Rule(_GENERATION, lambda match: digits(match[0], "공") + " "),
    Rule(_HELP, _help),
)
