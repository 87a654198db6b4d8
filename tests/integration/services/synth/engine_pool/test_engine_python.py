"""ENGINE_PYTHON: an engine installed for another interpreter, and interpreters that cannot run an engine."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from services.synth.engine_pool.pool import EnginePool
from services.synth.engines import base
from services.synth.engines.base import EngineError, UnknownEngine, WrongInterpreter
from tests.support.engines import LOG, install_choir_engine, spoken
from tests.support.services import Stack

pytestmark = pytest.mark.integration


def environment(folder: Path, *, project: bool) -> Path:
    """Returns the interpreter of a new virtual environment; with `project`, it has the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    if project:
        installed = sysconfig.get_path("purelib")
        _packages(folder).joinpath("project.pth").write_text(f"import site; site.addsitedir({installed!r})\n")
    return folder / "bin" / "python"


def _packages(folder: Path) -> Path:
    (packages,) = folder.glob("lib/python*/site-packages")
    return packages


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """An interpreter that has the engine `choir`, which this one lacks."""
    folder = tmp_path / "other"
    python = environment(folder, project=True)
    install_choir_engine(_packages(folder))
    return python


async def test_pool_runs_an_engine_with_another_interpreter(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It uses its own packages, not those on this interpreter's path or in the working directory."""
    assert "choir" not in base.installed()
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "__init__.py").write_text("raise ImportError('another project')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with EnginePool("choir", 1, log=LOG, python=str(other)) as pool, pool.acquire() as engine:
        assert await spoken(engine, "a") == b"a" * 800
        assert Path(f"/proc/{engine.pid}/cmdline").read_bytes().startswith(bytes(other))


async def test_synth_speaks_with_an_engine_of_another_interpreter(other: Path, stack: Stack) -> None:
    await stack.start("synth", TTS_ENGINE="choir", ENGINE_PYTHON=other, SYNTH_SLOTS=2)
    async with Client(stack.nats_server.url) as client:
        report = await client.say("Hello.", session_id="s", phone_id="p", transport="none", fire_and_forget=False)
        assert isinstance(report, Report) and report.status == "delivered", report
        assert report.audio_seconds == 0.05


@pytest.mark.parametrize(
    ("lacking", "error", "message"),
    [
        ("itself", WrongInterpreter, "none cannot be started: No such file or directory"),
        ("rights", WrongInterpreter, "cannot be started: Permission denied"),
        ("project", WrongInterpreter, "install it: .*/bare/bin/python -m pip install ./shared ."),
        ("version", WrongInterpreter, "this version of the project is not installed there"),
        ("engine", UnknownEngine, "'parrot' is not installed; there is: choir, .*espeak"),
    ],
)
async def test_error_names_what_the_interpreter_lacks(
    request: pytest.FixtureRequest, tmp_path: Path, lacking: str, error: type[EngineError], message: str
) -> None:
    old = tmp_path / "old"
    old.write_text("#!/bin/sh\nprintf '\\0\\0\\0\\014\\201\\244type\\245ready'\n")
    old.chmod(0o755)
    match lacking:
        case "engine":
            python = request.getfixturevalue("other")
        case "project":
            python = environment(tmp_path / "bare", project=False)
        case _:
            python = {"itself": tmp_path / "none", "rights": tmp_path, "version": old}[lacking]
    with pytest.raises(error, match=message):
        async with EnginePool("parrot", 1, log=LOG, python=str(python)):
            raise AssertionError("the pool started")


@pytest.mark.parametrize("has_python", [False, True])
async def test_settings_error_names_engine_python(other: Path, stack: Stack, tmp_path: Path, has_python: bool) -> None:
    python = other if has_python else tmp_path / "none"
    synth = stack.add("synth", TTS_ENGINE="parrot", ENGINE_PYTHON=python)
    synth.launch()
    assert await synth.ended(30) == 2
    (line,) = [line for line in synth.text().splitlines() if "cannot start" in line]
    assert "ENGINE_PYTHON: engine" in line
    assert not has_python or f"or take another ENGINE_PYTHON than {other}" in line


async def test_settings_error_names_an_engine_that_is_not_installed(stack: Stack) -> None:
    synth = stack.add("synth", TTS_ENGINE="parrot")
    synth.launch()
    assert await synth.ended(30) == 2
    assert "TTS_ENGINE: engine 'parrot' is not installed; there is: espeak" in synth.text()
