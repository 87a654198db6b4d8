"""A node of two of each worker, with an engine slow enough to be killed in mid-utterance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.processes import Logs
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import Stack


@pytest.fixture(scope="module")
def node_logs() -> Logs:
    """Logs of the processes that a module's tests share."""
    return {}


@pytest.fixture(scope="module")
def slow_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """Shared by a module's tests. Its bridges try for ten seconds: so long may OraServer take to start again."""
    settings = {"TTS_ENGINE_RTF": 0.25, "SYNTH_SLOTS": 2, "WEBSOCKET_MAX_RETRIES": 6}
    with running_node(tmp_path_factory.mktemp("slow-node"), node_logs, **settings) as stack:
        yield stack


@pytest.fixture
async def scene(slow_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """A test's own ids on the shared node."""
    logs.update(node_logs)
    async with scene_on(slow_node, tmp_path.name) as scene:
        yield scene
