"""The samples of the voice agents' guide pass mypy --strict and pyright, and run against a real node."""

from __future__ import annotations

import asyncio
import runpy
from pathlib import Path

import pytest

from tests.support.samples import INTEGRATIONS, frames, write_programs
from tests.support.services import Stack
from tests.support.type_checkers import mypy, pyright

pytestmark = [pytest.mark.integrations, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The programs, by name, as a reader would write them."""
    return write_programs(tmp_path_factory.mktemp("samples"), INTEGRATIONS)


async def test_samples_pass_the_type_checkers(programs: dict[str, Path]) -> None:
    folder = next(iter(programs.values())).parent
    by_mypy, by_pyright = await asyncio.gather(mypy(folder), pyright(folder))
    assert not (by_mypy or by_pyright), "\n".join(map(str, ["", *by_mypy, *by_pyright]))


@pytest.mark.parametrize("name", [frame.path.stem for frame in frames(INTEGRATIONS)])
async def test_sample_runs(name: str, programs: dict[str, Path], node: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", node.nats_server.url)
    async with asyncio.timeout(60):
        await asyncio.to_thread(runpy.run_path, str(programs[name]), run_name="__main__")
