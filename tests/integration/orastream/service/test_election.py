"""synth starts while a NATS cluster has no leader: it no_leader_logged, and is ready once there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.broker import Broker
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port, until
from tests.support.services import ServiceProcess

pytestmark = pytest.mark.integration

UNAVAILABLE = 10008
LEADS = "Self is new JetStream cluster metadata leader"
QUORUM_S = 45.0
"""About three times as long as a server needs to notice that it is alone."""


@pytest.fixture
async def cluster(tmp_path: Path, logs: Logs) -> AsyncIterator[list[NatsServer]]:
    """Three running servers, the leader last: a follower is the first to notice that there is no leader."""
    ports = [free_port() for _ in range(3)]
    routes = ",".join(f"nats://127.0.0.1:{port}" for port in ports)
    servers = []
    for number, port in enumerate(ports):
        options = ("--cluster_name", "c", "--cluster", f"nats://127.0.0.1:{port}", "--routes", routes)
        servers.append(NatsServer(tmp_path, logs, *options, name=f"nats-{number}"))
    try:
        for server in servers:
            server.launch()
        await until(lambda: answers(servers[0], None), "the cluster has a leader", timeout_s=QUORUM_S)
        yield sorted(servers, key=lambda server: LEADS in server.text())
    finally:
        for server in servers:
            server.kill()


async def answers(server: NatsServer, error: int | None) -> bool:
    """Whether the server answers a JetStream API call with that error code; None: without an error."""
    try:
        async with Broker(server.url, name="test", connect_timeout_s=1) as broker:
            answer = await JetStream(broker).api("INFO", patience_s=0.5)
    except NodeUnavailable:
        return False
    answered_error = answer.get("error")
    return answered_error is None if error is None else bool(answered_error) and answered_error["err_code"] == error


async def test_synth_is_ready_after_the_cluster_has_elected_a_leader(
    cluster: list[NatsServer], tmp_path: Path, logs: Logs
) -> None:
    first, *others = cluster
    for server in others:
        server.kill()
    await until(lambda: answers(first, UNAVAILABLE), "the server says that it has no leader", timeout_s=QUORUM_S)
    settings = {"NATS_URL": first.url, "SYNTH_SLOTS": 1, "TTS_AUDIO_MAX_BYTES": 64 << 20, "TTS_STREAM_REPLICAS": 3}
    synth = ServiceProcess("synth", tmp_path, logs, settings)
    try:
        synth.launch()

        async def no_leader_logged() -> bool:
            assert synth.running, synth.text()
            return str(UNAVAILABLE) in synth.text()

        await until(no_leader_logged, "synth has logged that there is no leader", timeout_s=30)
        status, why = await synth.get("/readyz")
        assert status == 503 and str(UNAVAILABLE).encode() in why
        for server in others:
            server.launch()
        await synth.until_ready(synth.ready)
    finally:
        synth.kill()
