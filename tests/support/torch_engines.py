"""For tests outside `.venv-torch`: the interpreter of the torch engines, and small models with random weights."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import pocket_model
from tests.support.services import REPOSITORY

TORCH_PYTHON = REPOSITORY / ".venv-torch" / "bin" / "python"
POCKET_MODEL = Path(pocket_model.__file__)


def torch_python() -> Path:
    """TORCH_PYTHON. Without `.venv-torch` the test is skipped; with REQUIRE_TORCH=1 it fails."""
    if not TORCH_PYTHON.exists():
        if os.environ.get("REQUIRE_TORCH") == "1":
            pytest.fail("REQUIRE_TORCH is set and there is no .venv-torch: run `make torch`")
        pytest.skip("there is no .venv-torch; `make torch` makes it")
    return TORCH_PYTHON


def made_once(factory: pytest.TempPathFactory, name: str, command: Sequence[str | Path]) -> Path:
    """A folder that `command` fills; the folder is its last argument. It runs once in a test run, in the first worker.

    The import of torch takes seconds, and all workers may read the same model.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / name
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = factory.mktemp(name)
            subprocess.run([*command, making], cwd=REPOSITORY, check=True, timeout=200)
            making.rename(folder)
    return folder


@pytest.fixture(scope="session")
def vits_voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for TTS_MODEL_DIR, with VITS models. Needs `torch_python`."""
    return made_once(tmp_path_factory, "vits-voices", [torch_python(), "-m", "services.synth.engines.vits.sample"])


@pytest.fixture(scope="session")
def pocket_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for POCKET_CONFIG: a model that speaks up to the library's limit. Needs `torch_python`."""
    folder = made_once(tmp_path_factory, "pocket", [torch_python(), "-P", POCKET_MODEL, "--endless"])
    return folder / "model.yaml"
