"""The pytest plugin: `orastream_node`, a real node that is started once and is empty for each test.

It imports nothing of the node before a test asks for it. `-p no:orastream` switches it off.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from orastream.contract.errors import OrastreamError

if TYPE_CHECKING:
    from orastream.testing.fake.node import FakeNode
    from orastream.testing.local_node import LocalNode

SHOWN_BYTES = 4_000
"""Of each log in the report of a failed test."""
_PORTS = range(20_000, 32_000)
_NODE: pytest.StashKey[LocalNode] = pytest.StashKey()


@pytest.fixture(scope="session")
def orastream_settings() -> Mapping[str, object]:
    """The settings of the node, by name (docs/reference/settings.md). Override it in the conftest.py of all tests: the
    node is started once. For one with other settings use `LocalNode` itself.
    """
    return {}


@pytest.fixture(scope="session")
def orastream_replicas() -> Mapping[str, int]:
    """The number of processes by service, as in `{"synth": 2}`; one each without it. Override it like the settings."""
    return {}


@pytest.fixture(scope="session")
def orastream_session_node(
    orastream_settings: Mapping[str, object],
    orastream_replicas: Mapping[str, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalNode]:
    """The running node behind `orastream_node`, as the last test has left it. One for each worker of pytest-xdist."""
    node, problem = None, ""
    try:
        from orastream.testing.local_node import LocalNode

        folder = tmp_path_factory.mktemp("orastream-node")
        node = LocalNode(folder, orastream_settings, replicas=orastream_replicas, ports=ports_of(os.environ))
        node.start()
    except ModuleNotFoundError as exc:
        problem = f"the module {exc.name} is not installed; pip install 'orastream[testing]'"
    except OrastreamError as exc:
        problem = str(exc)
    if node is None or problem:
        pytest.fail(problem, pytrace=False)
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def orastream_node(request: pytest.FixtureRequest, orastream_session_node: LocalNode) -> LocalNode:
    """A real node on free ports, empty: nats_url, http_url, client(), received(), misbehave(), kill(), restart().

    In coroutines use `orastream_node.aio`. All tests of a worker share its processes.
    """
    request.node.stash[_NODE] = orastream_session_node
    orastream_session_node.reset()
    return orastream_session_node


@pytest.fixture
def orastream_fake_node() -> FakeNode:
    """A node in memory, without processes, for unit tests. See `FakeNode`."""
    from orastream.testing.fake.node import FakeNode

    return FakeNode()


def ports_of(environ: Mapping[str, str]) -> range:
    """The ports that this worker of pytest-xdist may use, so that no two choose the same one; without xdist, all."""
    worker = environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    count = environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    if not (worker.isdecimal() and count.isdecimal() and int(worker) < int(count)):
        return _PORTS
    return _PORTS[int(worker) :: int(count)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a failed test shows the end of the log of each process of its node."""
    report = yield
    node = item.stash.get(_NODE, None)
    if report.failed and node is not None:
        for name, path in node.logs.items():
            if path.exists():
                text = path.read_bytes()[-SHOWN_BYTES:].decode(errors="replace")
                report.sections.append((f"log of {name}", text))
    return report
