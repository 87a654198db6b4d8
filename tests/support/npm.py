"""The programs of node.js that judge the AsyncAPI documents and generate types of them."""

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
"""`package.json` names the programs, `package-lock.json` their versions."""
CACHE = Path(sys.prefix) / ".asyncapi"
"""In the virtual environment, so that it is not part of the repository and stays between runs."""


def installed() -> Path:
    """A folder with these programs, which npm installs on the first call.

    Skips the test without node.js. With REQUIRE_NODE=1 it fails instead.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        reason = "no node.js: AsyncAPI's own parser and generators do not read the AsyncAPI documents"
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail(f"{reason}, and REQUIRE_NODE=1")
        pytest.skip(reason)
    wanted = [PACKAGE / name for name in ("package.json", "package-lock.json", ".npmrc", "check.js")]
    folder = CACHE / hashlib.sha256(b"".join(path.read_bytes() for path in wanted)).hexdigest()[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix="new-", dir=CACHE))
        for path in wanted:
            shutil.copy(path, fresh)
        done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=fresh, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm ci in {fresh}:\n{done.stdout}{done.stderr}"
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
        assert folder.exists()
    return folder
