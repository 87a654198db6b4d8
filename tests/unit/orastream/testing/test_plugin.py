"""Which ports the workers of pytest-xdist use."""

from __future__ import annotations

import pytest

from orastream.testing.plugin import ports_of

pytestmark = pytest.mark.unit


def test_no_two_workers_have_a_port_in_common() -> None:
    parts = [
        set(ports_of({"PYTEST_XDIST_WORKER": f"gw{number}", "PYTEST_XDIST_WORKER_COUNT": "3"})) for number in range(3)
    ]
    assert set().union(*parts) == set(ports_of({}))
    assert sum(map(len, parts)) == len(ports_of({}))


@pytest.mark.parametrize("worker", ["main", "gw", "gw9", ""])
def test_a_worker_with_an_unknown_name_has_all_ports(worker: str) -> None:
    assert ports_of({"PYTEST_XDIST_WORKER": worker, "PYTEST_XDIST_WORKER_COUNT": "2"}) == ports_of({})
