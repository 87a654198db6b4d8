"""What the tests of hosts share: `.venv-hosts`, in which the hosts run, and one node."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from orastream.cli.node.nats_config import Sync
from tests.support.processes import Logs, Process, free_port
from tests.support.scenes import running_node
from tests.support.services import REPOSITORY, Stack, environment

APPS = Path(__file__).parent / "apps"
BIN = REPOSITORY / ".venv-hosts" / "bin"

Serve = Callable[..., Awaitable[str]]


@pytest.fixture(scope="module")
def node_logs() -> Logs:
    """The logs of the processes that the tests share."""
    return {}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """A node that the tests share."""
    if not (BIN / "gunicorn").exists():
        pytest.fail("no .venv-hosts; run `make test-hosts`")
    with running_node(tmp_path_factory.mktemp("node"), node_logs, replicas=1, sync=Sync.PERIODIC) as stack:
        yield stack


@pytest.fixture
def host_env(node: Stack, node_logs: Logs, logs: Logs, tmp_path: Path) -> dict[str, str]:
    """The environment of a host's processes."""
    logs.update(node_logs)
    env = environment({"TEST_NATS_URL": node.nats_server.url, "TEST_FOLDER": tmp_path})
    paths = (REPOSITORY / "shared", APPS)
    return env | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONWARNINGS": "ignore"}


@pytest.fixture
async def serve(host_env: dict[str, str], logs: Logs, tmp_path: Path) -> AsyncIterator[Serve]:
    """`await serve("gunicorn", …)`: start a web server of `.venv-hosts` on a port of its own; returns its URL."""
    started: list[Process] = []

    async def start(program: str, *options: str, **more: str) -> str:
        port = free_port()
        address = (
            ["--bind", f"127.0.0.1:{port}", "--no-control-socket", "--graceful-timeout", "1"]
            if program == "gunicorn"
            else ["--port", str(port)]
        )
        logs[program] = tmp_path / f"{program}.log"
        server = Process(
            program, [BIN / program, *address, *options], env=host_env | more, cwd=tmp_path, log=logs[program]
        )
        server.launch()
        started.append(server)

        async def answers() -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/nothing"):
                    return True
            except aiohttp.ClientError:
                return False

        await server.until_ready(answers, timeout_s=30)
        return f"http://127.0.0.1:{port}"

    yield start
    for server in started:
        # An idle gevent worker of gunicorn ends when its graceful timeout does; uvicorn ends by the signal.
        assert await server.stop() in (0, -signal.SIGTERM), server.text()


@pytest.fixture
def run_app(host_env: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """`run_app("green.py", "gevent")`: run an application of `.venv-hosts` to its end; returns what it prints."""

    def run(name: str, *arguments: str) -> str:
        command = [BIN / "python", APPS / name, *arguments]
        done = subprocess.run(command, env=host_env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
