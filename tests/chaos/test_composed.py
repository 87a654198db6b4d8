"""Faults that overlap, on a whole node under load: fixed seeds, 20 s on one nats-server and 20 s on three.

`make chaos` runs other seeds and longer. A seed that has found a fault belongs here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.composed.run import Plan, run, table
from tests.support.processes import Logs
from tests.support.tmpfs import why_no_tmpfs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("seed", "servers"), [(9, 1), (5, 3)])
async def test_the_contract_holds(seed: int, servers: int, tmp_path: Path, logs: Logs) -> None:
    """No violation, whatever overlaps; see tests/chaos/composed/oracle for what is one."""
    plan = Plan(seed, 20, servers, sessions=12, tmpfs=not why_no_tmpfs(), left_s=25)
    outcome = await run(plan, tmp_path)
    logs["run"] = tmp_path / "run.txt"
    assert not outcome.violations, table(outcome)
