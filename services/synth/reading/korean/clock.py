"""Times of day in Korean: 14:30, 오전 9:05, 9:00 AM, 3pm, 01:23:45; and ratios, which look similar: 3:1, 16:9."""

from __future__ import annotations

import re

from services.synth.reading.korean.numeral import decimal, native, sino
from services.synth.reading.rule import Rule, before

_HALF = r"(?P<half>\s?(?:[AaPp]\.?[Mm]\.?))(?![A-Za-z])"
_TIME = re.compile(
    r"(?<![0-9:.,])(?P<hour>2[0-4]|1[0-9]|0?[0-9]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?(?![0-9:])"
    rf"(?:{_HALF}|시(?![간즌스작점행청장민도내])|분(?![기야량석류])|(?P<lasting>초)(?![기반중등과음]))?"  # 7:30분
)
_HOUR = re.compile(
    rf"(?<![0-9:.,])(?P<hour>1[0-2]|0?[1-9])(?:시(?:\s?(?P<minute>[0-5]?[0-9])분)?)?{_HALF}"  # 3pm, 3시 p.m.
)
_AHEAD = re.compile(r"(?<![A-Za-z])(?P<half>[AaPp])\.?[Mm]\.?\s?(?=[0-9]{1,2}(?::[0-9]{2}|시))")
_HALF_BEFORE = re.compile(r"(?:오전|오후|새벽|아침|낮|저녁|밤)\s?$")
_SIDE = r"[0-9]{1,4}(?:\.[0-9]{1,2})?"
_RATIO = re.compile(rf"(?<![0-9:.])(?P<a>{_SIDE}):(?P<b>{_SIDE})(?::(?P<c>{_SIDE}))?(?![0-9:]|\.[0-9])")


_LASTING = re.compile(
    r"(?<![0-9:.,A-Za-z])(?:(?P<h>[0-9]{1,3}(?:\.[0-9]{1,2})?)\s?(?:h|hr|hrs|hours?)(?![A-Za-z/])\s?)?"
    r"(?:(?P<m>[0-9]{1,3})\s?(?:min|mins|m(?=\s?[0-9]{1,2}\s?s(?![A-Za-z/]))|(?<=[0-9])m(?![A-Za-z0-9/²³^]))(?![A-Za-z/])\s?)?"
    r"(?:(?P<s>[0-9]{1,3})\s?(?:s|sec|secs)(?![A-Za-z0-9/]))?"
)
_LONG = re.compile(r"(?:러닝\s?타임|시간|기록|길이|분량|타이머|소요|스톱워치|영상)(?:은|는|이|가)?\s?:?\s?$")
_RUNNING = re.compile(r"(?:러닝\s?타임|인터미션|(?:상영|재생|소요|운행)\s?시간)(?:은|는)?\s?:?\s?(?:약\s?)?$")
_LONG_AFTER = re.compile(r"\s?(?:동안|만에|소요|짜리|분량|경과|의?\s?(?:기록|영상))")


def hour(number: int) -> str:
    """Reads an hour: 한 시 to 열두 시, else 십삼 시, 영 시."""
    return f"{native(number) if 0 < number < 13 else sino(number)} 시"


def _half(match: re.Match[str]) -> str:
    """Return 오전 or 오후, unless the text already has it before the time."""
    if not match["half"] or _HALF_BEFORE.search(before(match, 8)):
        return ""
    return "오전 " if match["half"].strip()[0] in "aA" else "오후 "


def _time(match: re.Match[str]) -> str:
    if match["lasting"] and not match["second"]:  # 01:30초
        minutes, seconds = int(match["hour"]), int(match["minute"])
        return (f"{sino(minutes)} 분 " if minutes else "") + f"{sino(seconds)} 초"
    minute, second = int(match["minute"]), int(match["second"] or 0)
    if match["second"] and (_LONG.search(before(match, 12)) or _LONG_AFTER.match(match.string, match.end())):
        return _duration(match["hour"], str(minute), str(second))
    said = _half(match) + hour(int(match["hour"]))
    if minute or second:
        said += f" {sino(minute)} 분"
    return said + (f" {sino(second)} 초" if second else "")


def _duration(hours: str, minutes: str, seconds: str) -> str:
    """Read hours, minutes and seconds; parts that are empty or zero are left out."""
    said = []
    if hours and "." in hours:
        said.append(f"{decimal(hours)} 시간")
    elif hours and int(hours):
        said.append(f"{native(int(hours)) if int(hours) < 24 else sino(int(hours))} 시간")
    said += [f"{sino(int(part))} {name}" for part, name in ((minutes, "분"), (seconds, "초")) if part and int(part)]
    return " ".join(said)


def _lasting(match: re.Match[str]) -> str | None:
    """Read 2h 15m, 1h 5m 30s and 24h as times; 15m alone is fifteen meters, unless it is 러닝타임 98m."""
    hours, minutes, seconds = match["h"], match["m"], match["s"]
    running = minutes and _RUNNING.search(before(match, 14))
    if not hours and not running and not (minutes and seconds):
        return None
    return (_duration(hours or "", minutes or "", seconds or "") or "영 시간") + (" " if match[0][-1] == " " else "")


def _ahead(match: re.Match[str]) -> str:
    """Read the AM of AM 9:00."""
    return "오전 " if match["half"] in "aA" else "오후 "


def _hour(match: re.Match[str]) -> str:
    minute = f" {sino(int(match['minute']))} 분" if match["minute"] else ""
    return _half(match) + hour(int(match["hour"])) + minute


def _ratio(match: re.Match[str]) -> str:
    return " 대 ".join(decimal(part) for part in (match["a"], match["b"], match["c"]) if part)


FIRST_RULES = (Rule(_AHEAD, _ahead),)
"""Must come before the rules that read AM and FM as words."""
RULES = (Rule(_LASTING, _lasting), Rule(_TIME, _time), Rule(_HOUR, _hour), Rule(_RATIO, _ratio))
