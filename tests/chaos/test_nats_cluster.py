"""Three nats-servers: what an operator does to a cluster, and what happens to it, under load.

The oracle of the chaos suite judges each run: nothing that was accepted is lost, repeated or changed.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.composed.run import Plan, run, table
from tests.chaos.composed.schedule import Fault
from tests.support.processes import Logs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

AWAY_S = float(os.environ.get("CLUSTER_AWAY_S", "12"))
"""How long one server is away. `CLUSTER_AWAY_S=60` makes it a minute."""
FAULTS = [
    Fault(1.0, 2.0, "leader_kill", "TTS_SESSIONS"),
    Fault(8.0, 0.0, "stepdown", "TTS_AUDIO"),
    Fault(9.0, 0.0, "stepdown", "TTS_REPORTS"),
    Fault(10.0, 0.0, "stepdown", "consumer synth"),
    Fault(11.0, 0.0, "stepdown", "consumer ws_bridge"),
    Fault(13.0, 2.0, "leader_kill", "TTS_AUDIO"),
    Fault(18.0, AWAY_S, "server_kill", "1"),
    Fault(22.0 + AWAY_S, 3.0, "server_rolling", "all"),
]


async def test_the_contract_holds_when_leaders_die_a_server_is_away_and_all_are_restarted_in_turn(
    tmp_path: Path, logs: Logs
) -> None:
    """In one run, since a node with three servers takes half a minute to start and to settle."""
    outcome = await run(Plan(1, 38.0 + AWAY_S, servers=3, sessions=6, left_s=25), tmp_path, FAULTS)
    logs["run"] = tmp_path / "run.txt"
    assert not outcome.violations, table(outcome)
    assert not [one for one in outcome.history.disturbances if one.failed], table(outcome)
