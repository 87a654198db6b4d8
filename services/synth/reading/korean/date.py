"""Dates in Korean: 2024-05-03, 2024. 5. 3., 5/3(금), and historic days that are named by their date: 6·25, 3.1절."""

from __future__ import annotations

import re

from services.synth.reading.korean.attached import form_after
from services.synth.reading.korean.code import is_quantity
from services.synth.reading.korean.numeral import digits, month, sino
from services.synth.reading.rule import Rule, after, always, before

_MONTH, _DAY = r"(?:1[0-2]|0?[1-9])", r"(?:3[01]|[12][0-9]|0?[1-9])"
_NOT_IN_NUMBER = r"(?<![0-9.,/\-])"
_TILDE = r"\s?~\s?"
_WEEKDAY = r"\s?\((?P<weekday>[월화수목금토일])\)(?:(?P<particle>[는가를와])(?![가-힣]))?"
_WHOLE = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<year>[12][0-9]{{3}})(?:"
    rf"-(?P<m1>{_MONTH})-(?P<d1>{_DAY})|/(?P<m2>{_MONTH})/(?P<d2>{_DAY})"
    rf"|\.\s?(?P<m3>{_MONTH})\.\s?(?P<d3>{_DAY})(?P<dot>\.(?![0-9]))?)(?![0-9\-/])(?:{_WEEKDAY})?"
)
_SHORT_YEAR = re.compile(
    rf"{_NOT_IN_NUMBER}'?(?P<year>[0-9]{{2}})\. (?P<m>{_MONTH})\. (?P<d>{_DAY})(?P<dot>\.)?(?![0-9])(?:{_WEEKDAY})?"
)
_DOTTED = re.compile(
    rf"{_NOT_IN_NUMBER}['’]?(?P<year>[0-9]{{2}})\.(?P<m>0[1-9]|1[0-2])\.(?P<d>0[1-9]|[12][0-9]|3[01])(?P<dot>\.)?(?![0-9.])"
    rf"(?:{_WEEKDAY})?"
)
# The second date of a range may lack the year (2024.1.1.~12.31.); two dates without a year need all dots (5.1.~5.5.).
_UNTIL = re.compile(rf"(?<=[~\s])(?P<m>{_MONTH})\.\s?(?P<d>{_DAY})(?P<dot>\.)?(?![0-9])(?:{_WEEKDAY})?")
_SINCE = re.compile(rf"(?:\.\s?{_MONTH}\.\s?{_DAY}\.?(?:\s?\([월화수목금토일]\))?|[0-9]월\s?[0-9]{{1,2}}일){_TILDE}$")
_DAYS = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<m>{_MONTH})\.\s?(?P<d>{_DAY})\.{_TILDE}(?P<m2>{_MONTH})\.\s?(?P<d2>{_DAY})(?P<dot>\.)(?![0-9])"
)
_YEARS = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<a>(?:19|20)[0-9]{{2}})\s?[-–]\s?(?P<b>(?:19|20)[0-9]{{2}}|[0-9]{{2}}(?=\s?시즌))(?![0-9\-./]|\s?[년=])"
)
_ALONE = re.compile(r"(?<=일)" + _WEEKDAY)  # 15일(월)
_YEAR_MONTH = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<year>(?:19|20)[0-9]{{2}})(?:\.\s(?P<m1>{_MONTH})(?P<dot>\.)|-(?P<m2>0[1-9]|1[0-2]))(?![0-9\-])"
)
_SLASHED = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<m>{_MONTH})/(?P<d>{_DAY})(?P<named>일(?![가-힣]?간|자))?(?![0-9/.])(?:{_WEEKDAY})?"
)
_OF_A_DAY = re.compile(
    r"\s?(?:까지|부터|자로|일자|이전|이후|오전|오후|마감|출발|예정|예약|방문|진료|배송|접수|개강|개봉|출시|[월화수목금토일]요일|[0-9]{1,2}(?::[0-9]{2}|시))"
)
_DAY_BEFORE = re.compile(
    r"(?:오늘|내일|모레|글피|어제|그제|[주월화수목금토일]말|요일|예약일?|예정일|날짜|일정|마감일?|기한|납기)(?:은|는)?\s?[:(]?\s?$"
)
_OF_A_CARD = re.compile(r"카드[^0-9.]{0,6}유효\s?(?:기간|기한)(?:은|는|이)?\s?[:(]?\s?$")
_SUM_BEFORE = re.compile(r"[=+×*÷]\s?$")
_SUM_AFTER = re.compile(r"\s?[=+×*÷]")
_DAYS_SLASHED = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<m>{_MONTH})/(?P<d>{_DAY})\s?[~\-–]\s?(?P<m2>{_MONTH})/(?P<d2>{_DAY})(?![0-9/.])"
)
# 2024.10 기준, 2023.12 ~ 2024.06, 2025.06까지: a month with two digits; with one only before a word for a period.
_OF_A_MONTH = (
    r"\s?(?:기준|현재|말(?![가-힣])|~|부터|까지|이후|이전|입사|퇴사|입학|졸업|출시|발행|개통|개정|시행|준공|설립|실적|"
    r"[)]|$)"
)
_YEAR_MONTH_DOTTED = re.compile(
    rf"(?<![0-9.,/\-])(?P<year>(?:19|20)[0-9]{{2}})\.(?P<m>0[1-9]|1[0-2]|[1-9](?=월|{_OF_A_MONTH}))(?![0-9.]|,[0-9])(?:월(?!요))?"
)
_MONTHS = re.compile(  # 2020.1.~2022.12.
    rf"{_NOT_IN_NUMBER}(?P<y1>(?:19|20)[0-9]{{2}})\.\s?(?P<m1>{_MONTH})\.{_TILDE}"
    rf"(?:(?P<y2>(?:19|20)[0-9]{{2}})\.\s?(?P<m2>{_MONTH})(?P<dot>\.?)(?!\.?\s?[0-9])|(?=현재|지금))"
)
_UNTIL_NOW = re.compile(rf"(?<=[0-9년월일시분.]){_TILDE}(?=현재|지금)")
_MEASURED = re.compile(r"(?:지수|코스피|코스닥|나스닥|환율|종가|지수는)(?:은|는|이|가)?\s?$")
_YEAR_MONTH_SLASHED = re.compile(rf"{_NOT_IN_NUMBER}(?P<year>(?:19|20)[0-9]{{2}})/(?P<m>0[1-9]|1[0-2])(?![0-9/.])")
_APOSTROPHE_MONTH = re.compile(r"['’](?P<year>[0-9]{2})\.\s?(?P<m>1[0-2]|0?[1-9])(?:월|\.(?![0-9])|(?![0-9.]))")
_EIGHT = re.compile(
    r"(?<![0-9A-Za-z.,/\-])(?P<year>(?:19|20)[0-9]{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12][0-9]|3[01])"
    r"(?![0-9A-Za-z\-]|[.,][0-9])"
)
_SIX = re.compile(  # 제조일 240103
    r"(?<![0-9A-Za-z.,/\-])(?P<year>[0-9]{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12][0-9]|3[01])(?![0-9A-Za-z\-]|[.,][0-9])"
)
_LABEL_OF_SIX = re.compile(
    r"(?:(?:제조|생산|포장|개봉|구입|출고)\s?(?:일|일자|날짜)|유통\s?기한|소비\s?기한|유효\s?기간)(?:은|는|이)?\s?[:(]?\s?$"
)
_DAY_AFTER = re.compile(
    r"\s?(?:기준|현재|일자|자(?![가-힣])|부터|까지|이후|이전|에(?![가-힣])|생(?![가-힣])|출시|시행|~)"
)
_TILDE_BEFORE = re.compile(r"[0-9]\s?~\s?$")
# 25.1.2.(목), '24.5.3, 24.12.1. 시행; 24.5.3 alone is a version.
_SHORT_DOTTED = re.compile(
    rf"(?<![0-9.,/\-])(?P<quote>['’])?(?P<year>[0-9]{{2}})\.(?P<m>{_MONTH})\.(?P<d>{_DAY})(?P<dot>\.)?(?![0-9])(?:{_WEEKDAY})?"
)
_SHORT_SLASHED = re.compile(
    rf"{_NOT_IN_NUMBER}(?P<year>[0-9]{{2}})/(?P<m>0[1-9]|1[0-2])/(?P<d>0[1-9]|[12][0-9]|3[01])(?P<dot>\.(?!.))?(?![0-9/\-])(?:{_WEEKDAY})?"
)
_DAY_DOTTED = re.compile(rf"(?<![0-9.,/\-])(?P<m>{_MONTH})\.\s?(?P<d>{_DAY})\.?{_WEEKDAY}")  # 5.3(금)
_VERSION_BEFORE = re.compile(r"(?:버전|버젼|판본|[A-Za-z])\s?$")
_APOSTROPHES = re.compile(r"['’](?P<a>[0-9]{2})(?:년)?\s?[~\-–]\s?['’](?P<b>[0-9]{2})(?=\s?(?:년|학년도|시즌))")
_APOSTROPHE = re.compile(r"['’](?P<year>[0-9]{2})(?=\s?(?:년|학년도|시즌))")
_PARALLEL = re.compile(r"(?<![0-9.,])3\.?8선(?=$|[^가-힣]|[은는이가을를의에도]|으로)")  # the border in Korea
# 3·1절, 4·19, 6·25, 12·12: month and day; the day digit by digit, unless it is a multiple of ten.
_NAMED = re.compile(
    rf"(?<![0-9.·])(?P<m>{_MONTH})(?:[·ㆍ・](?P<d1>{_DAY})|/(?P<d3>{_DAY})(?=절|\s?(?:만세|혁명|전쟁|항쟁|민주화|사태|테러|참사))|\.(?P<d2>{_DAY})(?=절|\s?(?:운동|만세|혁명|전쟁|항쟁|민주|사태|테러|광복|해방|경축|사건|희생|추념|의거|비상계엄|계엄|"
    r"참사|참전|선언|공동\s?선언|합의|군사|쿠데타|정변|묘역|묘지|국립|유공자|정신|특사|세월호|남북|판문점|대책|대지진|총선|지방선거|대선)))"
    r"(?![0-9.·])"
)


