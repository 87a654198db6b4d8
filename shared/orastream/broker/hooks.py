"""Callbacks that can be removed again. Adding and removing one takes the same time however many there are."""

from __future__ import annotations

from collections.abc import Callable


class Hooks:
    """The callbacks for one event."""

    def __init__(self) -> None:
        self._hooks: dict[object, Callable[[], None]] = {}

    def add(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Add `hook`. Returns a function that removes it; it may be called twice."""
        key = object()
        self._hooks[key] = hook

        def unhook() -> None:
            self._hooks.pop(key, None)

        return unhook

    def call(self) -> None:
        """Call every hook, in the order in which they were added. A hook may add and remove hooks meanwhile."""
        for key, hook in list(self._hooks.items()):
            if key in self._hooks:
                hook()
