"""Tags in a text: of HTML, of XML, and of language models (</think>, <|im_end|>, [INST]). They are not spoken.

A tag that is not of HTML must look like one: "a < b", "x<y and y>z", "<3", "List<int>" and "<your name>" are text.
"""

from __future__ import annotations

import html
import re

from services.synth.reading.edited_text import EditedText
from services.synth.reading.plain_characters import plain

MAX_NAME_CHARS = 60
"""Maximum length of the name in a tag."""

_BREAKING = "br|p|div|li|ul|ol|tr|td|th|thead|tbody|table|h[1-6]|hr|blockquote|pre|details|summary|section"
_INLINE = "em|strong|span|code|mark|small|sub|sup|del|ins|font|center|kbd|img"
_OF_ONE_LETTER = "b|i|u|s|a|q"
# Tags of language models, also right after a word: done<think>. Another name there is a type: List<int>.
_OF_MODELS = "think|thinking|reasoning|answer|final|bos|eos|pad|unk|sep|cls|mask|end_of_turn|start_of_turn|tool_call"
_VALUE = r"[^\S\n]{0,3}=[^\S\n]{0,3}(?:\"[^\"<]{0,300}\"|'[^'<]{0,300}'|[^\s\"'<>=`]{1,300}+)"
_ATTRIBUTE = r"\s{1,5}+[A-Za-z_:@][\w:.@\-]{0,60}+"
_ATTRIBUTES = rf"(?:{_ATTRIBUTE}{_VALUE}(?:{_ATTRIBUTE}(?:{_VALUE})?){{0,20}}+)?\s{{0,5}}"  # the first one has a value
_NAME = rf"[A-Za-z][A-Za-z0-9_\-]{{0,{MAX_NAME_CHARS - 1}}}+(?::[A-Za-z][A-Za-z0-9_\-]{{0,{MAX_NAME_CHARS - 1}}}+)?"
_TAG = re.compile(
    rf"</?(?P<breaking>{_BREAKING})(?:\s[^<>]{{0,300}})?/?>"
    rf"|</?(?:{_INLINE})(?:\s[^<>]{{0,300}})?/?>|<(?:{_OF_ONE_LETTER}){_ATTRIBUTES}/?>"
    rf"|(?P<special></?(?:{_OF_MODELS})/?>|<\|[^\s<>|]{{1,{MAX_NAME_CHARS}}}\|>"
    r"|\[/?(?:INST|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])"
    rf"|</{_NAME}\s{{0,5}}>|(?<![A-Za-z0-9_)\]])<{_NAME}(?:=[^\s<>\"']{{1,60}}|{_ATTRIBUTES}/?)>"
    r"|<!DOCTYPE\s[^<>]{0,300}>|<\?xml\s[^<>]{0,300}\?>",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.{0,300}?-->")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def without(text: EditedText) -> EditedText:
    """Returns the text without tags and comments, and with the characters that entities stand for. Linear time."""
    if "<" in text.text or "[" in text.text:
        text = text.sub(_COMMENT, " ").sub(_TAG, lambda tag: " " if tag["breaking"] or tag["special"] else "")
    return text.sub(_ENTITY, _character) if "&" in text.text else text


def is_silent(text: str) -> bool:
    """Whether the text has no letter or digit outside of tags and comments."""
    return (
        not any(map(str.isalnum, text))
        or ("<" in text or "[" in text)
        and not any(map(str.isalnum, _TAG.sub("", _COMMENT.sub(" ", text))))
    )


def _character(entity: re.Match[str]) -> str:
    return plain(EditedText(html.unescape(entity[0]).replace("\0", " "))).text
