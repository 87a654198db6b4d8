"""Which connections stay open when there are too many."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.gateway.http.connection_table import ConnectionTable, Opened, Phase, Treatment

pytestmark = pytest.mark.unit

A, B = "192.0.2.1", "192.0.2.2"


def filled(count: int, address: str = A, **limits: int | None) -> ConnectionTable[int]:
    given: dict[str, int | None] = {"total": 100, "per_address": None, "spares": 1, **limits}
    table = ConnectionTable[int](int(given["total"] or 0), given["per_address"], int(given["spares"] or 0))
    for number in range(count):
        assert table.open(number, address) == Opened(Treatment.SERVED)
    return table


def test_connection_over_the_limit_of_its_address_replaces_the_oldest_that_sends_nothing() -> None:
    table = filled(4, per_address=4)
    table.set_phase(0, Phase.BUSY)
    assert table.open(10, A) == Opened(Treatment.SERVED, "connections_per_address", 1)
    assert table.open(11, B) == Opened(Treatment.SERVED), "another address has room"
    assert len(table) == 5


def test_heads_are_closed_before_bodies_and_bodies_before_idle_connections() -> None:
    table = filled(4, per_address=4)
    for number, phase in enumerate((Phase.BUSY, Phase.IDLE, Phase.BODY)):
        table.set_phase(number, phase)
    for expected in (3, 10, 11):
        assert table.open(expected + 7 if expected == 3 else expected + 1, A).evicted == expected
    table.set_phase(12, Phase.BUSY)
    assert table.open(13, A).evicted == 2
    table.set_phase(13, Phase.BUSY)
    assert table.open(14, A).evicted == 1


def test_an_address_never_has_more_than_half_of_all() -> None:
    table = filled(5, total=10, per_address=1000)
    assert table.open(10, A).over == "connections_per_address"
    assert filled(10, total=10, per_address=None).open(10, A).over == "connections"


def test_when_all_are_busy_a_few_spares_remain_and_then_none() -> None:
    table = filled(4, total=4, spares=2)
    for number in range(4):
        table.set_phase(number, Phase.BUSY)
    assert table.open(10, B) == Opened(Treatment.SPARE, "connections")
    table.set_phase(10, Phase.BUSY)
    assert table.open(11, B) == Opened(Treatment.SPARE, "connections")
    assert table.open(12, B) == Opened(Treatment.SPARE, "connections", 11), "a silent spare keeps no other out"
    table.set_phase(12, Phase.BUSY)
    assert table.open(13, B) == Opened(Treatment.REFUSED, "connections")
    table.close(12)
    assert table.open(14, B) == Opened(Treatment.SPARE, "connections")
    table.close(0)
    assert table.open(15, B) == Opened(Treatment.SERVED)


def test_closed_connections_leave_nothing() -> None:
    table = filled(10)
    for number in (*range(10), 3, 99):
        table.close(number)
    table.set_phase(3, Phase.BUSY)
    assert (len(table), table.addresses) == (0, 0)


class Table(RuleBasedStateMachine):
    """Compares the table with a list of connections, whatever happens in which order."""

    TOTAL, EACH, SPARES = 6, 2, 2

    def __init__(self) -> None:
        super().__init__()
        self.table: ConnectionTable[int] = ConnectionTable(self.TOTAL, self.EACH, self.SPARES)
        self.served: dict[int, str] = {}
        self.spares: set[int] = set()
        self.phases: dict[int, Phase] = {}
        self.opened = 0

    @rule(address=st.sampled_from("abcde"))
    def opens(self, address: str) -> None:
        self.opened += 1
        mine = [number for number, of in self.served.items() if of == address]
        crowd = mine if len(mine) >= self.EACH else list(self.served) if len(self.served) >= self.TOTAL else None
        verdict = self.table.open(self.opened, address)
        assert (verdict.over is None) == (crowd is None)
        if verdict.evicted is not None:
            assert crowd is not None and self.phases[verdict.evicted] is not Phase.BUSY
            if verdict.evicted in self.served:
                assert verdict.evicted in crowd
                assert self.phases[verdict.evicted] == min(self.phases[number] for number in crowd)
            self.forget(verdict.evicted)
        if verdict.treatment is Treatment.SERVED:
            self.served[self.opened] = address
        else:
            assert crowd and all(self.phases[number] is Phase.BUSY for number in crowd), "one could have been closed"
            if verdict.treatment is Treatment.SPARE:
                self.spares.add(self.opened)
            else:
                assert len(self.spares) == self.SPARES
                return
        self.phases[self.opened] = Phase.HEAD

    @precondition(lambda self: self.phases)
    @rule(data=st.data(), phase=st.sampled_from(Phase))
    def proceeds(self, data: st.DataObject, phase: Phase) -> None:
        number = data.draw(st.sampled_from(sorted(self.phases)))
        self.phases[number] = phase
        self.table.set_phase(number, phase)

    @precondition(lambda self: self.phases)
    @rule(data=st.data())
    def closes(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.phases)))
        self.table.close(number)
        self.forget(number)

    def forget(self, number: int) -> None:
        self.served.pop(number, None)
        self.spares.discard(number)
        del self.phases[number]

    @invariant()
    def within_the_limits(self) -> None:
        assert len(self.served) <= self.TOTAL and len(self.spares) <= self.SPARES
        assert all(count <= self.EACH for count in Counter(self.served.values()).values())
        assert len(self.table) == len(self.served) + len(self.spares)
        assert self.table.addresses == len(set(self.served.values()))


TestTable = Table.TestCase
