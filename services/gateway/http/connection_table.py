"""Decides which connections may stay open: at most so many in all, and of one address. Pure.

A connection over a limit takes the place of one from which the gateway waits for something. So connections that send
nothing, or too slowly, do not keep others out. If no connection waits, the new one becomes a spare, on which only
health checks are answered, so that a full gateway is not restarted as a dead one.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

C = TypeVar("C")

Limit = Literal["connections", "connections_per_address"]


class Phase(enum.IntEnum):
    """What a connection does. The lower values are closed first to make room."""

    HEAD = 0
    """It has sent no complete request head since it was opened, or since its last request."""
    BODY = 1
    """The body of its request is incomplete."""
    IDLE = 2
    """Its last request was answered."""
    BUSY = 3
    """The gateway works on its request or sends the answer. It is never closed to make room."""


class Treatment(enum.Enum):
    """How a new connection is treated."""

    SERVED = "served"
    SPARE = "spare"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Opened(Generic[C]):
    """The verdict on a new connection.

    `over`: the limit that was reached, or None. `evicted`: the connection to close now, or None.
    """

    treatment: Treatment
    over: Limit | None = None
    evicted: C | None = None


class ConnectionTable(Generic[C]):
    """All open connections. `per_address` None: no limit for one address; else at most half of `total` counts."""

    def __init__(self, total: int, per_address: int | None, spares: int) -> None:
        self._total = total
        self._per_address = None if per_address is None else max(1, min(per_address, total // 2))
        self._max_spares = spares
        self._served: _Group[C] = _Group()
        self._spares: _Group[C] = _Group()
        self._addresses: dict[str, _Group[C]] = {}
        self._address_of: dict[C, str] = {}

    def __len__(self) -> int:
        return len(self._served) + len(self._spares)

    @property
    def addresses(self) -> int:
        """How many addresses have a connection that is served."""
        return len(self._addresses)

    def open(self, connection: C, address: str) -> Opened[C]:
        """Enter a new connection, in phase HEAD. A refused one is not entered; an evicted one is taken out."""
        over, crowd = self._reached(address)
        victim: C | None = None
        if crowd is not None:
            victim = crowd.oldest()
            if victim is None:
                return self._spare(connection, over)
            self.close(victim)
        self._served.put(connection, Phase.HEAD)
        self._addresses.setdefault(address, _Group()).put(connection, Phase.HEAD)
        self._address_of[connection] = address
        return Opened(Treatment.SERVED, over, victim)

    def set_phase(self, connection: C, phase: Phase) -> None:
        """Enter what the connection does now. A connection that is not in the table is ignored."""
        if connection in self._spares:
            self._spares.put(connection, phase)
        elif (address := self._address_of.get(connection)) is not None:
            self._served.put(connection, phase)
            self._addresses[address].put(connection, phase)

    def close(self, connection: C) -> None:
        """Take a connection out; nothing happens when it is not in the table."""
        self._spares.drop(connection)
        self._served.drop(connection)
        if (address := self._address_of.pop(connection, None)) is not None:
            group = self._addresses[address]
            group.drop(connection)
            if not len(group):
                del self._addresses[address]

    def _reached(self, address: str) -> tuple[Limit | None, _Group[C] | None]:
        """The limit that is reached, and the connections among which one must be closed; None when there is room."""
        group = self._addresses.get(address)
        if group is not None and self._per_address is not None and len(group) >= self._per_address:
            return "connections_per_address", group
        return ("connections", self._served) if len(self._served) >= self._total else (None, None)

    def _spare(self, connection: C, over: Limit | None) -> Opened[C]:
        victim: C | None = None
        if len(self._spares) >= self._max_spares:
            victim = self._spares.oldest()
            if victim is None:
                return Opened(Treatment.REFUSED, over)
            self._spares.drop(victim)
        self._spares.put(connection, Phase.HEAD)
        return Opened(Treatment.SPARE, over, victim)


class _Group(Generic[C]):
    """Connections by phase, each phase in the order in which they entered it."""

    def __init__(self) -> None:
        self._phase_of: dict[C, Phase] = {}
        self._in_phase: dict[Phase, dict[C, None]] = {}

    def __len__(self) -> int:
        return len(self._phase_of)

    def __contains__(self, connection: C) -> bool:
        return connection in self._phase_of

    def put(self, connection: C, phase: Phase) -> None:
        self.drop(connection)
        self._phase_of[connection] = phase
        self._in_phase.setdefault(phase, {})[connection] = None

    def drop(self, connection: C) -> None:
        if (phase := self._phase_of.pop(connection, None)) is not None:
            del self._in_phase[phase][connection]

    def oldest(self) -> C | None:
        for phase in (Phase.HEAD, Phase.BODY, Phase.IDLE):
            for connection in self._in_phase.get(phase, ()):
                return connection
        return None
