"""Fixtures of the e2e tests: a fast node and one with a slow engine, with two processes of each worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from orastream.client.async_client import Client
from tests.support.browser import running_browser
from tests.support.console import PATIENCE_MS
from tests.support.processes import Logs
from tests.support.scenes import Scene, running_node, scene_on
from tests.support.services import ServiceProcess, Stack


@pytest.fixture(scope="module")
def node_logs() -> Logs:
    """The logs of the processes that the tests of a module share."""
    return {}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node at full speed, with a gateway; shared by the tests of a module."""
    with running_node(tmp_path_factory.mktemp("node"), node_logs, gateway=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def slow_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node whose engine has a real-time factor of 0.25; shared by the tests of a module."""
    with running_node(tmp_path_factory.mktemp("slow-node"), node_logs, TTS_ENGINE_RTF=0.25, SYNTH_SLOTS=2) as stack:
        yield stack


@pytest.fixture
async def scene(node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """The scene of one test on the shared node, with its own ids."""
    logs.update(node_logs)
    async with scene_on(node, tmp_path.name) as scene:
        yield scene


@pytest.fixture
async def slow_scene(slow_node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> AsyncIterator[Scene]:
    """The scene of one test on the shared slow node, with its own ids."""
    logs.update(node_logs)
    async with scene_on(slow_node, tmp_path.name) as scene:
        yield scene


# ---- the console


@pytest.fixture(scope="module")
def console_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node with one process of each worker. Its engine is slow, but faster than playback."""
    folder = tmp_path_factory.mktemp("console-node")
    with running_node(folder, node_logs, replicas=1, gateway=True, TTS_ENGINE_RTF=0.25, SYNTH_SLOTS=2) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(console_node: Stack) -> AsyncIterator[Browser]:
    expect.set_options(timeout=PATIENCE_MS)
    async with running_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def client(console_node: Stack) -> AsyncIterator[Client]:
    async with Client(console_node.nats_server.url) as client:
        yield client


@pytest.fixture
def gateway(console_node: Stack, node_logs: Logs, logs: Logs) -> ServiceProcess:
    logs.update(node_logs)
    return console_node["gateway"][0]
