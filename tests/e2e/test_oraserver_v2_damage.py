"""Protocol v2 between a whole node and an OraServer that drops and damages frames: all arrives, and little twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.streams.damage import SETTINGS, DamagePlan, speak_through_damage
from tests.support.processes import Logs
from tests.support.scenes import running_node, scene_on
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def checking_node(tmp_path: Path, logs: Logs) -> Iterator[Stack]:
    with running_node(tmp_path, logs, replicas=1, **SETTINGS) as stack:
        yield stack


async def test_two_thousand_utterances_arrive_through_damage(checking_node: Stack) -> None:
    """One frame of twenty does not arrive. Sent again is only what was lost."""
    async with scene_on(checking_node, "damage") as scene:
        outcome = await speak_through_damage(scene, DamagePlan(sessions=200, utterances=10))
    assert not outcome.problems, outcome.problems[:5]
    assert outcome.lost_frames > outcome.audio_frames / 40, "hardly a frame was dropped or damaged"
