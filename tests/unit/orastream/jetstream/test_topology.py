"""What `ensure_stream` sends to the server for a cache, a stream with `persist_mode`."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.jetstream.topology import StreamLimits, config_to_create, config_to_update, stream_configs
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

ASYNC = {"persist_mode": "async"}


def config(replicas: int, **more: str) -> dict[str, Any]:
    return {"name": "S", "num_replicas": replicas, **more}


@pytest.mark.parametrize(
    ("wanted", "created"),
    [
        (config(1, **ASYNC), config(1, **ASYNC)),
        (config(3, **ASYNC), config(3)),
        (config(1), config(1)),
        (config(3), config(3)),
    ],
)
def test_only_a_stream_with_one_replica_is_created_async(wanted: dict[str, Any], created: dict[str, Any]) -> None:
    assert config_to_create(wanted) == created


@pytest.mark.parametrize(
    ("wanted", "there", "update"),
    [
        (config(1, **ASYNC), config(1, **ASYNC), config(1, **ASYNC)),
        (config(1, **ASYNC), config(1), config(1)),
        (config(1, **ASYNC), config(3), config(1)),
        (config(3, **ASYNC), config(1), config(3)),
        (config(3, **ASYNC), config(1, **ASYNC), None),
        (config(3), config(1, **ASYNC), config(3, **ASYNC)),
    ],
)
def test_update_keeps_the_mode_of_the_stream(
    wanted: dict[str, Any], there: dict[str, Any], update: dict[str, Any] | None
) -> None:
    assert config_to_update(wanted, there) == update


def test_streams_of_the_node_are_no_caches() -> None:
    """A heartbeat that a killed server forgets would let a second bridge write (decision 17)."""
    for limits in (StreamLimits(), StreamLimits(replicas=3)):
        assert all("persist_mode" not in stream for stream in stream_configs(NAMES, limits))
