"""Signs in Korean text: spoken ones (&, +, =, @), pauses (/), particles with two forms, and single letters.

Laughter in consonants is spoken (ㅋㅋㅋ is 크크크). Tears in vowels (ㅠㅠ) are not, unless the text has nothing else.
"""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.korean import attached
from services.synth.reading.korean.latin import ENGLISH_NUMBERS, letter
from services.synth.reading.korean.money import CURRENCIES
from services.synth.reading.korean.numeral import final_consonant, sino
from services.synth.reading.rule import Rule, after, always, before

_CHAT = {
    "ㅇㅇ": "응", "ㅇㅋ": "오케이", "ㅇㅋㅇㅋ": "오케이 오케이", "ㄴㄴ": "노노", "ㄱㅅ": "감사", "ㄳ": "감사",
    "ㅈㅅ": "죄송", "ㅊㅋ": "축하", "ㅊㅋㅊㅋ": "축하 축하", "ㄱㄱ": "고고", "ㅂㅂ": "바이바이", "ㅂㅇ": "바이",
    "ㅎㅇ": "하이", "ㄷㄷ": "덜덜", "ㄹㅇ": "리얼", "ㅅㄱ": "수고", "ㄱㅊ": "괜찮", "ㅇㅈ": "인정", "ㄱㄷ": "기다려",
    "ㅉㅉ": "쯧쯧", "ㅡㅡ": "", "ㅗㅗ": "",
}  # fmt: skip
# Names of the letters: 한글 맞춤법 제4항 and its 붙임.
_JAMO = dict(zip(
    "ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎㄲㄸㅃㅆㅉㅏㅑㅓㅕㅗㅛㅜㅠㅡㅣㅐㅒㅔㅖㅘㅙㅚㅝㅞㅟㅢ",
    ("기역 니은 디귿 리을 미음 비읍 시옷 이응 지읒 치읓 키읔 티읕 피읖 히읗 쌍기역 쌍디귿 쌍비읍 쌍시옷 쌍지읒 "
     "아 야 어 여 오 요 우 유 으 이 애 얘 에 예 와 왜 외 워 웨 위 의").split(),
    strict=True,
))  # fmt: skip
_SAID = {
    "&": " 앤드 ", "@": " 골뱅이 ", "#": " 샵 ", "%": " 퍼센트", "=": " 는 ", "+": " 플러스 ",
    "±": " 플러스 마이너스 ", "×": " 곱하기 ", "÷": " 나누기 ", "√": " 루트 ", "∞": " 무한대 ", "≈": " 약 ",
    "≒": " 약 ", "≠": " 같지 않다 ", "≥": " 크거나 같다 ", "≤": " 작거나 같다 ", "°": " 도", "²": " 제곱 ",
    "³": " 세제곱 ", "№": "넘버 ", "₩": " 원 ", "$": " 달러 ", "€": " 유로 ", "π": "파이", "α": "알파", "β": "베타",
    "γ": "감마", "θ": "세타", "λ": "람다", "σ": "시그마", "φ": "파이", "ω": "오메가", "∑": "시그마 ", "∠": "각 ",
    "∴": "따라서 ", "Δ": "델타", "Ω": "옴",
}  # fmt: skip
_SPELLED = {
    ".": "점", ",": "쉼표", "-": "하이픈", "_": "언더바", "/": "슬래시", ":": "콜론", "*": "별표", "!": "느낌표",
    "?": "물음표", "=": "등호", "~": "물결", "#": "샵",
    "㈜": "주식회사", "^": "꺾쇠",
}  # fmt: skip
_ARITHMETIC = {"+": "더하기", "×": "곱하기", "*": "곱하기", "x": "곱하기", "X": "곱하기", "÷": "나누기", "−": "빼기"}

