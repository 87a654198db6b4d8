"""Web and mail addresses in Korean: naver.com is 네이버 닷컴, a@b.co.kr 에이 골뱅이 비 점 씨오 점 케이알.

Known names get their Korean name. Other words are left to the engine if they are pronounceable, else spelled. The
scheme, "www." and the part from a question mark or a hash sign on are left out: a listener cannot follow them.
"""

from __future__ import annotations

import re

from services.synth.reading.common import ADDRESS_PART, HOST_LABEL
from services.synth.reading.korean.latin import spelled, word_or_letters
from services.synth.reading.korean.numeral import digits
from services.synth.reading.korean.sign import named
from services.synth.reading.rule import Rule

_NAMES = {
    "naver": "네이버", "daum": "다음", "google": "구글", "gmail": "지메일", "kakao": "카카오", "youtube": "유튜브",
    "github": "깃허브", "nate": "네이트", "hanmail": "한메일", "samsung": "삼성", "coupang": "쿠팡", "apple": "애플",
    "microsoft": "마이크로소프트", "facebook": "페이스북", "instagram": "인스타그램", "twitter": "트위터",
    "openai": "오픈에이아이", "wikipedia": "위키피디아", "blog": "블로그", "mail": "메일", "news": "뉴스",
    "shop": "숍", "map": "맵", "cafe": "카페", "info": "인포", "help": "헬프", "example": "이그잼플",
    "test": "테스트", "admin": "어드민", "support": "서포트", "contact": "콘택트", "hello": "헬로", "index": "인덱스",
    "html": "에이치티엠엘", "tistory": "티스토리", "outlook": "아웃룩", "hotmail": "핫메일", "yahoo": "야후",
    "icloud": "아이클라우드", "lycos": "라이코스",
}  # fmt: skip
_ENDINGS = {"net": "넷", "go": "고", "app": "앱", "dev": "데브", "shop": "숍", "blog": "블로그", "info": "인포"}
_TOP = "com|net|org|kr|io|ai|dev|app|me|tv|co|jp|cn|us|uk|eu|de|fr|shop|store|blog|info|xyz|site|tech|gov|edu"
_HOST = rf"(?:{HOST_LABEL}\.){{1,8}}(?:{_TOP})(?![A-Za-z0-9\-])"
_PATH = r"(?:/[A-Za-z0-9\-_.~%/]{0,2000})?"
_QUERY = r"(?:[?#][!-~]{0,4000})?"

_MAIL = re.compile(
    rf"(?<![A-Za-z0-9.+_\-])(?P<local>[A-Za-z0-9][A-Za-z0-9.+_\-]{{0,63}})@(?P<host>(?:{HOST_LABEL}\.){{1,8}}[A-Za-z]{{2,24}})"
)
_URL = re.compile(
    rf"(?<![A-Za-z0-9@])[Hh][Tt][Tt][Pp][Ss]?://(?P<host>[A-Za-z0-9.\-]{{1,253}}(?::[0-9]{{1,5}})?)(?P<path>{_PATH}){_QUERY}"
)
_PORT = r"(?::[0-9]{2,5}(?![0-9]))?"
_BARE = re.compile(rf"(?<![A-Za-z0-9@.\-/])(?P<host>{_HOST}{_PORT})(?P<path>{_PATH}){_QUERY}")
_IP = re.compile(
    rf"(?<![A-Za-z0-9.\-])(?P<host>(?:[0-9]{{1,3}}\.){{3}}[0-9]{{1,3}})(?P<port>{_PORT})(?![A-Za-z0-9]|\.[0-9])"
)
# ./build.sh, ../src, ~/.bashrc, .NET, .env, /usr/local: a dot, a tilde or a slash that begins a word.
_FROM_A_DOT = re.compile(
    r"(?<![A-Za-z0-9가-힣.~])(?P<where>(?:\.{1,2}|~)/[A-Za-z0-9_.][A-Za-z0-9_.\-/]{0,200}|(?<![/)<])(?:/[A-Za-z_][A-Za-z0-9_.\-]{1,40}){2,12}|\.[A-Za-z][A-Za-z0-9_\-]{0,30}(?:\.[A-Za-z0-9]{1,12}){0,3})"
    r"(?![A-Za-z0-9])"
)
_FRACTION_ALONE = re.compile(r"(?<![0-9A-Za-z가-힣.])\.(?P<n>[0-9]{1,12})(?![0-9A-Za-z]|\.[0-9])")  # 승률 .625
_ENDINGS_OF_FILES = dict.fromkeys(
    "pdf txt png jpg jpeg csv js ts html htm css xml md exe hwp hwpx apk sh xls xlsx ppt pptx docx".split(), ""
) | {
    "mp3": "엠피쓰리",
    "mp4": "엠피포",
    "json": "제이슨",
    "zip": "집",
    "py": "파이",
    "yaml": "야믈",
    "yml": "야믈",
    "doc": "독",
}
_FILE = re.compile(rf"(?<=[A-Za-z0-9가-힣_)])\.(?P<end>(?i:{'|'.join(_ENDINGS_OF_FILES)}))(?![A-Za-z0-9])")
_END = ".,!?:;)'\"-~"


