"""Callbacks that can be removed again."""

from __future__ import annotations

from collections.abc import Callable


def hooked(hooks: list[Callable[[], None]], hook: Callable[[], None]) -> Callable[[], None]:
    """Add `hook`. Returns a function that removes it; it may be called twice."""
    hooks.append(hook)

    def unhook() -> None:
        if hook in hooks:
            hooks.remove(hook)

    return unhook


class Hooks:
    """A list of callbacks for one event."""

    def __init__(self) -> None:
        self._hooks: list[Callable[[], None]] = []

    def add(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Add `hook`. Returns a function that removes it; it may be called twice."""
        return hooked(self._hooks, hook)

    def call(self) -> None:
        """Call every hook; a hook may remove hooks meanwhile."""
        for hook in list(self._hooks):
            hook()
