"""What is not spoken in any language: Markdown, bullets, arrows, ornaments, emoji.

Emoji are left out, because their names in the middle of a sentence disturb the listener.
"""

from __future__ import annotations

import re

from services.synth.reading.rule import Rule, always

_MARKDOWN = re.compile(r"(?<!\S)#{1,6}(?=\s)|[*_`|^\\]+|(?<!\S)[-•·‣◦▪–—](?=\s)|-{1,2}>")
_KEYCAP = re.compile("\u20e3")
_TILDES = re.compile(r"~+")
_ORNAMENT = re.compile(r"[·ㆍ・<>{}→←↑↓⇒➜▶►◀★☆♥♡♪※■□●○◆◇▲△▼▽✓✔™®©]")
_EMOJI = re.compile(
    "[\u2600-\u27bf\u2b00-\u2bff\u231a-\u231b\u23e9-\u23f3\u2934-\u2935\u3030\u303d"
    "\U0001f000-\U0001faff\U000e0020-\U000e007f]+"
)

MARKUP = (Rule(_MARKDOWN, always(" ")), Rule(_KEYCAP, always("")))
"""Must come before the rules that say a sign."""
ORNAMENTS = (Rule(_TILDES, always(" ")), Rule(_ORNAMENT, always(" ")), Rule(_EMOJI, always(" ")))
"""Must come after all other rules."""
