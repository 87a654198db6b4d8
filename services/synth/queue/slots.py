"""Which requests of a synth may speak now. Pure: the caller passes times of one clock, in seconds."""

from __future__ import annotations


class Slots:
    """Requests in progress, at most `slots` of them with a slot.

    Two kinds take no slot: a request that waits for more of its text, and a suspended one, whose listener has enough
    audio for now. Both take a slot again when they go on, even if all are taken: then no other request may begin, and
    the engine pool speaks first for the listener who runs out of audio first. At most `slots` + `open_texts` requests
    with a streamed text are in progress, and at most `max_suspended` requests are suspended.
    """

    def __init__(self, slots: int, open_texts: int, max_suspended: int) -> None:
        self.slots = slots
        self._max_texts = slots + open_texts
        self._max_suspended = max_suspended
        self._all: set[int] = set()
        self._texts: set[int] = set()
        self._waiting: set[int] = set()
        self._suspended: dict[int, float] = {}

    @property
    def taken(self) -> int:
        """Number of taken slots. It may exceed `slots`, because requests that go on take slots again."""
        return len(self._all) - len(self._waiting | self._suspended.keys())

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return self.taken < self.slots

    @property
    def room_for_text(self) -> bool:
        """Whether a request with a streamed text may begin when a slot is free."""
        return len(self._texts) < self._max_texts

    @property
    def waiting(self) -> frozenset[int]:
        """Requests that wait for more of their text."""
        return frozenset(self._waiting)

    @property
    def suspended(self) -> frozenset[int]:
        """Requests that are suspended."""
        return frozenset(self._suspended)

    def begin(self, request: int, *, streamed: bool = False) -> None:
        """Adds a request, with a slot. `streamed`: its text is still being written."""
        self._all.add(request)
        if streamed:
            self._texts.add(request)

    def wait(self, request: int, waits: bool) -> None:
        """Records that a request begins (`waits`) or stops waiting for more of its text."""
        if waits and request in self._all:
            self._waiting.add(request)
        else:
            self._waiting.discard(request)

    def suspend(self, request: int, dry_at: float) -> bool:
        """Suspends a request whose listener has audio until `dry_at`. False: too many are, and it keeps its slot."""
        if request not in self._all or len(self._suspended) >= self._max_suspended:
            return False
        self._suspended[request] = dry_at
        return True

    def resume(self, request: int) -> None:
        """The request takes a slot again, if it was suspended."""
        self._suspended.pop(request, None)

    def first_dry(self) -> tuple[float, int] | None:
        """Returns the suspended request whose listener runs out of audio first, as (time, request), or None."""
        return min(((dry_at, request) for request, dry_at in self._suspended.items()), default=None)

    def end(self, request: int) -> None:
        """Removes a request."""
        self._all.discard(request)
        self._texts.discard(request)
        self._waiting.discard(request)
        self._suspended.pop(request, None)
