"""Removes the marks of Markdown and HTML: a link becomes its text, an image its alt text, a tag nothing.

This runs before all rules, because they read the remaining text. Bullets, headings and stars are removed by rules
(`silence`).
"""

from __future__ import annotations

import re

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


def unmarked(text: str, *, tags: bool = True) -> str:
    """Returns the text without marks; a text of marks only is unchanged.

    With `tags`, HTML tags and entities are marks, too. Text from SSML is read without `tags`: real markup is already
    removed there, and what still looks like a tag is text.
    """
    if not any(mark in text for mark in "[<|&-"):
        return text
    plain = _LINK.sub(_words, text)
    plain = _CHECKBOX.sub(lambda box: box["bullet"], _FOOTNOTE.sub("", plain))
    plain = _RULER_IN_LINE.sub(" ", _RULER.sub("", plain))
    if tags:
        plain = _TAG.sub(lambda tag: " " if tag["breaking"] else "", _COMMENT.sub(" ", plain))
        plain = _ENTITY.sub(lambda entity: _CHARACTERS[entity["name"]], plain)
    return plain if any(char.isalnum() for char in plain) else text


def _words(link: re.Match[str]) -> str:
    """Returns the text of a link; f[0](x) is not a link and is unchanged."""
    return link["words"] if _OF_AN_ADDRESS & set(link["target"]) else link[0]
