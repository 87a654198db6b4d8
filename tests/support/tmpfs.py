"""Small file systems in memory, for tests that need a disk of a known size. Only root may mount them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


def mount(path: Path, size_mb: int) -> None:
    """Mount a tmpfs of so many MiB. Raises CalledProcessError if it is not permitted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "chaos", str(path)]
    subprocess.run(command, check=True, timeout=10, capture_output=True, text=True)


def unmount(path: Path) -> None:
    """Unmount it, also while files in it are open."""
    subprocess.run(["umount", "-l", str(path)], check=False, timeout=10)


def why_no_tmpfs() -> str:
    """Why a tmpfs cannot be mounted here; empty if it can. Tries it: root in a container may lack the right."""
    if os.geteuid() != 0:
        return "only root may mount a tmpfs"
    if not (shutil.which("mount") and shutil.which("umount")):
        return "there is no command `mount` or `umount`"
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), 1)
        except subprocess.CalledProcessError as exc:
            return str(exc.stderr).strip() or f"mount: exit code {exc.returncode}"
        unmount(Path(folder))
    return ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 MiB. Skips the test where no tmpfs can be mounted; fails it if REQUIRE_TMPFS=1."""
    lacks = why_no_tmpfs()
    if lacks and os.environ.get("REQUIRE_TMPFS") == "1":
        pytest.fail(f"REQUIRE_TMPFS=1, and {lacks}", pytrace=False)
    if lacks:
        pytest.skip(lacks)
    disk = tmp_path / "disk"
    disk.mkdir()
    mount(disk, 400)
    try:
        yield disk
    finally:
        unmount(disk)
