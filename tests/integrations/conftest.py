"""What the tests of the plug-ins share. They run in `.venv-integrations`: `make test-integrations` does, or

.venv-integrations/bin/python -m pytest tests/integrations
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from orastream.client.async_client import Client
from tests.support.processes import Logs
from tests.support.services import Stack
from tests.support.speech_node import speech_node


@pytest.fixture(scope="session")
def node_logs() -> Logs:
    """The logs of the node's processes."""
    return {}


@pytest.fixture(scope="session")
def shared_node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node that all tests share."""
    with speech_node(tmp_path_factory.mktemp("node"), node_logs) as stack:
        yield stack


@pytest.fixture
def node(shared_node: Stack, node_logs: Logs, logs: Logs) -> Stack:
    """The shared node; its logs are shown when the test fails."""
    logs.update(node_logs)
    return shared_node


@pytest.fixture
async def client(node: Stack) -> AsyncIterator[Client]:
    """A client of the test's own, to see the reports of what a plug-in has asked."""
    async with node.client() as client:
        yield client
