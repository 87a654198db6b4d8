"""Faults of nats-servers: what they do when JetStream has no leader, and that a full disk is free again."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from tests.chaos.composed.server_faults import late_replicas, leader_of
from tests.support.nats_cluster import NatsCluster

pytestmark = pytest.mark.unit

FULL_BYTES = (2 << 20) - 4096
"""No file can be larger, as on a full disk."""


def test_a_stream_without_a_leader_has_none(tmp_path: Path) -> None:
    """nats-server leaves `leader` out then, also the whole `cluster`. The look-up ended the run with a KeyError."""
    servers = NatsCluster(tmp_path, {}).servers
    for info in ({}, {"cluster": None}, {"cluster": {"name": "chaos"}}, {"cluster": {"leader": "nats-7-abc"}}):
        assert leader_of(info, servers) is None
    assert leader_of({"cluster": {"leader": "nats-0-abc"}}, servers) is servers[0]


def test_replicas_that_are_late_are_named() -> None:
    current = {"name": "a", "current": True}
    assert late_replicas({"cluster": {"leader": "l", "replicas": [current, current]}}, 3) == ""
    assert late_replicas({"cluster": {"leader": "l", "replicas": [current, {"name": "b", "lag": 2}]}}, 3) == "b"
    assert late_replicas({"cluster": {"leader": "l", "replicas": [current]}}, 3) == "2 of 3 replicas"
    assert late_replicas({"cluster": {"replicas": [current, current]}}, 3) == "no leader"
    assert late_replicas({}, 3) == "no leader"


def test_filling_a_disk_raises_nothing(tmp_path: Path) -> None:
    """A write that fits in part left bytes in the file's buffer. Its close raised then, and the disk stayed full."""
    cluster = NatsCluster(tmp_path, {})
    filler = cluster.servers[0].data / "filler"
    filler.parent.mkdir()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, limit[1]))
    try:
        cluster.fill(0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert filler.stat().st_size == FULL_BYTES
    cluster.free_space(0)
    assert not filler.exists()
