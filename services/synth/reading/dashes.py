"""Replaces dashes at numbers by those that the rules know for their purpose: telephone, date, range, score, minus.

People and programs write any dash in a telephone (010–1234–5678), a range (9–5) or before a number (–5). The rules know
the hyphen in telephones, dates and codes, and an en dash or a tilde in ranges.
"""

from __future__ import annotations

import re

from services.synth.reading.edited_text import EditedText

_DASH = "[–—−ㅡー]"
_ANY_DASH = "[–—−ㅡー-]"
_DASHES = re.compile(_DASH)
# Three groups of digits or more are a telephone, a date or a code. Of two, only those that are certainly a telephone.
_GROUPS = re.compile(rf"(?<![0-9.,])[0-9]{{1,14}}(?:{_ANY_DASH}[0-9]{{1,14}}){{2,5}}(?![0-9])")
_AREA = re.compile(
    rf"(?:\([0-9]{{2,4}}\)(?:\s|{_ANY_DASH})?|(?<![0-9.,])0[0-9]{{1,3}}(?:\) ?|[ .]))"
    rf"[0-9]{{3,4}}{_DASH}[0-9]{{4}}(?![0-9])"
)
_DOTTED = re.compile(r"(?<![0-9.,·])0[0-9]{1,3}·[0-9]{3,4}·[0-9]{4}(?![0-9·])")
_SERVICE = re.compile(rf"(?<![0-9.,\-–—−])(?P<a>1[568][0-9]{{2}}){_DASH}(?P<b>[0-9]{{4}})(?![0-9])")
_MONTH = re.compile(r"(?<![0-9.,])(?P<year>(?:19|20)[0-9]{2})[–—−](?P<month>0[1-9]|1[0-2])(?![0-9.,%–—−\-])")
_DATES = re.compile(
    r"(?P<first>(?<![0-9.,])(?:(?:19|20)[0-9]{2}(?:-[0-9]{1,2}-|/[0-9]{1,2}/|\.\s?[0-9]{1,2}\.\s?)[0-9]{1,2}"
    r"|[0-9]{2}\.[0-9]{1,2}\.[0-9]{1,2})\.?(?:\s?\([월화수목금토일]\))?\s?)[–—−-](?=\s?(?:19|20)[0-9]{2}[./\-][^0-9]?[0-9]"
    r"|\s?[0-9]{1,2}\.\s?[0-9]{1,2}(?![0-9]))"
)
_BETWEEN = re.compile(r"(?<=[0-9])[—ㅡー](?=[0-9])")
_AFTER_UNIT = re.compile(
    r"(?:(?<=[시분일월년%°℃)])|(?<=[aApP][mM])|(?<=[ap]\.m\.))[—−](?=[0-9]|오전|오후|새벽|저녁|밤|다음)"
)
_WEEKDAYS = re.compile(r"(?<=[월화수목금토일])[–—−](?=[월화수목금토일](?:요일|(?!\w)))")
# A minus sign before a number with a unit is a range (5−10kg); without a unit it is a subtraction (5−3).
_MINUS_BETWEEN = re.compile(
    r"(?<=[0-9])−(?=[0-9.,]{1,12}\s?(?:[%‰°℃$€₩A-Za-z~]|[명개년월시분초원층세살회주권장병잔]|일(?!\s?때)))"
)
_MINUS = re.compile(r"(?<![0-9A-Za-z가-힣)%.,~–—−\-])(?<![0-9]\s)–(?=[0-9$€£₩])")
_SUBTRACTION = re.compile(r"(?<=[0-9)])\s?−\s?(?=[0-9(])")

# Korean: 5kg–10kg, 10만–20만; 3–1 is a score, 12–15 a range.
_UNITS = re.compile(
    r"(?P<first>[0-9](?:[만억천조원명개살세층회점초번대장권호차항부편]|kg|km|cm|mm|mg|g|m|mL|ml|L|GB|MB|TB|px|ms|°C))[–—−-](?=[0-9])"
)
_PAIR = re.compile(
    r"(?<![0-9.,:/~–\-A-Za-z])(?P<a>[0-9]{1,4})–(?P<b>[0-9]{1,4})(?![0-9:/~–\-]|[.,][0-9])"
    r"(?P<score>(?:으?로)?\s?(?:승리|이겼|이기|이긴|졌|진|패|무승부|역전|앞서|앞섰|뒤진|완승|완패)|번지)?"
)
_RANGE = re.compile(r"(?<=[0-9])–(?=[0-9A-Z])")
_SCORE_BEFORE = re.compile(r"(?:스코어|점수|[로길동리])(?:는|은|가)?\s?:?\s?$")


def plain(text: EditedText, code: str) -> EditedText:
    """Returns the text with the dashes that the rules know; each one comes from the one in its place. Linear time.

    `code` is ko or en. Between two numbers an en dash stays one in English (9–5), and is a tilde in Korean.
    """
    same = text.text
    if "·" in same:
        same = _DOTTED.sub(lambda phone: phone[0].replace("·", "-"), same)
    if "-" in same or _DASHES.search(same):
        same = _DATES.sub(r"\g<first>~", same)
        if code == "ko":
            same = _UNITS.sub(r"\g<first>~", same)
    if _DASHES.search(same):
        same = _of_numbers(same)
        if code == "ko":
            same = _RANGE.sub("~", _PAIR.sub(_pair, same))
    text = text.respelled(same)
    return text.sub(_SUBTRACTION, " minus ") if code == "en" and "−" in same else text


def _of_numbers(text: str) -> str:
    """Return a text of the same length with a hyphen in telephones and codes, and an en dash in ranges."""
    for pattern in (_GROUPS, _AREA):
        text = pattern.sub(lambda groups: _DASHES.sub("-", groups[0]), text)
    text = _MONTH.sub(_month, _SERVICE.sub(_service, text))
    text = _BETWEEN.sub(lambda dash: "–" if dash[0] == "—" else "-", text)
    text = _WEEKDAYS.sub("-", _AFTER_UNIT.sub("–", text))
    return _MINUS.sub("-", _MINUS_BETWEEN.sub("–", text))


def _service(match: re.Match[str]) -> str:
    """Return 1588-1234; two years in order stay a range: 1500–1900."""
    years = int(match["a"]) < int(match["b"]) <= 2100
    return match[0] if years else f"{match['a']}-{match['b']}"


def _month(match: re.Match[str]) -> str:
    """Return 2024-05; two years in a row stay a range: 2005–06."""
    years = int(match["month"]) == int(match["year"]) % 100 + 1
    return match[0] if years else f"{match['year']}-{match['month']}"


def _pair(match: re.Match[str]) -> str:
    """Return a score, a house number or a season with a hyphen, and a range with a tilde."""
    before = match.string[max(0, match.start() - 12) : match.start()]
    joined = match["score"] or int(match["a"]) >= int(match["b"]) or _SCORE_BEFORE.search(before)
    return f"{match['a']}{'-' if joined else '~'}{match['b']}{match['score'] or ''}"
