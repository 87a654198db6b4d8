"""Whose request is spoken next: sessions take turns, so that one with many requests cannot starve another. Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Waiting items by session; `take` goes round the sessions, and within one by sequence."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, dict[int, T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def put(self, session: str, sequence: int, item: T) -> None:
        """Add an item; one with the same sequence replaces the older one (a newer hand-out of the same message)."""
        self._waiting.setdefault(session, {})[sequence] = item

    def take(self) -> T | None:
        """The next item, or None when nothing waits; its session goes to the end of the round."""
        if not self._waiting:
            return None
        session, items = self._waiting.popitem(last=False)
        item = items.pop(min(items))
        if items:
            self._waiting[session] = items
        return item

    def all(self) -> list[T]:
        """Everything that waits."""
        return [item for items in self._waiting.values() for item in items.values()]

    def clear(self) -> list[T]:
        """Take everything out."""
        items = self.all()
        self._waiting.clear()
        return items
