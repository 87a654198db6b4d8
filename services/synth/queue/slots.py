"""How much a synth has to do, and what it may begin. Pure."""

from __future__ import annotations


class Slots:
    """Requests that are worked on. `slots` of them speak at once; one that waits for more of its text takes no slot.

    That holds for `open_texts` of them; those beyond take slots like any other, which bounds them.
    """

    def __init__(self, slots: int, open_texts: int) -> None:
        self.slots = slots
        self._open_texts = open_texts
        self._all: set[int] = set()
        self._waiting: set[int] = set()

    @property
    def taken(self) -> int:
        """Slots that are taken. What waited takes its slot back when it goes on, so it may be more than there are."""
        return len(self._all) - min(len(self._waiting), self._open_texts)

    @property
    def free(self) -> bool:
        """Whether one more may be begun."""
        return self.taken < self.slots

    @property
    def waiting(self) -> frozenset[int]:
        """Those that wait for more of their text."""
        return frozenset(self._waiting)

    def begin(self, request: int) -> None:
        """It is worked on from now on."""
        self._all.add(request)

    def wait(self, request: int, waits: bool) -> None:
        """It waits for more of its text, or goes on."""
        if waits and request in self._all:
            self._waiting.add(request)
        else:
            self._waiting.discard(request)

    def end(self, request: int) -> None:
        """It is done with."""
        self._all.discard(request)
        self._waiting.discard(request)
