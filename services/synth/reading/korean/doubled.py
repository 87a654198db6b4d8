"""A unit that a Korean text has twice, as a sign and as a word, is said once: 50%퍼센트, 25℃도, 5kg 킬로그램."""

from __future__ import annotations

import re

from services.synth.reading import unit
from services.synth.reading.edited_text import EditedText

_NOT = {
    "도": "서관|시|로|움|착|중|전|달",
    "초": "과|반|기|등|중",
    "분": "류|야|석|기",
    "톤": "으?로?[가-힣]{2}",
    "미터": "기",
}
_NAMES = {
    **{written: (name,) for written, name in unit.KOREAN.items()},
    **{written: (name,) for written, (_, name) in unit.AHEAD.items()},
    "%": ("퍼센트", "프로(?!그램|젝트|필|모션|듀|세|토|파|덕|농|야|축)"),
}  # fmt: skip


def _name(name: str) -> str:
    """Return the expression for a name after its sign; a name of one syllable has no space before it."""
    space = "" if len(name) == 1 else r"\s?"
    return f"{space}{name}" + (f"(?!{_NOT[name]})" if name in _NOT else "")


_SIGNS = sorted(_NAMES, key=lambda written: (-len(written), written))
_TWICE = re.compile(
    r"(?<=[0-9])(?P<sign>\s?(?:"
    + "|".join(f"{re.escape(written)}(?={'|'.join(map(_name, _NAMES[written]))})" for written in _SIGNS)
    + r"))\s?(?:"
    + "|".join(sorted({name for names in _NAMES.values() for name in names}, key=lambda name: (-len(name), name)))
    + ")"
)


def once(text: EditedText) -> EditedText:
    """Returns the text without the word for a unit right after its sign."""
    return text.sub(_TWICE, lambda match: match["sign"])
