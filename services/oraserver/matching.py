"""Whether the header of a handshake, or the text of an utterance, is the one that was sent. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote


def said_in_order(texts: Iterable[str], whole: str) -> bool:
    """Whether `whole` contains the characters of the texts in order, without regard to white space.

    `whole` may have more in between: a sentence too short for its own chunk, the rest of a very long run of marks.
    """
    characters = iter(whole)
    return all(char.isspace() or char in characters for text in texts for char in text)


def header_matches(header: str, value: str) -> bool:
    """Whether a handshake header holds this id: printable ASCII unchanged, any other id as percent-encoded UTF-8.

    HTTP strips spaces at both ends of a header, so an id with such spaces may come stripped or percent-encoded.
    """
    if value.isascii() and value.isprintable() and header == value.strip(" "):
        return True
    if not header.isascii() or (value.isascii() and value.isprintable() and value == value.strip(" ")):
        return False
    try:
        return unquote(header, errors="strict") == value
    except UnicodeDecodeError:
        return False
