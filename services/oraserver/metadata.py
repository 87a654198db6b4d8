"""Parses and checks the metadata of frames and POSTs. Pure, no I/O."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest
from services.oraserver.violations import Problems, Violation

METADATA_NAMES = ("sessionId", "requestId", "phoneId", "text", "engine", "language")
METADATA_KEYS = frozenset(METADATA_NAMES)
RATE = "sampleRate"
"""A key that the metadata may have besides."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The values that every frame of an utterance carries: six, and perhaps the sample rate."""

    session_id: str
    request_id: str
    phone_id: str
    text: str
    engine: str
    language: str
    sample_rate: int | None = None
    """Hz, of the file; None if the sender does not say it (WEBSOCKET_METADATA)."""


def parse_metadata(value: object, problems: Problems) -> Metadata | None:
    """Return the metadata, or None when an id in it is not valid. Adds the broken rules to `problems`."""
    if not isinstance(value, dict):
        problems.append(Violation("metadata-keys", "metadata must be an object"))
        return None
    if (keys := value.keys() - {RATE}) != METADATA_KEYS:
        problems.append(Violation("metadata-keys", f"metadata: {difference(keys, METADATA_KEYS)}"))
    rate = value.get(RATE)
    if RATE in value and (type(rate) is not int or rate < 1):  # isinstance would accept booleans
        problems.append(Violation("metadata-value", f"{RATE}: must be an integer from 1"))
        rate = None
    values = []
    for name in METADATA_NAMES:
        item = value.get(name)
        if not isinstance(item, str):
            if name in value:
                problems.append(Violation("metadata-value", f"{name}: must be a string"))
            item = ""
        values.append(item)
    metadata, found = _checked(rate, *values)
    problems.extend(found)
    return metadata


@lru_cache(maxsize=1024)  # most chunks of an utterance have the same values
def _checked(rate: int | None, *values: str) -> tuple[Metadata | None, tuple[Violation, ...]]:
    session_id, request_id, phone_id, text, engine, language = values
    metadata = Metadata(session_id, request_id, phone_id, text, engine, language, rate)
    problems: Problems = []
    for name, value in zip(METADATA_NAMES[:3], values[:3], strict=True):
        if problem := id_problem(value, name):
            problems.append(Violation("metadata-value", problem))
    usable = not problems
    problems += [
        Violation("metadata-value", f"{name}: is empty")
        for name, value in zip(METADATA_NAMES[3:], values[3:], strict=True)
        if not value
    ]
    return metadata if usable else None, tuple(problems)


@lru_cache(maxsize=1024)
def id_problem(value: str, name: str) -> str | None:
    """Return what is wrong with an id, or None."""
    try:
        subjects.check_id(value, name)
    except InvalidRequest as exc:
        return str(exc)
    return None


def difference(got: Set[str], expected: frozenset[str]) -> str:
    """Return in words how the names differ from the expected ones."""
    parts = [("lacks ", expected - got), ("has also ", got - expected)]
    return ", ".join(word + names_of(names) for word, names in parts if names)


def names_of(names: Set[str]) -> str:
    """Some of the names, shortened, because a sender may use keys of any number and length."""
    shown = sorted(names)
    return " ".join(name[:40] for name in shown[:8]) + (" …" if len(shown) > 8 else "") or "none"
