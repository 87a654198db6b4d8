"""Which work is next, and which work is batched with it. Pure: the caller passes times, in seconds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A piece of work that a sentence waits for."""

    due_s: float
    """When a listener runs out of audio, if playback began at the start of the sentence."""
    asked_s: float
    """When the wait began."""
    kind: Hashable
    """Work of the same kind can be batched; None: only alone."""


T = TypeVar("T", bound=Turn)


def next_group(waiting: Sequence[T], most: int) -> list[T]:
    """Returns the one with the earliest `due_s` and others of its kind, at most `most` in all, ordered by `due_s`."""
    if not waiting:
        return []
    by_urgency = sorted(waiting, key=lambda turn: (turn.due_s, turn.asked_s))
    first = by_urgency[0]
    if first.kind is None:
        return [first]
    return [turn for turn in by_urgency if turn.kind == first.kind][:most]


def wait_s(group: Sequence[Turn], *, most: int, sentences: int, bound_s: float, now: float) -> float:
    """Returns how long a group still waits for others to join; 0 if it is full, or if all sentences are in it.

    `sentences` is the number of sentences being spoken; each waits for at most one piece of work. The first one of the
    group waits at most `bound_s` in all.
    """
    if group[0].kind is None or len(group) >= min(most, sentences):
        return 0.0
    return max(group[0].asked_s + bound_s - now, 0.0)