def _spoken(year: str, month_number: str, day: str, weekday: re.Match[str] | None) -> str:
    said = f"{sino(int(year))} 년 " if year else ""
    said += f"{month(int(month_number))} {sino(int(day))} 일"
    return said + (_weekday(weekday) if weekday else "")


def _weekday(match: re.Match[str]) -> str:
    """Return the day of the week in brackets as a word, with the particle that fits it: (수)는 is 수요일은."""
    if not match["weekday"]:
        return ""
    return f" {match['weekday']}요일{form_after('요일', match['particle'] or '')}"


def _at_end(match: re.Match[str]) -> str:
    """Return the dot after the day if it also ends the sentence."""
    return "." if match["dot"] and match[0][-1] == "." and match.end() == len(match.string) else ""


def _whole(match: re.Match[str]) -> str:
    month_number = match["m1"] or match["m2"] or match["m3"]
    day = match["d1"] or match["d2"] or match["d3"]
    return _spoken(match["year"], month_number, day, match) + _at_end(match)


def _short_year(match: re.Match[str]) -> str:
    return _spoken(match["year"], match["m"], match["d"], match) + _at_end(match)


def _until(match: re.Match[str]) -> str | None:
    """Read month and day after a date and a tilde; elsewhere they are a decimal."""
    if not _SINCE.search(before(match, 24)):
        return None
    return _spoken("", match["m"], match["d"], match) + _at_end(match)


