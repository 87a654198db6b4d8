"""Tests of programs that use the node: a real one, one in memory, and one in containers (docs/guide/testing.md).

    from orastream.testing import FakeNode, FakeOutcome, LocalNode, OrastreamContainer

The pytest plugin `orastream.testing.plugin` has the fixtures. Each name here is imported at its first use: `FakeNode`
needs only the library, `LocalNode` the extra `testing` and the services, `OrastreamContainer` the extra `containers`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orastream.testing.containers import OrastreamContainer
    from orastream.testing.fake.node import FakeNode
    from orastream.testing.fake.outcomes import FakeOutcome
    from orastream.testing.local_node import LocalNode

_HOMES = {
    "FakeNode": "fake.node",
    "LocalNode": "local_node",
    "OrastreamContainer": "containers",
    "FakeOutcome": "fake.outcomes",
}

__all__ = ["FakeNode", "FakeOutcome", "LocalNode", "OrastreamContainer"]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'orastream.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"orastream.testing.{home}"), name)
