"""Leaves out of a text what an LLM writes for programs, such as `<think>…</think>` (TTS_SKIP_TAGS). Pure.

A tag is `<name>`, `<name attributes>`, `</name>` or `<name/>`, of at most MAX_TAG_CHARS characters, in lower or upper
case, without a `<` in it. It ends at the first `>`. Everything else that begins with `<` is text.

    - From an opening tag to its closing tag nothing is spoken. Tags of the same name in it are counted; others are not
      looked at. Without a closing tag nothing more is spoken.
    - A closing tag without an opening one is left out alone: what stood before it may have been spoken already. So are
      tags like `<name/>`.
    - A tag ends the sentence before it: that is spoken at once, although nobody knows yet what comes after the tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

MAX_TAG_CHARS = 256
"""Limit for the length of a tag with its attributes. So many characters after a `<` can be held back at most."""


class WrittenPart(NamedTuple):
    """A part of the text that is spoken."""

    first: int
    """Its place in the whole text, in code points."""
    text: str
    ends: bool
    """A tag follows: no sentence goes on after this part."""


class _Verdict(Enum):
    """What a `<` and the characters after it are."""

    UNKNOWN = "more characters decide"
    TEXT = "they are text, without the last character, which may begin a tag"
    TAG = "they are a tag"


class _Tag:
    """What may be a tag, from its `<` on."""

    def __init__(self) -> None:
        self.held = "<"
        self.name = ""
        """In lower case; not complete before the verdict is TAG."""
        self.closes = False
        self._named = False

    @property
    def is_empty(self) -> bool:
        """Whether it is like `<name/>`."""
        return self.held.endswith("/>")

    def take(self, char: str, names: Sequence[str]) -> _Verdict:
        """Add the next character, unless the verdict is TEXT."""
        if len(self.held) >= MAX_TAG_CHARS or not (
            self._goes_on(char, names) if self._named else self._is_name(char, names)
        ):
            return _Verdict.TEXT
        self.held += char
        return _Verdict.TAG if char == ">" else _Verdict.UNKNOWN

    def _is_name(self, char: str, names: Sequence[str]) -> bool:
        """Whether the character is part of the name, or of what stands before it, or ends the name."""
        if char == "/" and self.held == "<":
            self.closes = True
            return True
        longer = self.name + char.lower()
        if char.isascii() and any(name.startswith(longer) for name in names):
            self.name = longer
            return True
        self._named = self.name in names
        return self._named and self._ends_name(char)

    def _ends_name(self, char: str) -> bool:
        return char == ">" or char.isspace() or (char == "/" and not self.closes)

    def _goes_on(self, char: str, names: Sequence[str]) -> bool:
        """Whether the character can stand behind the name."""
        return char == ">" or char.isspace() if self.closes else char != "<"


class SkippedTags:
    """The parts of one text that are spoken. The text may come in pieces: the result is the same for any cut.

    Holds at most MAX_TAG_CHARS characters. Takes time in proportion to the text. Not thread-safe.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """`names` are as from `tag_names`; none: the whole text is spoken."""
        self._names = names
        self._at = 0  # characters of the text before `_tag`
        self._tag: _Tag | None = None
        self._depth = 0  # how many elements of the name `_within` are open
        self._within = ""
        self._run: list[str] = []  # spoken text that `push` has not returned
        self._parts: list[WrittenPart] = []

    def push(self, text: str) -> list[WrittenPart]:
        """Add text. Returns the parts to speak that are known now, in order; they follow the earlier ones."""
        at = 0
        while at < len(text):
            if self._tag is None:
                found = text.find("<", at) if self._names else -1
                until = len(text) if found < 0 else found
                self._pass(text[at:until])
                self._tag = None if found < 0 else _Tag()
                at = until + (found >= 0)
                continue
            verdict = self._tag.take(text[at], self._names)
            if verdict is _Verdict.TEXT:
                self._pass(self._tag.held)
                self._tag = None
                continue
            at += 1
            if verdict is _Verdict.TAG:
                self._skip(self._tag)
                self._tag = None
        return self._take(ends=False)

    def finish(self) -> list[WrittenPart]:
        """End the text. Returns the rest."""
        if self._tag is not None:
            self._pass(self._tag.held)
            self._tag = None
        return self._take(ends=False)

    def _pass(self, text: str) -> None:
        """Add what is no tag."""
        self._at += len(text)
        if not self._depth and text:
            self._run.append(text)

    def _skip(self, tag: _Tag) -> None:
        if not self._depth:
            self._parts = self._take(ends=True)
            if not tag.closes and not tag.is_empty:
                self._depth, self._within = 1, tag.name
        elif tag.name == self._within and not tag.is_empty:
            self._depth += -1 if tag.closes else 1
        self._at += len(tag.held)

    def _take(self, *, ends: bool) -> list[WrittenPart]:
        text, parts = "".join(self._run), self._parts
        self._run, self._parts = [], []
        if text or ends:
            parts.append(WrittenPart(self._at - len(text), text, ends))
        return parts