_FRACTION_BEFORE = re.compile(r"(?<![0-9/.])([0-9]{1,3})/([0-9]{1,3})$")
_LAUGHTER = re.compile(r"[ㅋㅎ]{2,}|(?<![ㄱ-ㅣ])ㅋ(?![ㄱ-ㅣ.,)])")
_TEARS = re.compile(r"[ㅠㅜ]{2,}|(?<![ㄱ-ㅣ])[ㅠㅜ](?=$|[\s.,!?~…])")
_CONSONANTS = re.compile(
    "(?:" + "|".join(sorted(_CHAT, key=lambda word: (-len(word), word))) + r")(?![ㄱ-ㅊㅌ-ㅍㅏ-ㅣ])"
)
_ONE_JAMO = re.compile(r"[ㄱ-ㅣ]")
_EQUALS = re.compile(r"\s{0,2}=+\s{0,2}")
_SUM = re.compile(
    r"(?<=[0-9)])\s?(?P<sign>[+×*÷−]|[xX](?![0-9]{1,2}[A-Z](?![a-z])))\s?(?=[0-9(])|(?<=[0-9a-z²])\s(?P<by>[x×X*])\s(?=(?:가로|세로|높이|폭|깊이|길이|너비)\s?[0-9])"
)
_MINUS_SUM = re.compile(r"(?<=[0-9])\s[-–]\s(?=[0-9])")
# a - b, 2x - 3: a minus in a formula, between words a pause.
_MINUS_VARIABLE = re.compile(
    r"(?:(?<=[0-9)])|(?<=제곱)|(?<=(?<![A-Za-z])[a-zA-Z]))\s[-–−]\s(?=[0-9(]|[a-zA-Z](?![A-Za-z]))"
)
_FORMULA_NEAR = re.compile(r"[=<>≤≥≠²³^×÷]|제곱|보다\s[크큰클작]|더하기|루트")
_ASKED = re.compile(r"[0-9.,]{1,12}(?:(?:은|는)\s?(?:[-−]?[0-9]|얼마|몇)|(?:을|를)\s?(?:계산|구하|풀))")  # 9 - 4는 5
_BELOW = re.compile(
    r"(?<=(?<![A-Za-z0-9])[A-D])[-−](?=$|[,.)]|(?:을|를|이|가|은|는|로)(?![가-힣]{2})|학점|등급|입니다|이에요|예요)"
)
_MONEY_BEFORE = re.compile(r"(?P<sign>[$₩€£¥])[0-9][0-9.,]{0,20}$")
_UNIT_BEFORE = re.compile(r"[0-9]\s?(?P<unit>[A-Za-z%°]{1,5}[23]?)$")
_PLUS_ONE = re.compile(
    r"(?<![0-9])(?P<n>[1-4])\s?\+\s?1(?=\s?(?:행사|이벤트|상품|할인|증정|제품|쿠폰|묶음|세트|구성|특가|기획))"
)
_TREND = re.compile(r"(?<=[0-9%p원명개점건배])\s?(?P<arrow>[↑↓])")
_SPAN = re.compile(
    r"(?<=[0-9A-Za-z가-힣%°)])\s?~\s?(?=[0-9$₩€£¥]|오전|오후|새벽|저녁|밤|다음|이튿날|영하|영상|지상|지하)"
    r"|(?<=[0-9]\.)\s?~\s?(?=[0-9])"  # 2024.1.1.~12.31.
    r"|(?<=[A-Z])~(?=[A-Z])|(?<=[시분일월년])[-–](?=오전|오후|새벽|저녁|밤|다음|[0-9])"
    r"|(?<=층)\s?[-–]\s?(?=[0-9지])"
    r"|(?<=[월화수목금토일]\))[-–](?=[0-9])"  # 5일(수)-7일(금)
    r"|(?<=년)\s[-–]\s(?=[0-9]{4}년)|(?<=월)\s[-–]\s(?=[0-9]{1,2}월)|(?<=시)\s[-–]\s(?=[0-9]{1,2}시)"
    r"|(?<=일)\s[-–]\s(?=[0-9]{1,2}[월일])|(?<=:[0-9]{2})\s?[-–—]\s?(?=[0-9]{1,2}:[0-9]{2})"
    r"|(?<=[월화수목금토일])[~\-](?=[월화수목금토일](?:요일|\b))"
)
_HYPHEN = re.compile(r"(?<=[0-9])-(?=[0-9])")
_PERCENT_SPAN = re.compile(r"(?<=[%°])\s?[-–]\s?(?=[0-9])|(?<=[0-9])\s?[-–]\s?(?=[$₩€£¥])")
_DASH = re.compile(r"(?<=[A-Za-z0-9])-(?=[A-Za-z0-9가-힣])")
_SLASH = re.compile(r"(?!\s/[A-Za-z_][A-Za-z0-9_.\-]{1,40}/)\s?/\s?")  # not the first one of a path
_LATIN_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TRIGONOMETRIC = {"sin": "사인", "cos": "코사인", "tan": "탄젠트"}
_TRIGONOMETRY = re.compile(r"(?<![A-Za-z])(?:sin|cos|tan)(?=[²³]?\s?[θαβx0-9(])")
_HASHTAG = re.compile(r"#(?=[A-Za-z가-힣])")
_NUMBERED = re.compile(
    r"#(?P<n>[0-9]{1,3})(?:번(?!째)|(?=\s?(?:문제|문항|질문|예제|사례|단계|항목|퀴즈|과제|보기|이슈)(?![가-힣]{3})))"
)
_COMPANY = re.compile(r"\(주\)")
_SIGN = re.compile("[" + re.escape("".join(_SAID)) + "]")

_PARTICLE = re.compile("(?<=[가-힣])(?:" + "|".join(map(re.escape, attached.EITHER)) + ")")


def _particle(match: re.Match[str]) -> str:
    """Read a particle that a template writes with both forms: 사과을(를) is 사과를."""
    return attached.form_of_either(before(match, 1), match[0])


def _laughter(match: re.Match[str]) -> str:
    syllable = "크" if match[0][0] == "ㅋ" else "흐"
    return syllable * min(len(match[0]), 3)


