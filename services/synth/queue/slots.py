"""How many requests a synth works on, and whether it may begin another. Pure."""

from __future__ import annotations


class Slots:
    """Requests in progress, at most `slots` that speak at the same time. A request that waits for text takes no slot.

    At most `open_texts` requests wait without a slot. Others that wait take slots, which limits their number.
    """

    def __init__(self, slots: int, open_texts: int) -> None:
        self.slots = slots
        self._open_texts = open_texts
        self._all: set[int] = set()
        self._waiting: set[int] = set()

    @property
    def taken(self) -> int:
        """Number of taken slots. It may exceed `slots`, because requests that stop waiting take slots again."""
        return len(self._all) - min(len(self._waiting), self._open_texts)

    @property
    def free(self) -> bool:
        """Whether another request may begin."""
        return self.taken < self.slots

    @property
    def waiting(self) -> frozenset[int]:
        """Requests that wait for more of their text."""
        return frozenset(self._waiting)

    def begin(self, request: int) -> None:
        """Adds a request."""
        self._all.add(request)

    def wait(self, request: int, waits: bool) -> None:
        """Records that a request begins (`waits`) or stops waiting for more of its text."""
        if waits and request in self._all:
            self._waiting.add(request)
        else:
            self._waiting.discard(request)

    def end(self, request: int) -> None:
        """Removes a request."""
        self._all.discard(request)
        self._waiting.discard(request)
