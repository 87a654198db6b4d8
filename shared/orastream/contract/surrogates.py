"""Repairs texts whose characters were cut into halves of surrogate pairs. Pure.

Programs that count in UTF-16 (JavaScript, Java, many JSON encoders) cut a character above U+FFFF, such as an emoji,
into a high and a low half (Unicode Standard, section 3.8, D71 to D75). UTF-8 has no such halves, so a text with one
cannot be encoded.
"""

from __future__ import annotations

REPLACEMENT = "\ufffd"
"""What a half without its other half becomes (REPLACEMENT CHARACTER). It is neither a letter nor spoken."""


def whole_characters(text: str) -> str:
    """Return the text with each high half and the low half right after it as one character.

    A half without its other half becomes REPLACEMENT. The result can be encoded as UTF-8. Never raises. Thread-safe.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class SurrogateJoiner:
    """`whole_characters` for a text in pieces: the same text for any cut. Not thread-safe."""

    def __init__(self) -> None:
        self._high = ""

    @property
    def waits(self) -> bool:
        """Whether a high half waits for the next piece."""
        return bool(self._high)

    def push(self, piece: str) -> str:
        """Add the next piece. Returns whole characters; a high half at its end waits for the next piece."""
        text = self._high + piece
        self._high = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return whole_characters(text[:-1] if self._high else text)

    def finish(self) -> str:
        """End the text. Returns REPLACEMENT if a half still waits, else an empty text. A new text may begin then."""
        rest, self._high = REPLACEMENT if self._high else "", ""
        return rest
