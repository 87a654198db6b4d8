"""Which sessions a bridge owns or is taking, and how many wake-ups it may ask for."""

from __future__ import annotations

from collections.abc import Iterator

from orastream.delivery.runtime.owned_session import OwnedSession
from orastream.delivery.runtime.wakeups import HeldCount
from orastream.jetstream.pull_consumer import Delivery

MAX_HELD = 32_768
"""Wake-ups that a bridge holds at the same time."""
AT_ONCE = 256
"""Wake-ups that it asks for at once."""
FULL_AT_ONCE = 16
"""The same while it owns as many sessions as it may: its own sessions need their wake-ups, the others are refused."""


class SessionTable:
    """At most `max_sessions` sessions at the same time. Not thread-safe."""

    def __init__(self, max_sessions: int) -> None:
        self._max_sessions = max_sessions
        self._runners: dict[str, OwnedSession] = {}
        self._taking: dict[str, list[Delivery]] = {}
        self.held = HeldCount()
        """The wake-ups that the owned sessions hold."""
        self._refused = 0

    def __len__(self) -> int:
        """The number of sessions owned now."""
        return len(self._runners)

    def __contains__(self, session: str) -> bool:
        return session in self._runners or session in self._taking

    def __iter__(self) -> Iterator[OwnedSession]:
        return iter(list(self._runners.values()))

    @property
    def without_work(self) -> int:
        """Number of sessions without work. Each is released after the sink's `idle_s` seconds without work."""
        return sum(not runner.has_work for runner in self._runners.values())

    @property
    def at_rest(self) -> int:
        """Number of sessions that rest (`OwnedSession`)."""
        return sum(runner.rests_since is not None for runner in self._runners.values())

    @property
    def full(self) -> bool:
        """Whether no more session may be taken."""
        return len(self._runners) + len(self._taking) >= self._max_sessions

    def capacity(self) -> int:
        """How many wake-ups may be asked for now. For each of a session that is neither owned nor taken, call
        `refuse` if the table is full.
        """
        room = min(AT_ONCE, MAX_HELD - self.held.count - len(self._taking))
        return min(room, FULL_AT_ONCE - self._refused) if self.full else room

    def refuse(self) -> bool:
        """A wake-up is refused because the table is full. Returns whether there will soon be room.

        Then the session that has rested longest gives way: its next utterance takes it anew, which costs milliseconds,
        while a session that is refused everywhere waits.
        """
        rested = [runner for runner in self._runners.values() if runner.rests_since is not None]
        if rested:
            min(rested, key=_rests_since).give_way()
        else:
            self._refused += 1
        return bool(rested)

    def next_turn(self) -> None:
        """Refuse some more wake-ups, if there are any."""
        self._refused = 0

    def runner(self, session: str) -> OwnedSession | None:
        """The owner's loop of a session, or None."""
        return self._runners.get(session)

    def taking(self, session: str) -> list[Delivery] | None:
        """The wake-ups that wait until the session is taken; None if it is not being taken."""
        return self._taking.get(session)

    def take(self, session: str, *wakeups: Delivery) -> None:
        """Begin to take a session."""
        self._taking[session] = list(wakeups)

    def not_taken(self, session: str) -> list[Delivery]:
        """End to take a session. Returns the wake-ups that came meanwhile."""
        return self._taking.pop(session, [])

    def owned(self, session: str, runner: OwnedSession) -> None:
        """The session is owned, and `runner` serves it."""
        self._runners[session] = runner

    def released(self, session: str) -> None:
        """The session is not owned any more."""
        del self._runners[session]


def _rests_since(session: OwnedSession) -> float:
    return float("inf") if session.rests_since is None else session.rests_since
