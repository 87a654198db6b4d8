"""Latin letters in Korean text: AI is 에이아이, R&D is 알앤디; "Hello" is left to the engine, which knows English.

The letters have the names that are usual in speech: C is 씨 and R is 알.
"""

from __future__ import annotations

import re

from services.synth.reading.common import roman_value
from services.synth.reading.korean.numeral import sino
from services.synth.reading.rule import Rule, after, always, before

_NAMES = dict(zip(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "에이 비 씨 디 이 에프 지 에이치 아이 제이 케이 엘 엠 엔 오 피 큐 알 에스 티 유 브이 더블유 엑스 와이 제트".split(),
    strict=True,
))  # fmt: skip

WORDS = {
    "NASA": "나사", "UNESCO": "유네스코", "UNICEF": "유니세프", "NATO": "나토", "OPEC": "오펙", "AIDS": "에이즈",
    "FIFA": "피파", "UEFA": "유에파", "COVID": "코비드", "SARS": "사스", "MERS": "메르스", "ASEAN": "아세안",
    "APEC": "에이펙", "BRICS": "브릭스", "KOSPI": "코스피", "KOSDAQ": "코스닥", "NASDAQ": "나스닥", "POSCO": "포스코",
    "KAIST": "카이스트", "POSTECH": "포스텍", "UNIST": "유니스트", "GIST": "지스트", "TOEIC": "토익", "TOEFL": "토플",
    "TEPS": "텝스", "IELTS": "아이엘츠", "KOTRA": "코트라", "RAM": "램", "ROM": "롬", "PIN": "핀", "SIM": "심",
    "LAN": "랜", "OLED": "오엘이디", "ASAP": "에이에스에이피", "NAVER": "네이버", "JPEG": "제이펙", "JSON": "제이슨",
    "OK": "오케이", "KAKAO": "카카오", "iOS": "아이오에스", "macOS": "맥오에스", "ChatGPT": "챗지피티",
    "OpenAI": "오픈에이아이", "YouTube": "유튜브", "Wi-Fi": "와이파이", "WiFi": "와이파이", "WIFI": "와이파이",
    "IoT": "아이오티", "SaaS": "사스", "PhD": "피에이치디", "Ph.D.": "피에이치디", "K-POP": "케이팝",
    "K-pop": "케이팝", "KPOP": "케이팝", "X-ray": "엑스레이", "e-mail": "이메일", "vs.": "대", "vs": "대",
    "No.": "넘버", "1st": "퍼스트", "2nd": "세컨드", "3rd": "서드", "No.1": "넘버 원", "No. 1": "넘버 원",
    "TOP 10": "톱 텐", "Top 10": "톱 텐", "TOP10": "톱 텐", "MP3": "엠피쓰리", "MP4": "엠피포", "A4": "에이포",
    "A3": "에이쓰리", "4K": "포케이", "8K": "에이트케이", "3D": "쓰리디", "2D": "투디", "5G": "파이브지",
    "4G": "포지", "3G": "쓰리지", "B2B": "비투비", "B2C": "비투씨", "H2O": "에이치투오", "CO2": "씨오투",
    "GPT-3": "지피티 쓰리", "GPT-4": "지피티 포", "GPT-4o": "지피티 포오", "GPT-5": "지피티 파이브",
    "G7": "지 세븐", "COVID-19": "코로나 십구", "C++": "씨 플러스 플러스", "C#": "씨샵", "TV": "티브이",
    "D-day": "디데이", "D-Day": "디데이", "D-DAY": "디데이", "2NE1": "투애니원", "7-Eleven": "세븐일레븐",
    "7-ELEVEN": "세븐일레븐", "Lv.": "레벨", "M.2": "엠 닷 투", "Ep.": "에피소드", "EP.": "에피소드",
    "Vol.": "볼륨", "Ch.": "챕터", "FAX": "팩스", "Fax": "팩스", "Tel.": "전화", "TEL.": "전화", "TEL": "전화",
    "T1": "티 원", "PS4": "피에스 포", "PS5": "피에스 파이브", "HTML5": "에이치티엠엘 파이브",
    "CSS3": "씨에스에스 쓰리", "ES6": "이에스 식스", "V3": "브이 쓰리", "V6": "브이 식스", "V8": "브이 에이트",
    "M1": "엠 원", "M2": "엠 투",
    "M3": "엠 쓰리", "M4": "엠 포", "S3": "에스 쓰리", "P2P": "피투피", "O2O": "오투오", "DDR4": "디디알 포",
    "DDR5": "디디알 파이브",
    "AM": "에이엠", "FM": "에프엠", "mp3": "엠피쓰리", "mp4": "엠피포", "e.g.": "예를 들어", "E.g.": "예를 들어",
    "i.e.": "즉", "I.e.": "즉",
}  # fmt: skip
"""Words with their own reading, neither spelled nor left to the engine; case-sensitive."""

