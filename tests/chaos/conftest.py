"""Fixtures of the chaos tests: a node with two processes of each worker, and an engine slow enough for kills."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.processes import Logs
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import Stack


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """A socket that a test leaves open fails that test, not the later one in which Python happens to collect it."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def node_logs() -> Logs:
    """The logs of the processes that the tests of a module share."""
    return {}


@pytest.fixture(scope="module")
def slow_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """The node, shared by the tests of a module. Its bridges retry for 10 s, so that OraServer has time to restart."""
    settings = {"TTS_ENGINE_RTF": 0.25, "SYNTH_SLOTS": 2, "WEBSOCKET_MAX_RETRIES": 6}
    with running_node(tmp_path_factory.mktemp("slow-node"), node_logs, **settings) as stack:
        yield stack


@pytest.fixture
async def scene(slow_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """The scene of one test on the shared node, with its own ids."""
    logs.update(node_logs)
    async with scene_on(slow_node, tmp_path.name) as scene:
        yield scene
