"""The planted faults replace what exists; a process that cannot plant its fault does not run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.chaos.composed.node import PLANTED
from tests.chaos.planted.planted_faults import PLANTS, RUNS
from tests.support.services import REPOSITORY

pytestmark = pytest.mark.chaos

PLANT_ALL = "from planted_faults import PLANTS, plant; [plant(name, PLANTS[name][0][0]) for name in PLANTS]"


def python(*argv: str, plant: str) -> subprocess.CompletedProcess[str]:
    """Run Python as the processes of a node with a planted fault run."""
    path = os.pathsep.join([str(PLANTED), str(REPOSITORY), str(REPOSITORY / "shared")])
    env = {"PATH": os.defpath, "PYTHONPATH": path, "CHAOS_PLANTED": plant}
    return subprocess.run([sys.executable, *argv], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_each_planted_fault_replaces_something_that_exists() -> None:
    """One that set an attribute of another name than the node uses would be found by no run."""
    result = python("-c", PLANT_ALL, plant="")
    assert result.returncode == 0, result.stderr
    assert PLANTS


def test_each_planted_fault_has_a_run_that_finds_it() -> None:
    assert RUNS.keys() == PLANTS.keys()


def test_a_service_without_its_planted_fault_ends() -> None:
    """Python only prints an exception of sitecustomize: the node ran undisturbed, and the run proved nothing."""
    result = python("-m", "services.synth", plant="no-such-fault")
    assert result.returncode == 70
    assert "no-such-fault" in result.stderr
