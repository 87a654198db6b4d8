"""Web and mail addresses in English: john at example dot com.

The part from a question mark or a hash sign on is left out: a listener cannot follow it.
"""

from __future__ import annotations

import re

from services.synth.reading.common import ADDRESS_PART, HOST_LABEL
from services.synth.reading.english.numeral import digits
from services.synth.reading.english.sign import named
from services.synth.reading.rule import Rule

_MAIL = re.compile(
    rf"(?<![A-Za-z0-9.+_\-])[A-Za-z0-9][A-Za-z0-9.+_\-]{{0,63}}@(?:{HOST_LABEL}\.){{1,8}}[A-Za-z]{{2,24}}"
)
_URL = re.compile(
    r"(?<![A-Za-z0-9@])(?:https?://|www\.)(?P<where>[A-Za-z0-9.\-_~%/]{1,2000})(?:[?#][!-~]{0,4000})?", re.IGNORECASE
)
_DOMAIN = re.compile(
    rf"(?<![A-Za-z0-9@.\-])(?:{HOST_LABEL}\.){{1,8}}(?:com|net|org|kr|io|ai|dev|edu|gov)(?![A-Za-z0-9\-]|\.[A-Za-z0-9])"
    r"(?P<path>/[A-Za-z0-9.\-_~%/]{0,400})?(?:(?<=[A-Za-z0-9/])[?#](?=[A-Za-z0-9])[!-~]{0,400})?"
)
_FROM_A_DOT = re.compile(  # ./build.sh, ../src, ~/.bashrc, /usr/local
    r"(?<![A-Za-z0-9.~])(?:\.{1,2}|~)/[A-Za-z0-9_.][A-Za-z0-9_.\-/]{0,200}"
    r"|(?<![A-Za-z0-9.~/)<])(?:/[A-Za-z_][A-Za-z0-9_.\-]{1,40}){2,12}"
)


def _said(text: str) -> str:
    return " ".join(
        digits(part[0]) if part[0].isdecimal() else (named(part[0]) or part[0]) for part in ADDRESS_PART.finditer(text)
    )


def _domain(match: re.Match[str]) -> str:
    path = match["path"] or ""
    name = match[0][: match.start("path") - match.start()] if path else match[0].partition("?")[0].partition("#")[0]
    kept = path.rstrip("./-")
    return _said(f"{name}{kept}") + ("." if match[0][-1] == "." else "")


def _url(match: re.Match[str]) -> str | None:
    where = match["where"].removeprefix("www.").strip("./-")
    return _said(where) + ("." if match[0][-1] == "." else "") if where else None


def _path(match: re.Match[str]) -> str:
    where = match[0].rstrip(".")
    return _said(where) + match[0][len(where) :]


RULES = (
    Rule(_FROM_A_DOT, _path, first="."),
    Rule(_MAIL, lambda match: _said(match[0]), first="a0"),
    Rule(_URL, _url, first="a"),
    Rule(_DOMAIN, _domain, first="a0"),
)
