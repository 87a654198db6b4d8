"""Names of products and companies that people write in Latin letters, as they are said in Korean: YouTube is 유튜브.

Only names that everybody says in one way. Other words stay for the engine (`latin`).
"""

from __future__ import annotations

import re

from services.synth.reading.korean.latin import letter
from services.synth.reading.rule import Rule, before

_ANY_CASE = {
    "youtube": "유튜브", "google": "구글", "gmail": "지메일", "iphone": "아이폰", "ipad": "아이패드",
    "imac": "아이맥", "macbook": "맥북", "airpods": "에어팟", "icloud": "아이클라우드", "itunes": "아이튠즈",
    "kakao": "카카오", "kakaotalk": "카카오톡", "kakaopay": "카카오페이", "kakaobank": "카카오뱅크",
    "naver": "네이버", "coupang": "쿠팡", "netflix": "넷플릭스", "samsung": "삼성", "hyundai": "현대",
    "instagram": "인스타그램", "facebook": "페이스북", "messenger": "메신저", "whatsapp": "왓츠앱",
    "telegram": "텔레그램", "twitter": "트위터", "tiktok": "틱톡", "linkedin": "링크드인", "pinterest": "핀터레스트",
    "starbucks": "스타벅스", "tesla": "테슬라", "android": "안드로이드", "bluetooth": "블루투스", "wi-fi": "와이파이",
    "wifi": "와이파이", "chatgpt": "챗지피티", "openai": "오픈에이아이", "github": "깃허브", "gitlab": "깃랩",
    "microsoft": "마이크로소프트", "powerpoint": "파워포인트", "photoshop": "포토샵", "linux": "리눅스",
    "ubuntu": "우분투", "javascript": "자바스크립트", "typescript": "타입스크립트", "nvidia": "엔비디아",
    "huawei": "화웨이", "xiaomi": "샤오미", "playstation": "플레이스테이션", "xbox": "엑스박스", "nintendo": "닌텐도",
    "costco": "코스트코", "ikea": "이케아", "uniqlo": "유니클로", "paypal": "페이팔", "ebay": "이베이",
    "spotify": "스포티파이", "airbnb": "에어비앤비", "wikipedia": "위키피디아", "mastercard": "마스터카드",
    "disney": "디즈니", "mcdonald's": "맥도날드", "mcdonald’s": "맥도날드", "mcdonalds": "맥도날드", "nike": "나이키",
    "adidas": "아디다스", "toyota": "도요타", "firefox": "파이어폭스", "kubernetes": "쿠버네티스", "e-mail": "이메일",
    "email": "이메일",
}  # fmt: skip
"""Names that count in upper and lower case, because no other word has their letters."""

_CAPITAL = {
    "Apple": "애플", "Amazon": "아마존", "Windows": "윈도우", "Zoom": "줌", "Line": "라인", "Galaxy": "갤럭시",
    "Excel": "엑셀", "Word": "워드", "Chrome": "크롬", "Safari": "사파리", "Outlook": "아웃룩", "Teams": "팀즈",
    "Slack": "슬랙", "Notion": "노션", "Discord": "디스코드", "Uber": "우버", "Meta": "메타", "Toss": "토스",
    "Gemini": "제미나이", "Claude": "클로드", "Python": "파이썬", "Java": "자바", "Docker": "도커", "Intel": "인텔",
    "Visa": "비자", "Sony": "소니", "Oracle": "오라클", "Marvel": "마블", "Twitch": "트위치",
}  # fmt: skip
"""Names that are also English words: only as written here, or all in capitals (APPLE)."""

_BESIDE_A_NAME = {
    "Pay": "페이", "Pro": "프로", "Max": "맥스", "Mini": "미니", "Ultra": "울트라", "Plus": "플러스", "Air": "에어",
    "Watch": "워치", "Store": "스토어", "Play": "플레이", "Music": "뮤직", "Premium": "프리미엄", "Maps": "맵스",
    "Prime": "프라임", "Fold": "폴드", "Flip": "플립", "Note": "노트", "Buds": "버즈", "Tab": "탭", "TV": "티브이",
}  # fmt: skip
"""Second words of names: Naver Pay, iPhone 15 Pro."""

_READINGS = (
    _ANY_CASE
    | {name.lower(): said for name, said in _CAPITAL.items()}
    | {word.lower(): said for word, said in _BESIDE_A_NAME.items()}
)


def _either(names: dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))


_UPPER = {name.upper(): said for name, said in _CAPITAL.items()}
_NAME = rf"(?:(?i:{_either(_ANY_CASE)})|{_either(_CAPITAL)}|{_either(_UPPER)})"
_ALONE = re.compile(rf"(?<![A-Za-z0-9@./_\-])(?P<name>{_NAME})(?![A-Za-z@_/\-]|\.[A-Za-z])")
_SECOND = re.compile(rf"(?<=[A-Za-z0-9]\s)(?P<name>{_either(_BESIDE_A_NAME)})(?![A-Za-z@_/\-]|\.[A-Za-z])")
_BEFORE_SECOND = re.compile(
    rf"(?<![A-Za-z]){_NAME}(?:\s?[0-9]{{1,3}}|\s[A-Z][A-Za-z]{{1,8}}|\s[A-Z][0-9]{{1,3}}){{0,2}}\s$"
)
_MODEL = re.compile(r"(?<=[A-Za-z0-9]\s)(?P<letter>[A-Z])(?=[0-9]{1,3}(?![0-9]))")
_PROSE_BEFORE = re.compile(r"(?<![A-Za-z])[a-z]{2,20}\s$")
_PROSE_AFTER = re.compile(r"\s[a-z]{2,20}(?![A-Za-z])")


def _name(match: re.Match[str]) -> str | None:
    """Return the Korean name, unless an English sentence is around an English word: "Apple is red"."""
    if match["name"].lower() not in _ANY_CASE:
        beside = (_PROSE_BEFORE.search(before(match, 22)), _PROSE_AFTER.match(match.string, match.end()))
        if any(word and word[0].strip() not in _ANY_CASE for word in beside):
            return None
    return _READINGS[match["name"].lower()]


def _model(match: re.Match[str]) -> str | None:
    """Read the letter of a model after its name: Galaxy S24 is 갤럭시 에스 이십사. Elsewhere it may be English."""
    return letter(match["letter"]) if _BEFORE_SECOND.search(before(match, 40)) else None


def _second(match: re.Match[str]) -> str | None:
    return _READINGS[match["name"].lower()] if _BEFORE_SECOND.search(before(match, 40)) else None


RULES = (Rule(_ALONE, _name), Rule(_SECOND, _second), Rule(_MODEL, _model))