def address(text: str) -> str:
    """Reads an address without its scheme."""
    host, slash, path = text.partition("/")
    return _host(host) + (_path(slash + path) if path.strip("/") else "")


def _host(host: str) -> str:
    name, _, port = host.partition(":")
    labels = name.lower().removeprefix("www.").split(".")
    said: list[str] = []
    for place, label in enumerate(labels):
        if place and label == "com":
            said.append("닷컴")
            continue
        if place:
            said.append("점")
        said.append(_ENDINGS[label] if place and label in _ENDINGS else _words(label))
    return " ".join([*said, *(["콜론", digits(port, "공")] if port else [])])


def _path(path: str) -> str:
    return "".join(f" 슬래시 {_words(step)}" for step in path.strip("/").split("/") if step)


def _words(text: str) -> str:
    """Read names, words, letters, digits and signs, separated by spaces."""
    return " ".join(_part(part[0]) for part in ADDRESS_PART.finditer(text))


def _part(part: str) -> str:
    if part.isdecimal():
        return digits(part, "공")
    if part.isalpha():
        return _NAMES.get(part.lower()) or word_or_letters(part)
    return named(part)


def _cut(match: re.Match[str]) -> str:
    """Return the marks at the end, which belong to the sentence."""
    whole = match[0]
    return whole[len(whole.rstrip(_END)) :]


def _mail(match: re.Match[str]) -> str:
    return f"{_words(match['local'])} 골뱅이 {_host(match['host'])}"


def _url(match: re.Match[str]) -> str | None:
    host, path = match["host"], match["path"]
    ending = _cut(match)
    if ending and not path:
        host = host.rstrip(_END)
    if not host:
        return None
    return address(host + path.rstrip(_END)).strip() + ending


def _ip(match: re.Match[str]) -> str:
    """Read digit by digit; a part that is only a zero is 영."""
    parts = match["host"].split(".")
    said = " 점 ".join(digits(part, "공" if len(part) > 1 else "영") for part in parts)
    return said + (f" 콜론 {digits(match['port'], '공')}" if match["port"] else "")


def _from_a_dot(match: re.Match[str]) -> str:
    """Read .NET and ./build.sh with the names of the signs; a dot at the end ends the sentence."""
    where = match["where"].rstrip(".")
    return _words(where) + match["where"][len(where) :]


def _file(match: re.Match[str]) -> str:
    """Read the ending of a file's name: 점 피디에프."""
    return f" 점 {_ENDINGS_OF_FILES[match['end'].lower()] or spelled(match['end'])}"


RULES = (
    Rule(_FROM_A_DOT, _from_a_dot),
    Rule(_FRACTION_ALONE, lambda match: f"점 {digits(match['n'])}"),
    Rule(_FILE, _file),
    Rule(_MAIL, _mail),
    Rule(_IP, _ip),
    Rule(_URL, _url),
    Rule(_BARE, _url),
)
