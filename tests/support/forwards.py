"""Counts the network calls of a torch engine. Unlike a time, the count does not depend on the machine's load."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Forwards:
    """The number of calls since the count began."""

    def __init__(self) -> None:
        self.made = 0


@contextlib.contextmanager
def counted() -> Iterator[Forwards]:
    """Count the calls of all `torch.nn.Module`s in this process, of all threads, inside the context."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    count = Forwards()

    def one_more(*_: object) -> None:
        count.made += 1

    hook = register_module_forward_pre_hook(one_more)
    try:
        yield count
    finally:
        hook.remove()
