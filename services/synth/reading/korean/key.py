"""Keys of a telephone in Korean: * is 별표 and # 우물 정자 where a caller presses them."""

from __future__ import annotations

import re

from services.synth.reading.rule import Rule, after, before

NAMES = {"*": "별표", "#": "우물 정자"}
"""Key → its name."""
_PARTICLES = {
    "을": "를", "를": "를", "이": "가", "가": "가", "은": "는", "는": "는", "과": "와", "와": "와", "으로": "로",
    "로": "로", "이나": "나", "나": "나", "": "",
}  # fmt: skip
"""Particle as written → after a vowel, with which both names end."""

_KEY = re.compile(
    r"(?<![A-Za-z0-9*#])['\"‘“]?(?P<key>[*#])['\"’”]?"
    r"(?:(?P<named>\s?\(?(?:별표|우물\s?정자?|샵)\)?|표(?=[를와나]|\s))|(?=\s?(?:버튼|키(?![가-힣]{2}))))?"
    r"(?P<particle>(?:으로|이나)(?![가-힣])|[을를이가은는과와로나](?![가-힣]))?"
    r"(?P<end>(?=[0-9]{1,4}(?:번|을|를)?\s?(?:누르|눌러|입력)|\s?(?:버튼|키(?![가-힣]{2})|[.,!?]|$|입니다|이에요|예요|또는|혹은|이고|이며)))?"
)
_PRESSED = re.compile(r"누르|누른|누릅|눌러|눌렀|버튼|키(?![가-힣])|입력|다이얼|번호|메뉴|듣기|종료|취소")
_IN_BRACKETS = re.compile(r"\s?\(\s?(?P<key>[*#])\s?\)")
_NAMED = re.compile(r"별표|우물|샵")
_TOPIC = re.compile(r"(?:은|는|면)\s$")


def _in_brackets(match: re.Match[str]) -> str | None:
    """Say 별표(*) once, and the name of the key in 버튼(*)."""
    words = before(match, 12)
    if _NAMED.search(words):
        return ""
    return f" {NAMES[match['key']]} " if _PRESSED.search(words) else None


def _key(match: re.Match[str]) -> str | None:
    """Read a key if a word for pressing is near, and a particle or the end of a phrase follows: *를, #은, * 또는."""
    if match["particle"] is None and match["end"] is None and not match["named"]:
        return None
    listed = _TOPIC.search(before(match, 2))  # 예약은 *, 종료는 #
    if not (listed or _PRESSED.search(after(match, 24)) or _PRESSED.search(before(match, 24))):
        return None
    apart = match["particle"] is None and after(match, 2).startswith(("버튼", "키"))
    return NAMES[match["key"]] + _PARTICLES[match["particle"] or ""] + (" " if apart else "")


RULES = (Rule(_IN_BRACKETS, _in_brackets, glued=True), Rule(_KEY, _key))
