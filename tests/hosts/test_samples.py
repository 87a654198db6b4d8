"""The samples of the page about hosts pass mypy --strict and pyright, and run against a real node."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.hosts.conftest import BIN
from tests.support.samples import HOSTS, frames, write_programs
from tests.support.services import Stack
from tests.support.type_checkers import mypy, pyright

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The programs, by name, as a reader would write them."""
    return write_programs(tmp_path_factory.mktemp("samples"), HOSTS)


async def test_samples_pass_the_type_checkers(programs: dict[str, Path]) -> None:
    folder, python = next(iter(programs.values())).parent, BIN / "python"
    by_mypy, by_pyright = await asyncio.gather(mypy(folder, python), pyright(folder, python=python))
    assert not (by_mypy or by_pyright), "\n".join(map(str, ["", *by_mypy, *by_pyright]))


@pytest.mark.parametrize("name", [frame.path.stem for frame in frames(HOSTS)])
async def test_sample_runs(name: str, programs: dict[str, Path], node: Stack, host_env: dict[str, str]) -> None:
    env = host_env | {"NATS_URL": node.nats_server.url}
    command = [BIN / "python", programs[name]]
    done = await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
