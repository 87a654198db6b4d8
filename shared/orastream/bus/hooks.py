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
