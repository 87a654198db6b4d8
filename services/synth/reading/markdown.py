"""Removes the marks of Markdown and HTML: a link becomes its text, an image its alt text, emphasis and tags nothing.

This runs before all rules, because they read the remaining text. Bullets, headings and stars that are left are removed
by rules (`silence`).
"""

from __future__ import annotations

import re

from services.synth.reading import emphasis
from services.synth.reading.edited_text import EditedText
from services.synth.reading.emphasis import around
from services.synth.reading.tags import without as without_tags

# Linear time for any text: repeats are bounded, and no part can match the first character of the next one.
_LINK = re.compile(
    r"!?\[(?P<words>[^\[\]\n]{0,300})\]"
    r"\((?P<target>(?:[^\s()]|\([^\s()]{0,200}\)){1,2000})(?:\s{1,2}(?:\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'))?\)"
)
_FOOTNOTE = re.compile(r"\[\^[A-Za-z0-9\-]{1,20}\]:?")
_CHECKBOX = re.compile(r"(?m)^(?P<bullet>[^\S\n]{0,20}(?:[-*+]|[0-9]{1,3}[.)])[^\S\n]{1,4})\[[ xX]\](?=\s)")
_RULER = re.compile(r"(?m)^(?=[^\n]?[^\n]?[^\n]?-)[ \t|:\-]{3,}+$")
_RULER_IN_LINE = re.compile(r"(?<=\|)[ ]?:?-{2,40}:?[ ]?(?=\||$)")
_OF_AN_ADDRESS = frozenset("/.#:@")
_ANY = re.compile(r"[\[<|&*_`\\\-]|~~|==|\+\+")


def unmarked(text: EditedText, *, tags: bool = True) -> EditedText:
    """Returns the text without marks; a text of marks only is unchanged.

    With `tags`, HTML tags and entities are marks, too. Text from SSML is read without `tags`: real markup is already
    removed there, and what still looks like a tag is text.
    """
    written = text.text
    if not _ANY.search(written):
        return text
    plain = text.edited([edit for link in _LINK.finditer(written) if _is_link(link) for edit in around(link, "words")])
    plain = plain.sub(_FOOTNOTE, "")
    plain = plain.edited([edit for box in _CHECKBOX.finditer(plain.text) for edit in around(box, "bullet")])
    plain = plain.sub(_RULER, "").sub(_RULER_IN_LINE, " ")
    plain = emphasis.unmarked(plain)
    if tags:
        plain = without_tags(plain)
    return plain if any(char.isalnum() for char in plain.text) else text


def _is_link(link: re.Match[str]) -> bool:
    """Whether the target is an address: f[0](x) is not a link and is unchanged."""
    return not _OF_AN_ADDRESS.isdisjoint(link["target"])
