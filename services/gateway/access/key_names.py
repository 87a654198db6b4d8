"""Reads the entries of GATEWAY_API_KEYS: `name=key`, or a plain key. Pure.

Plain keys may contain `=`, and existed before names did. An entry is therefore named only if

- the part before the first `=` is a name: 1 to 64 of `A-Z a-z 0-9 _ -`,
- the name is not reserved for callers without a name of their own: `anonymous`, and `key-` with a number,
- the part after it has at least MIN_KEY_CHARS characters without the `=` at its end. So the padding of base64
  (`YWJj==`) is not taken for a key, and no guessable rest of a plain key (`long-secret=1`) becomes a key.

A named entry is also accepted as a whole: an older plain key that has this form still works.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

ANONYMOUS = "anonymous"
"""The name of every caller when no keys are set."""
MIN_KEY_CHARS = 8

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RESERVED = re.compile(rf"{ANONYMOUS}|key-\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One entry: the caller's name, and the values that the caller may send. `doubtful`: it may be a mistyped name."""

    name: str
    secrets: tuple[str, ...]
    doubtful: bool = False


def read_entries(entries: Iterable[str]) -> list[KeyEntry]:
    """The entries, in order. A plain key is named `key-<position>`, counted from 1, never by a part of the key."""
    return [_read(entry, position) for position, entry in enumerate(entries, 1)]


def _read(entry: str, position: int) -> KeyEntry:
    name, separator, key = entry.partition("=")
    rest = key.rstrip("=")
    if not (separator and rest and _NAME.fullmatch(name)):
        return KeyEntry(f"key-{position}", (entry,))
    if len(rest) < MIN_KEY_CHARS or _RESERVED.fullmatch(name):
        return KeyEntry(f"key-{position}", (entry,), doubtful=True)
    return KeyEntry(name, (key, entry))