def _days(match: re.Match[str]) -> str:
    first, second = _spoken("", match["m"], match["d"], None), _spoken("", match["m2"], match["d2"], None)
    return f"{first}에서 {second}" + _at_end(match)


def _years(match: re.Match[str]) -> str | None:
    """Read 2023-2024 and 2023-24 시즌, if the second year is later."""
    first, second = match["a"], match["b"]
    if int(second) <= int(first[-len(second) :]):
        return None
    return f"{sino(int(first))}에서 {sino(int(second))}"


def _year_month(match: re.Match[str]) -> str:
    month_number = int(match["m1"] or match["m2"])
    return f"{sino(int(match['year']))} 년 {month(month_number)}" + _at_end(match)


def _slashed(match: re.Match[str]) -> str | None:
    """Read a date if the text around says so, or if it is unlikely as a fraction: 5/3, 12/25; not 3/4 and 1/16."""
    numerator, denominator = int(match["m"]), int(match["d"])
    text, first, end = match.string, match.start(), match.end()
    if len(match[0]) == 5 and _OF_A_CARD.search(before(match, 24)):  # 09/27 is a month and a year
        return f"{digits(match['m'], '공')} {digits(match['d'], '공')}"
    if after(match, 3).lstrip().startswith("박자") or _NAMED.match(text, first):
        return None
    if _SUM_BEFORE.search(before(match, 3)) or _SUM_AFTER.match(text, end):  # 10/2=5
        return None
    named = match["named"] or match["weekday"] or _OF_A_DAY.match(text, end)
    named = named or _DAY_BEFORE.search(before(match, 10))
    if not named and numerator < denominator and (denominator <= 12 or numerator == 1):
        return None
    return _spoken("", match["m"], match["d"], match)


