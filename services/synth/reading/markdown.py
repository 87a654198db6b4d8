"""Removes the marks of Markdown and HTML: a link becomes its text, an image its alt text, a tag nothing.

This runs before all rules, because they read the remaining text. Bullets, headings and stars are removed by rules
(`silence`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.synth.reading.edited_text import Edit, EditedText

# Linear time for any text: repeats are bounded, and no part can match the first character of the next one.
_LINK = re.compile(
    r"!?\[(?P<words>[^\[\]\n]{0,300})\]"
    r"\((?P<target>(?:[^\s()]|\([^\s()]{0,200}\)){1,2000})(?:\s{1,2}(?:\"[^\"\n]{0,200}\"|'[^'\n]{0,200}'))?\)"
)
_FOOTNOTE = re.compile(r"\[\^[A-Za-z0-9\-]{1,20}\]:?")
_CHECKBOX = re.compile(r"(?m)^(?P<bullet>[^\S\n]{0,20}(?:[-*+]|[0-9]{1,3}[.)])[^\S\n]{1,4})\[[ xX]\](?=\s)")
_RULER = re.compile(r"(?m)^(?=[^\n]?[^\n]?[^\n]?-)[ \t|:\-]{3,}+$")
_RULER_IN_LINE = re.compile(r"(?<=\|)[ ]?:?-{2,40}:?[ ]?(?=\||$)")
_BREAKING = "br|p|div|li|ul|ol|tr|td|th|thead|tbody|table|h[1-6]|hr|blockquote|pre|details|summary|section"
_INLINE = "b|i|u|s|a|em|strong|span|code|mark|small|sub|sup|del|ins|font|center|kbd|img"
_TAG = re.compile(rf"</?(?:(?P<breaking>{_BREAKING})|{_INLINE})(?:\s[^<>]{{0,300}})?/?>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.{0,300}?-->")
_ENTITY = re.compile(r"&(?P<name>nbsp|amp|lt|gt|quot|apos|#39);")
_OF_AN_ADDRESS = frozenset("/.#:@")
_CHARACTERS = {"nbsp": " ", "amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "#39": "'"}


def unmarked(text: EditedText, *, tags: bool = True) -> EditedText:
    """Returns the text without marks; a text of marks only is unchanged.

    With `tags`, HTML tags and entities are marks, too. Text from SSML is read without `tags`: real markup is already
    removed there, and what still looks like a tag is text.
    """
    written = text.text
    if not any(mark in written for mark in "[<|&-"):
        return text
    plain = text.edited([edit for link in _LINK.finditer(written) if _is_link(link) for edit in _around(link, "words")])
    plain = plain.sub(_FOOTNOTE, "")
    plain = plain.edited([edit for box in _CHECKBOX.finditer(plain.text) for edit in _around(box, "bullet")])
    plain = plain.sub(_RULER, "").sub(_RULER_IN_LINE, " ")
    if tags:
        plain = plain.sub(_COMMENT, " ").sub(_TAG, lambda tag: " " if tag["breaking"] else "")
        plain = plain.sub(_ENTITY, lambda entity: _CHARACTERS[entity["name"]])
    return plain if any(char.isalnum() for char in plain.text) else text


def _is_link(link: re.Match[str]) -> bool:
    """Whether the target is an address: f[0](x) is not a link and is unchanged."""
    return not _OF_AN_ADDRESS.isdisjoint(link["target"])


def _around(match: re.Match[str], kept: str) -> Iterator[Edit]:
    """Yields the edits that delete the match except its group `kept`."""
    for first, end in ((match.start(), match.start(kept)), (match.end(kept), match.end())):
        if first < end:
            yield first, end, ""
