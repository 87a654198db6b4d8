"""Callbacks that can be taken off again."""

from __future__ import annotations

from collections.abc import Callable


def hooked(hooks: list[Callable[[], None]], hook: Callable[[], None]) -> Callable[[], None]:
    """Add `hook`; returns what takes it off again, which may be called twice."""
    hooks.append(hook)

    def unhook() -> None:
        if hook in hooks:
            hooks.remove(hook)

    return unhook


class Hooks:
    """Callbacks of one kind."""

    def __init__(self) -> None:
        self._hooks: list[Callable[[], None]] = []

    def add(self, hook: Callable[[], None]) -> Callable[[], None]:
        """Call `hook` from now on; returns what takes it off again."""
        return hooked(self._hooks, hook)

    def call(self) -> None:
        """Call each of them."""
        for hook in list(self._hooks):
            hook()
