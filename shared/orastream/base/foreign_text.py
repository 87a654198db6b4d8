"""Text that another program wrote, made safe for reports, logs and terminals. Pure.

A speech server or OraServer chooses its error texts. A raw ESC in them would give commands to the terminal of whoever
reads the log, and a bidi control would reorder the rest of the line (CVE-2021-42574).
"""

from __future__ import annotations

import re

MAX_CHARS = 200
"""Maximum length of a quoted text."""
MAX_MESSAGE_CHARS = 1000
"""Maximum length of the message of an error in a report, which may quote several."""

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ud800-\udfff]")
"""Controls (C0, C1), separators of lines, bidi controls, and halves of surrogate pairs, which UTF-8 cannot encode."""
_UNSAFE_IN_JSON = re.compile(f"[\x7f-\x9f\u2028\u2029{_BIDI}]")


def cleaned(text: str, max_chars: int = MAX_CHARS) -> str:
    """Returns the text in one line of at most `max_chars` characters, with U+FFFD in place of unsafe characters."""
    shortened = text[: 4 * max_chars]  # bounds the work; the rest can only be cut off, except behind much white space
    line = _UNSAFE.sub("\ufffd", " ".join(shortened.split()))
    cut = len(line) > max_chars or len(shortened) < len(text)
    return line[: max_chars - 1] + "…" if cut else line


def escaped(text: str, *, keep: str = "") -> str:
    r"""Returns the text with escapes like `\x1b` in place of unsafe characters, except those in `keep`."""

    def escape(match: re.Match[str]) -> str:
        char = match[0]
        return char if char in keep else ascii(char)[1:-1]

    return _UNSAFE.sub(escape, text)


def escaped_json(text: str) -> str:
    r"""Returns JSON of the same meaning with escapes like `\u009b` for unsafe characters, which JSON may hold raw."""
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
