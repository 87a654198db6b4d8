"""Which requests and cancels of a session are closed, until their wake-ups are acked. Pure."""

from __future__ import annotations

MAX_DONE = 256


class DoneEvents:
    """Sequences of closed requests and deleted cancels: the last MAX_DONE that are not acked and may still be read.

    The wake-up of one that was forgotten is acked when a read of the stream has shown that it is not stored.
    """

    def __init__(self) -> None:
        self._sequences: set[int] = set()

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._sequences

    def add(self, sequence: int) -> None:
        """The request or cancel at this sequence is closed."""
        self._sequences.add(sequence)

    def acked(self, sequence: int) -> None:
        """Its wake-up was acked, and will hardly come again."""
        self._sequences.discard(sequence)

    def forget(self, verified: int) -> None:
        """Forget those that a read has shown to be deleted: everything up to `verified` has been read."""
        if self._sequences:
            self._sequences = set(sorted(s for s in self._sequences if s > verified)[-MAX_DONE:])
