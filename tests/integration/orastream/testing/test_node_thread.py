"""Processes of a node that are killed and started again, from threads without an event loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orastream.cli.node.stack import Stack
from orastream.cli.node.supervisor import NodePart, State
from orastream.contract.errors import SettingsError
from orastream.testing.node_thread import NodeThread

pytestmark = [pytest.mark.integration, pytest.mark.timeout(60)]


async def nothing() -> str | None:
    return None


@pytest.fixture
def thread(tmp_path: Path) -> Iterator[NodeThread]:
    sleeps = (sys.executable, "-c", "import time; time.sleep(600)")
    parts = tuple(NodePart(name, sleeps, dict(os.environ), nothing) for name in ("synth-1", "synth-2"))
    thread = NodeThread(Stack(parts, tmp_path, "", "", "", None, "", ""), 20)
    yield thread
    thread.close()
    thread.close()


def test_what_is_killed_for_good_stays_dead_in_whatever_state_it_was(thread: NodeThread) -> None:
    for _ in range(3):
        thread.kill("synth-1", restart=True)
        thread.kill("synth-1", restart=False)  # it waits for its next start, or is being started
        (first,), (second,) = thread.keepers("synth-1"), thread.keepers("synth-2")
        assert (first.pid, first.state, second.state) == (None, State.HELD, State.READY)
        thread.ready(10)
        assert first.pid is None
        thread.start_again("synth", 20)
        assert first.state is second.state is State.READY and first.pid is not None


def test_a_release_starts_what_was_killed_and_nothing_else(thread: NodeThread) -> None:
    pids = [keeper.pid for keeper in thread.keepers()]
    thread.kill("synth-2", restart=False)
    thread.release()
    thread.ready(20)
    after = [keeper.pid for keeper in thread.keepers("synth")]
    assert after[0] == pids[0] and after[1] not in (None, pids[1])
    with pytest.raises(SettingsError, match="it has synth, synth-1, synth-2"):
        thread.keepers("sinth")
