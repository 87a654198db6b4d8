"""How much a torch engine has worked, in calls of its networks: a busy machine's clock cannot tell."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Forwards:
    """Calls since the count began."""

    def __init__(self) -> None:
        self.made = 0


@contextlib.contextmanager
def counted() -> Iterator[Forwards]:
    """Counts the calls of every `torch.nn.Module` of this process, by any thread, within the block."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    count = Forwards()

    def one_more(*_: object) -> None:
        count.made += 1

    hook = register_module_forward_pre_hook(one_more)
    try:
        yield count
    finally:
        hook.remove()
