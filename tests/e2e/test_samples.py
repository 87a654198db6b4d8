"""Each Python sample of README and of the documents passes mypy --strict and pyright, and runs against a real node."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Logs
from tests.support.samples import GATEWAY_URL, NATS_URL, frames, write_programs
from tests.support.services import Stack
from tests.support.type_checkers import mypy, pyright

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NAMES = [frame.path.stem for frame in frames()]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The programs, by name, as a reader would write them."""
    return write_programs(tmp_path_factory.mktemp("samples"))


async def test_samples_pass_the_type_checkers(programs: dict[str, Path]) -> None:
    folder = next(iter(programs.values())).parent
    by_mypy, by_pyright = await asyncio.gather(mypy(folder), pyright(folder))
    assert not (by_mypy or by_pyright), "\n".join(map(str, ["", *by_mypy, *by_pyright]))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, programs: dict[str, Path], node: Stack) -> Path:
    """The programs, with the addresses of the node of this module in place of those of the documents."""
    folder = tmp_path_factory.mktemp("samples-here")
    for program in next(iter(programs.values())).parent.glob("*.py"):
        code = program.read_text(encoding="utf-8")
        code = code.replace(NATS_URL, node.nats_server.url).replace(GATEWAY_URL, node.only("gateway").url)
        (folder / program.name).write_text(code, encoding="utf-8")
    return folder


@pytest.fixture
def as_a_user(here: Path, node: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder and the environment in which a user starts a program."""
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setenv("NATS_URL", node.nats_server.url)
    monkeypatch.setenv("NATS_NKEY_SEED", "SUAMK2FG4MI6UE3ACF3FK3OIQBCEIEZV7NSWFFEW63UXMRLFM2XLAXK4GY")
    yield
    sys.modules.pop("given", None)


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize("name", NAMES)
async def test_sample_runs(name: str, here: Path, node_logs: Logs, logs: Logs) -> None:
    logs.update(node_logs)
    async with asyncio.timeout(60):
        await asyncio.to_thread(runpy.run_path, str(here / f"{name}.py"), run_name="__main__")