def _tears(match: re.Match[str]) -> str:
    others = match.string[: match.start()] + match.string[match.end() :]
    return "" if any(char.isalnum() and char not in "ㅠㅜ" for char in others[:400]) else "흑흑"


def _equals(match: re.Match[str]) -> str:
    if len(match[0].strip()) > 1:
        return " "  # a horizontal rule, or ==
    fraction = _FRACTION_BEFORE.search(before(match, 12))  # 1/4 = is 사 분의 일은
    proper = fraction and int(fraction[1]) < int(fraction[2])  # 10/2 is 십 나누기 이
    side = fraction[1] if fraction and proper else before(match, 1)
    side = "얼" if side == "!" else side  # 5! = is 오 팩토리얼은
    near = before(match, 24)
    if (money := _MONEY_BEFORE.search(near)) is not None:
        side = CURRENCIES[money["sign"]]
    elif (measured := _UNIT_BEFORE.search(near)) is not None:
        side = unit.KOREAN.get(measured["unit"]) or unit.AHEAD.get(measured["unit"], ("", side))[1]
    words = sino(int(side)) if side.isdecimal() and side.isascii() else letter(side) or side
    return ("은 " if words and final_consonant(words[-1]) else "는 ") if words.strip() else " "


def _sum(match: re.Match[str]) -> str:
    return f" {_ARITHMETIC[match['sign'] or '×']} "


def _spaced_hyphen(match: re.Match[str]) -> str:
    """Read 5 - 3 = 2 and 5 - 3은 2 as a subtraction, otherwise a range."""
    return " 빼기 " if "=" in match.string or _ASKED.match(match.string, match.end()) else "에서 "


def _minus_of_variables(match: re.Match[str]) -> str | None:
    """Read x - 3 as a subtraction if the text around it is a formula."""
    text, first, end = match.string, match.start(), match.end()
    sides = text[first - 1], text[end]
    near = _FORMULA_NEAR.search(text[max(0, first - 24) : end + 24])
    return " 빼기 " if near and any(side in _LATIN_LETTERS or side in ")(곱" for side in sides) else None


def _hyphen(match: re.Match[str]) -> str:
    """Read 10-3=7 as a subtraction, 12-3 as a house number."""
    return " 빼기 " if "=" in after(match, 12) else " 다시 "


def _dash(match: re.Match[str]) -> str:
    """Return a pause, or the minus after a single letter: 3x-5=0."""
    text, first = match.string, match.start()
    variable = text[max(0, first - 2) : first - 1] not in _LATIN_LETTERS and text[first + 1 : first + 2].isdecimal()
    return " 빼기 " if variable and "=" in text[first : first + 12] and text[first - 1].islower() else " "


def _slash(match: re.Match[str]) -> str:
    """Return a pause between words, the word slash between numbers."""
    left, right = before(match, 1), after(match, 1)
    if left.isdecimal() and right.isdecimal():
        return " 나누기 " if "=" in after(match, 12) else " 슬래시 "
    return ", " if left.isalnum() and right.isalnum() else " "


FIRST_RULES = (
    Rule(_PLUS_ONE, lambda match: f"{ENGLISH_NUMBERS[int(match['n']) - 1]} 플러스 원"),
    Rule(_NUMBERED, lambda match: f"{sino(int(match['n']))} 번"),
    Rule(_TRIGONOMETRY, lambda match: _TRIGONOMETRIC[match[0]]),
    Rule(_PARTICLE, _particle, glued=True),
    Rule(_LAUGHTER, _laughter),
    Rule(_TEARS, _tears),
    Rule(_CONSONANTS, lambda match: _CHAT[match[0]]),
    Rule(_ONE_JAMO, lambda match: _JAMO.get(match[0])),
)
BETWEEN_RULES = (
    Rule(_TREND, lambda match: " 상승" if match["arrow"] == "↑" else " 하락"),
    Rule(_SUM, _sum),
    Rule(_EQUALS, _equals, glued=True),
    Rule(_BELOW, always(" 마이너스"), glued=True),
    Rule(_MINUS_SUM, _spaced_hyphen, glued=True),
    Rule(_MINUS_VARIABLE, _minus_of_variables, glued=True),
    Rule(_SPAN, always("에서 "), glued=True),
    Rule(_PERCENT_SPAN, always("에서 "), glued=True),
    Rule(_HYPHEN, _hyphen),
    Rule(_DASH, _dash),
    Rule(_SLASH, _slash, glued=True),
)
RULES = (
    Rule(_HASHTAG, always("해시태그 ")),
    Rule(_COMPANY, always("주식회사 ")),
    Rule(_SIGN, lambda match: _SAID[match[0]]),
)


def named(char: str) -> str:
    """Returns the name of a sign for spelling: 점, 하이픈, 골뱅이; empty if it has none."""
    return _SPELLED.get(char) or _SAID.get(char, "").strip()
