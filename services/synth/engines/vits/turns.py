"""Whose work is done next, and with whose it is done together. Pure: times are given."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one sentence waits for."""

    due_s: float
    """When its listener runs dry, had they begun to listen when the sentence was begun."""
    asked_s: float
    """Since when it waits."""
    kind: Hashable
    """Work of one kind can be done together; None can only be done alone."""


T = TypeVar("T", bound=Turn)


def next_group(waiting: Sequence[T], most: int) -> list[T]:
    """The one that is due first, and up to `most` in all that can be done with it, in the order that they are due."""
    if not waiting:
        return []
    by_urgency = sorted(waiting, key=lambda turn: (turn.due_s, turn.asked_s))
    first = by_urgency[0]
    if first.kind is None:
        return [first]
    return [turn for turn in by_urgency if turn.kind == first.kind][:most]


def wait_s(group: Sequence[Turn], *, most: int, sentences: int, bound_s: float, now: float) -> float:
    """How long a group may still wait for others to join it; 0 when it is full, or nobody is left who could.

    `sentences` are being spoken, each of which waits for one thing at most. The first of the group waits no longer than
    `bound_s` in all.
    """
    if group[0].kind is None or len(group) >= min(most, sentences):
        return 0.0
    return max(group[0].asked_s + bound_s - now, 0.0)
