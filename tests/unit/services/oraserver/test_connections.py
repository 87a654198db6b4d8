"""The newest connection of a session and phone replaces the older ones."""

from __future__ import annotations

import pytest

from services.oraserver.connections import CurrentConnections
from services.oraserver.frames import Init

pytestmark = pytest.mark.unit


def test_a_newer_init_replaces_the_older_connection() -> None:
    current = CurrentConnections()
    current.began("a", None)
    assert not current.replaced("a"), "before its init"
    current.began("a", Init("s", "p"))
    current.began("other phone", Init("s", "q"))
    assert not current.replaced("a")
    current.began("b", Init("s", "p"))
    current.began("a", Init("s", "p"))  # each frame calls it: only the first init of a connection counts
    assert current.replaced("a") and not current.replaced("b") and not current.replaced("other phone")
    current.ended("b")
    assert current.replaced("a"), "still replaced when the newer one has ended"
    current.ended("a")
    assert not current.replaced("a")
