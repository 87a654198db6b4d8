"""Installs npm packages into the virtual environment: not a part of the repository, and kept between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "asyncapi"
"""The programs that judge the AsyncAPI documents and generate types of them."""
CACHE = Path(sys.prefix) / ".npm"


def require_node() -> None:
    """Skip the test without node.js. With REQUIRE_NODE=1 it fails instead."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail("no node.js, and REQUIRE_NODE=1")
        pytest.skip("no node.js")


def installed(package: Path, *more: str) -> Path:
    """A folder with the packages of `package`'s lock file, and copies of its files that are named in `more`.

    npm installs it on the first call. Skips the test without node.js. With REQUIRE_NODE=1 it fails instead.
    """
    require_node()
    wanted = [package / name for name in ("package.json", "package-lock.json", ".npmrc", *more)]
    stamp = hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:16]
    folder = CACHE / f"{package.name}-{stamp}"
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
        for path in wanted:
            shutil.copy(path, fresh)
        run_npm(fresh, "ci", "--ignore-scripts")
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
        assert folder.exists()
    return folder


def run_npm(folder: Path, *arguments: str) -> str:
    """Run npm in a folder and return its output. Raises AssertionError with the output if it fails."""
    done = subprocess.run(
        ["npm", *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, f"npm {' '.join(arguments)} in {folder}:\n{done.stdout}"
    return done.stdout