def _days_slashed(match: re.Match[str]) -> str | None:
    """Read 4/5~4/7 as days, if the second day is later; 1/3~1/2 and 1/5~2/5 are fractions."""
    first, second = (int(match["m"]), int(match["d"])), (int(match["m2"]), int(match["d2"]))
    if not first < second or (first[0] != second[0] and first[1] <= 10 and second[1] <= 10 and first[0] == 1):
        return None
    return f"{_spoken('', match['m'], match['d'], None)}에서 {_spoken('', match['m2'], match['d2'], None)}"


def _year_month_dotted(match: re.Match[str]) -> str | None:
    """Read 2024.10 as a month, unless it measures something: 2024.10원, 코스피 2024.10."""
    text, end = match.string, match.end()
    if _VERSION_BEFORE.search(before(match, 4)):
        return None
    if is_quantity(text, end) or _MEASURED.search(before(match, 8)) or after(match, 2) == "으로":
        return None
    return f"{sino(int(match['year']))} 년 {month(int(match['m']))}"


def _months(match: re.Match[str]) -> str:
    """Read 2020.1.~2022.12. as months; the end of the range may be 현재."""
    since = f"{sino(int(match['y1']))} 년 {month(int(match['m1']))}"
    if not match["y2"]:
        return f"{since}부터 "
    return f"{since}에서 {sino(int(match['y2']))} 년 {month(int(match['m2']))}" + _at_end(match)


def _month_of_year(match: re.Match[str]) -> str | None:
    if is_quantity(match.string, match.end()):
        return None
    return f"{sino(int(match['year']))} 년 {month(int(match['m']))}"


def _eight(match: re.Match[str]) -> str | None:
    """Read 20240503 기준 as a date; without such a word it is a number."""
    if not (_DAY_AFTER.match(match.string, match.end()) or _TILDE_BEFORE.search(before(match, 4))):
        return None
    return _spoken(match["year"], match["m"], match["d"], None)


def _six(match: re.Match[str]) -> str | None:
    """Read six digits on a package as a date, if a word for such a date is before them."""
    if not _LABEL_OF_SIX.search(before(match, 12)):
        return None
    return _spoken(match["year"], match["m"], match["d"], None)


def _short_dotted(match: re.Match[str]) -> str | None:
    """Read 25.1.2.(목) and '24.5.3; without an apostrophe, a weekday or a last dot it is a version."""
    text = match.string
    sure = (
        match["quote"]
        or match["weekday"]
        or (match["dot"] and match.end() < len(text))
        or _OF_A_DAY.match(text, match.end())
    )
    if not sure or _VERSION_BEFORE.search(before(match, 4)):
        return None
    return _short_year(match)


def _day_dotted(match: re.Match[str]) -> str:
    return _spoken("", match["m"], match["d"], match)


def _apostrophe(match: re.Match[str]) -> str:
    return sino(int(match["year"])) + " "


def _apostrophes(match: re.Match[str]) -> str:
    return f"{sino(int(match['a']))}에서 {sino(int(match['b']))} "


def _named(match: re.Match[str]) -> str:
    month_number, day = int(match["m"]), int(match["d1"] or match["d2"] or match["d3"])
    by_digits = day > 9 and day % 10 and (month_number, day) != (12, 12)
    return sino(month_number) + (digits(str(day)) if by_digits else sino(day))


RULES = (
    Rule(_PARALLEL, always("삼팔선")),
    Rule(_WHOLE, _whole),
    Rule(_SHORT_YEAR, _short_year),
    Rule(_DOTTED, _short_year),
    Rule(_SHORT_DOTTED, _short_dotted),
    Rule(_SHORT_SLASHED, _short_year),
    Rule(_EIGHT, _eight),
    Rule(_SIX, _six),
    Rule(_DAY_DOTTED, _day_dotted),
    Rule(_UNTIL, _until),
    Rule(_DAYS, _days),
    Rule(_YEARS, _years),
    Rule(_ALONE, _weekday),
    Rule(_MONTHS, _months),
    Rule(_UNTIL_NOW, lambda match: "부터 ", glued=True, first="."),
    Rule(_YEAR_MONTH, _year_month),
    Rule(_YEAR_MONTH_DOTTED, _year_month_dotted),
    Rule(_YEAR_MONTH_SLASHED, _month_of_year),
    Rule(_APOSTROPHE_MONTH, _month_of_year),
    Rule(_DAYS_SLASHED, _days_slashed),
    Rule(_SLASHED, _slashed),
    Rule(_APOSTROPHES, _apostrophes),
    Rule(_APOSTROPHE, _apostrophe),
    Rule(_NAMED, _named),
)
