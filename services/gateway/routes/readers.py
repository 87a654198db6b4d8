"""Places for readers of live streams: each one costs feeds and a connection for as long as it stays."""

from __future__ import annotations

from orastream.contract.errors import Overloaded


class ReaderPlaces:
    """Counts the readers of one kind. For one event loop."""

    def __init__(self, what: str, places: int) -> None:
        """`what` they read, for the error."""
        self._what = what
        self._places = places
        self._taken = 0

    def check(self) -> None:
        """Raise Overloaded if there is no place. Call it before the answer begins: then it can be refused."""
        if self._taken >= self._places:
            raise Overloaded(f"there are already {self._taken} readers of {self._what}; try again later")

    def enter(self) -> None:
        """A reader takes a place until `leave`."""
        self._taken += 1

    def leave(self) -> None:
        """A reader leaves its place."""
        self._taken -= 1
