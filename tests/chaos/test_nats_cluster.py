"""Three nats-servers: what an operator does to a cluster, and what happens to it, under load.

The oracle of the chaos suite judges each run: nothing that was accepted is lost, repeated or changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.composed.run import Plan, run, table
from tests.chaos.composed.schedule import Fault
from tests.support.processes import Logs

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

LEADERS = [
    Fault(1.0, 2.0, "leader_kill", "TTS_SESSIONS"),
    Fault(8.0, 0.0, "stepdown", "TTS_AUDIO"),
    Fault(9.0, 0.0, "stepdown", "TTS_REPORTS"),
    Fault(11.0, 0.0, "stepdown", "consumer synth"),
    Fault(12.0, 0.0, "stepdown", "consumer ws_bridge"),
    Fault(15.0, 2.0, "leader_kill", "TTS_AUDIO"),
]
AWAY_FOR_A_MINUTE = [Fault(1.0, 60.0, "server_kill", "1")]
ROLLING_UPGRADE = [Fault(1.0, 3.0, "server_rolling", "all")]


@pytest.mark.parametrize(
    ("faults", "seconds"),
    [(LEADERS, 25.0), (AWAY_FOR_A_MINUTE, 66.0), (ROLLING_UPGRADE, 25.0)],
    ids=["leaders are killed and step down", "a server is away for a minute", "all are restarted in turn"],
)
async def test_the_contract_holds(faults: list[Fault], seconds: float, tmp_path: Path, logs: Logs) -> None:
    outcome = await run(Plan(1, seconds, servers=3, sessions=6), tmp_path, faults)
    logs["run"] = tmp_path / "run.txt"
    assert not outcome.violations, table(outcome)
    assert not [one for one in outcome.history.disturbances if one.failed], table(outcome)