# English words that people write in capitals; other short words in capitals are spelled.
_ENGLISH = frozenset(
    """THE AND NOT YOU ARE FOR BUT ALL NEW TOP BIG HOT YES NO OH MY GO SO WE IS IT IN ON OF TO BE DO AT BY OR UP US
    ME HE OFF OUT NOW BUY ONE TWO GET SEE SHE HIM HER HIS BAD RED END WHY HOW WOW HEY DAY BOY MAN FUN LOL""".split()
)
# Those that are acronyms in Korean text, unless an English word is next to them: IT 업계, but "do IT".
_ACRONYMS = frozenset({"IT", "US", "IS", "TO", "AT"})
_UNPRONOUNCEABLE = re.compile(
    r"[^AEIOUY]{3}|[AEIOU]{3}|^[^AEIOUY]+$|^(?:[BCDFGKPT][BCDFGKPTMNV]|M[^AEIOUY]|N[^AEIOUY]|H[^AEIOUY])"
)
_SYLLABLE = re.compile(r"[B-DF-HJ-NP-TV-Z][AEIOU][B-DF-HJ-NP-TV-Z]")  # kim, but not abc

_WORD_NAMES = "|".join(re.escape(word) for word in sorted(WORDS, key=lambda word: (-len(word), word)))
_WORD = re.compile(rf"(?<![A-Za-z0-9])(?:{_WORD_NAMES})(?:(?<=\.)|(?![A-Za-z0-9]|\.[0-9]))")
_KEY = re.compile(r"(?<![A-Za-z0-9])F(?P<n>1[0-2]|[1-9])(?=\s?키|[을를]?\s?(?:누르|눌러|눌렀|누른))")
ENGLISH_NUMBERS = "원 투 쓰리 포 파이브 식스 세븐 에이트 나인 텐 일레븐 트웰브".split()
"""English numbers from one to twelve, as Koreans say them in F1, 1+1 and 1아웃."""
_NUMBERED = re.compile(r"(?<![A-Za-z0-9])(?:no|NO)\.\s?(?=[0-9])")
_AND = re.compile(r"(?<![A-Za-z0-9&])(?P<a>[A-Z]{1,3})&(?P<b>[A-Z]{1,3})(?![A-Za-z&])")
_SLASHED = re.compile(r"(?<![A-Za-z0-9/])(?P<a>[A-Z])/(?P<b>[A-Z])(?![A-Za-z0-9/])")  # A/S
_ET_CETERA = re.compile(r"(?<![A-Za-z])etc(?P<dot>\.)?(?![A-Za-z])")
_DOTTED = re.compile(r"(?<![A-Za-z.])(?:[A-Z]\.){2,8}(?![A-Za-z])")
_TOKEN = re.compile(r"[A-Za-z]++(?:['’][A-Za-z]++)*+")
_PREFIXED = re.compile(r"(?P<prefix>[a-z]|[a-z]{2}(?=[DR]NA))(?P<rest>[A-Z]{3,4})")  # mRNA, eSIM
_LOWER_BEFORE = re.compile(r"[a-z]['’]?[A-Za-z]*\s$")
_LOWER_AFTER = re.compile(r"\s[A-Za-z]*[a-z]")
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[\s\-]$")
_WORD_AFTER = re.compile(r"[\s\-]([A-Za-z]+)")
_ROMAN = re.compile(
    r"(?<![A-Za-z0-9])(?P<roman>X{1,3}(?:IX|IV|VI{0,3}|I{1,3})|VIII|VII|VI|IV|IX|III|II|(?<=제)[IVX])"
    r"(?=$|[\s.,!?)]|(?:장|부|편|세|권|막|차|형|기|급|단계|은|는|이|가|을|를|의|에|와|과|도|로)(?![가-힣]{2}))"
)
_ROMAN_ALONE = frozenset({"II", "III", "VII", "VIII", "XII", "XIII"})


