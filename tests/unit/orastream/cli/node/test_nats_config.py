"""The configuration file of the nats-server that `orastream up` runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.cli.node.nats_config import Sync, nats_config

pytestmark = pytest.mark.unit


def test_config_listens_on_loopback_only() -> None:
    for sync in Sync:
        text = nats_config(4222, 8222, Path("/data/nats"), sync)
        assert "listen: 127.0.0.1:4222\n" in text
        assert "http: 127.0.0.1:8222\n" in text
        assert '  store_dir: "/data/nats"\n' in text


def test_config_syncs_before_each_ack_only_with_always() -> None:
    always, periodic = (nats_config(1, 2, Path("/x"), sync).splitlines() for sync in (Sync.ALWAYS, Sync.PERIODIC))
    assert [line for line in always if line not in periodic] == ["  sync_interval: always"]
    assert [line for line in periodic if line not in always] == []


def test_config_says_what_streams_may_reserve_only_if_it_is_given() -> None:
    (with_it, without) = (
        nats_config(1, 2, Path("/x"), Sync.PERIODIC, max_file_store=size).splitlines() for size in (7 << 20, None)
    )
    assert [line for line in with_it if line not in without] == ["  max_file_store: 7340032"]


def test_config_escapes_the_path() -> None:
    text = nats_config(1, 2, Path('/a "b"\\c'), Sync.PERIODIC)
    assert '  store_dir: "/a \\"b\\"\\\\c"\n' in text
