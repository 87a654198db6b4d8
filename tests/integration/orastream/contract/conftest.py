"""What judges the AsyncAPI documents and generates types of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import npm


@pytest.fixture(scope="module")
def asyncapi_tools() -> Path:
    """A folder with AsyncAPI's parser, the generators of types and tsc for node.js. Skips without node.js."""
    return npm.installed(npm.PACKAGE, "check.js")
