"""The finding about a power cut: what nats-server would lose, by its answer on the monitoring port. Pure.

Source: `/varz` of nats-server 2.10 and later. Its `sync_interval` is in nanoseconds, also while `sync_always` is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orastream.broker import ServerIdentity, shown
from orastream.cli.checks.diagnosis import Finding

SUBJECT = "power cut"
SYNC = (
    "set sync_interval: always in the jetstream block of nats-server's file, or start orastream up --sync always "
    "(docs/guide/durability.md)"
)
NAME_IT = "set NATS_MONITORING_URL to the monitoring port of the node's nats-server, as in http://127.0.0.1:8222"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class MonitoringAnswer:
    """The answer of a monitoring port to `/varz`, or in `trouble` why there was none."""

    varz: Mapping[str, Any] | None
    trouble: str = ""


def judge_power_cut(connected: ServerIdentity, url: str | None, answer: MonitoringAnswer) -> Finding:
    """The finding from the server that doctor is connected to, and from the answer at `url`; None: it is not known."""
    if url is None:
        return _unchecked("the monitoring port of nats-server is not known")
    url = shown(url)
    if answer.varz is None:
        return _unchecked(f"{url} {answer.trouble}")
    identity, sync = _identity(answer.varz), _sync(answer.varz)
    if identity is None or sync is None:
        return _unchecked(f"{url} is not the monitoring port of a nats-server with JetStream")
    same_cluster = bool(identity.cluster) and identity.cluster == connected.cluster
    if identity.server_id != connected.server_id and not same_cluster:
        return _unchecked(f"{url} belongs to another nats-server than NATS_URL")
    always, interval_s = sync
    seen = f"; seen on one server of cluster {identity.cluster}, the others must have the same" if same_cluster else ""
    if always:
        says = "loses nothing that was acked: nats-server syncs each message first (sync_interval: always)"
        return Finding(SUBJECT, "ok", says + seen)
    says = f"loses what was acked in the last {interval_s:g} s: nats-server acks first, and syncs after sync_interval"
    return Finding(SUBJECT, "warning", says + seen, SYNC)


def _unchecked(why: str) -> Finding:
    return Finding(SUBJECT, "warning", f"not checked: {why}", NAME_IT)


def _identity(varz: Mapping[str, Any]) -> ServerIdentity | None:
    server_id, cluster = varz.get("server_id"), varz.get("cluster")
    if not isinstance(server_id, str) or not server_id:
        return None
    name = cluster.get("name") if isinstance(cluster, dict) else None
    return ServerIdentity(server_id, name if isinstance(name, str) else "")


def _sync(varz: Mapping[str, Any]) -> tuple[bool, float] | None:
    """Whether the server syncs before each ack, and after how many seconds otherwise; None without JetStream."""
    jetstream = varz.get("jetstream")
    config = jetstream.get("config") if isinstance(jetstream, dict) else None
    interval = config.get("sync_interval") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not isinstance(interval, int):
        return None
    return config.get("sync_always") is True, interval / _NS
