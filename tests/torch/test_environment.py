"""The engines of `.venv-torch` fit together: the installed versions satisfy the requirements of each package."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.torch


def test_installed_versions_satisfy_all_requirements() -> None:
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=50)
    assert check.returncode == 0, check.stdout
