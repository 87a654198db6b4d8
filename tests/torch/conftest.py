"""What the tests of the torch engines share. They run in `.venv-torch`: `make test` does, or

.venv-torch/bin/python -m pytest --confcutdir=tests/torch tests/torch
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.synth.engines.vits.engine import VitsEngine
from services.synth.engines.vits.sample import write_sample
from tests.torch.speaking import loaded


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small random Korean voice and an English one, saved like real ones."""
    directory = tmp_path_factory.mktemp("voices")
    write_sample(directory)
    return directory


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Removes settings of the environment in which the tests run, and its `.env`."""
    for name in [name for name in os.environ if name.startswith(("TTS_", "SYNTH_"))]:
        del os.environ[name]
    os.chdir(tmp_path_factory.mktemp("nowhere"))


@pytest.fixture(scope="session")
def engine(voices: Path, clean_environment: None) -> Iterator[VitsEngine]:
    """The engine with both voices and default settings."""
    engine = loaded(voices)
    yield engine
    engine.close()