def spelled(letters: str) -> str:
    """Returns the names of the letters as one word: 에이아이."""
    return "".join(_NAMES.get(letter.upper(), "") for letter in letters)


def letter(char: str) -> str | None:
    """Returns the name of a letter; None for anything else."""
    return _NAMES.get(char.upper())


def word_or_letters(text: str) -> str:
    """Reads a name in an address: a pronounceable word is left to the engine, another one is spelled."""
    upper = text.upper()
    known = WORDS.get(upper)
    if known:
        return known
    if _SYLLABLE.fullmatch(upper):
        return text
    return spelled(text) if len(text) < 4 or _UNPRONOUNCEABLE.search(upper) else text


def _and(match: re.Match[str]) -> str:
    return f"{spelled(match['a'])}앤{spelled(match['b'])}"


def _slashed(match: re.Match[str]) -> str:
    return spelled(match["a"] + match["b"])


def _et_cetera(match: re.Match[str]) -> str:
    return "등." if match["dot"] and match.end() == len(match.string) else "등"


def _beside_english(match: re.Match[str]) -> bool:
    """Whether an English word in capitals is next to the match: JUST DO IT."""
    beside = (_WORD_BEFORE.search(before(match, 20)), _WORD_AFTER.match(match.string, match.end()))
    return any(word and word[1] in _ENGLISH for word in beside)


def _token(match: re.Match[str]) -> str:
    token = match[0]
    in_english = _LOWER_BEFORE.search(before(match, 20)) or _LOWER_AFTER.match(match.string, match.end())
    if len(token) == 1:
        after_letter = before(match, 1) in ("'", "’")
        return token if in_english or after_letter else spelled(token)
    prefixed = _PREFIXED.fullmatch(token)
    if prefixed and not in_english and (prefixed["rest"] in WORDS or not _SYLLABLE.fullmatch(prefixed["rest"])):
        return spelled(prefixed["prefix"]) + (WORDS.get(prefixed["rest"]) or spelled(prefixed["rest"]))
    if not token.isupper() or not token.isalpha() or len(token) > 6:
        return token
    if token in _ENGLISH and (token not in _ACRONYMS or in_english or _beside_english(match)):
        return token
    return spelled(token) if len(token) < 4 or _UNPRONOUNCEABLE.search(token) else token


def _roman(match: re.Match[str]) -> str | None:
    """Read II and III anywhere; IV, VI, IX and XI only before a word like chapter or part."""
    numeral = match["roman"]
    if numeral not in _ROMAN_ALONE and after(match, 1) not in tuple("장부편세권막차형기급단"):
        return None
    return sino(roman_value(numeral))


WORD_RULES = (
    Rule(_KEY, lambda match: f"에프 {ENGLISH_NUMBERS[int(match['n']) - 1]}"),
    Rule(_WORD, lambda match: WORDS[match[0]]),
    Rule(_ET_CETERA, _et_cetera),
    Rule(_NUMBERED, always("넘버")),
    Rule(_SLASHED, _slashed),
)
RULES = (Rule(_AND, _and), Rule(_ROMAN, _roman), Rule(_DOTTED, lambda match: spelled(match[0])), Rule(_TOKEN, _token))
