"""The configuration file of the nats-server that `orastream up` runs, and its two ways to sync. Pure."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path


class Sync(StrEnum):
    """When nats-server syncs stored messages to the disk (docs/guide/durability.md)."""

    PERIODIC = "periodic"
    """Every two minutes, the server's default. A power cut loses what was acked since the last sync."""
    ALWAYS = "always"
    """Before each ack. A power cut loses nothing that was acked; each stored message waits for the disk."""


def nats_config(port: int, monitoring_port: int, store: Path, sync: Sync, *, max_file_store: int | None = None) -> str:
    """The configuration file: both ports on 127.0.0.1, and JetStream with its files in `store`.

    `max_file_store`: the bytes that streams may reserve; None: nats-server's default, three quarters of the disk that
    is free when it starts. By that default a restart has less room than the streams that exist have reserved.

    `periodic` has no line: it is the server's default. nats-server reads a quoted string with the escapes of a quote
    and of a backslash, so `store` may hold both, and spaces, but no control characters.
    """
    lines = [
        "# Written by `orastream up` before each start of nats-server: changes here are lost.",
        f"listen: 127.0.0.1:{port}",
        f"http: 127.0.0.1:{monitoring_port}",
        "jetstream {",
        f"  store_dir: {json.dumps(str(store), ensure_ascii=False)}",
        *([f"  max_file_store: {max_file_store}"] if max_file_store is not None else []),
        *(["  sync_interval: always"] if sync is Sync.ALWAYS else []),
        "}",
    ]
    return "\n".join(lines) + "\n"
