"""Fixtures of all tests. What a failed test had started shows its log in the report."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from orastream.broker import Broker
from orastream.client.async_client import Client
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.nats_server import NatsServer
from tests.support.node_receiver import built_in
from tests.support.processes import Logs
from tests.support.services import ServiceProcess, Stack

# A time limit for an example fails on a busy machine. Benchmarks measure time; a test has pytest's time limit.
hypothesis.settings.register_profile("orastream", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("orastream")

ServiceProcess.by_fork = sys.platform == "linux"

SHOWN_BYTES = 6_000

_LOGS = pytest.StashKey[Logs]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows the end of the log of each process that the test started."""
    report = yield
    if report.failed:
        for name, path in item.stash.get(_LOGS, {}).items():
            if path.exists():
                text = path.read_bytes()[-SHOWN_BYTES:].decode(errors="replace")
                report.sections.append((f"log of {name}", text or "(it said nothing)"))
    return report


@pytest.fixture
def logs(request: pytest.FixtureRequest) -> Logs:
    """Name → log file of what the test starts; processes of `tests.support` enter themselves."""
    node: pytest.Item = request.node
    return node.stash.setdefault(_LOGS, {})


@pytest.fixture
async def nats_server(tmp_path: Path, logs: Logs) -> AsyncIterator[NatsServer]:
    """A nats-server of the test's own, running, without any stream."""
    server = NatsServer(tmp_path, logs)
    try:
        await server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[Broker]:
    """A connection to `nats_server`."""
    async with Broker(nats_server.url, name="test", connect_timeout_s=5) as broker:
        yield broker


@pytest.fixture
async def js(broker: Broker) -> JetStream:
    """JetStream of `nats_server` with the node's streams in it."""
    js = JetStream(broker)
    await StreamKeeper(js, StreamLimits(audio_max_bytes=256 << 20)).ensure()
    return js


@pytest.fixture
def client(js: JetStream) -> Client:
    """A client over the test's own connection; the streams are there."""
    return Client(js.broker)


@pytest.fixture
def stack(nats_server: NatsServer, tmp_path: Path, logs: Logs) -> Iterator[Stack]:
    """An empty stack over `nats_server`: start in it what the test needs. What still runs at the end is killed."""
    stack = Stack(nats_server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=256 << 20)
    try:
        yield stack
    finally:
        stack.kill()


@pytest.fixture(scope="session")
def node_receiver_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which clients/oraserver-node is built, once for each worker. Skips without node.js."""
    return built_in(tmp_path_factory.mktemp("oraserver-node"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have recorded, after all their output, also with xdist.

    `record_property("figure", …)`: what a test has measured and asserted a bound for, if it passed. `"score"`: how many
    cases of a table are right, and which are wrong, passed or not.
    """
    passed, failed = terminalreporter.getreports("passed"), terminalreporter.getreports("failed")
    for title, name, reports in (("figures", "figure", passed), ("scores", "score", [*passed, *failed])):
        properties = [entry for report in reports if report.when == "call" for entry in report.user_properties]
        if lines := [str(value) for key, value in properties if key == name]:
            terminalreporter.section(title)
            terminalreporter.write_line("\n".join(lines))
