"""Recovery times on three nats-servers: `kill -9` of a process, of the server that leads a stream, and a stepdown.

With two replicas of each service. Blocks, so call it in a thread.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from orastream.broker import Broker
from orastream.jetstream.api import JetStream
from tests.bench.measure import number, percentile, table
from tests.bench.node import SLOW, Part, kill_busy, recover
from tests.support.names import NAMES
from tests.support.nats_cluster import NatsCluster
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.scenes import Scene, scene_on
from tests.support.services import Stack

LEASE_S = 3.0
CAUGHT_UP_S = 30.0


def recovery(tries: int) -> tuple[str, bool]:
    """Seconds from the fault until the speech goes on, and whether a goal is missed."""
    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder:
        times = asyncio.run(_measure(Path(folder), tries))
    rows, missed = [], False
    for part, values in times:
        rows.append([part.name, *(number(percentile(values, p), 2) for p in (50, 95, 100)), f"{part.goal_s:g}"])
        missed |= percentile(values, 95) > part.goal_s
    title = f"recovery on three nats-servers, s ({tries} tries)"
    return table([title, "p50", "p95", "max", "goal (p95)"], rows), missed


async def _measure(folder: Path, tries: int) -> list[tuple[Part, list[float]]]:
    logs: Logs = {}
    cluster = NatsCluster(folder, logs, 3)
    stack = Stack(cluster.servers[0], folder, logs, NATS_URL=cluster.url, TTS_STREAM_REPLICAS=3, **SLOW)
    try:
        await cluster.start()
        await stack.start("oraserver")
        await stack.start("synth", "ws_bridge", "http_bridge", replicas=2)
        times = []
        for part in _parts(cluster):
            values = []
            for number_of_try in range(tries):
                async with scene_on(stack, f"{part.name.partition(' ')[0]}-{number_of_try}") as scene:
                    await _whole(cluster)
                    values.append(await recover(scene, part, "r"))
            times.append((part, values))
        return times
    finally:
        stack.kill()
        await cluster.stop()


def _parts(cluster: NatsCluster) -> list[Part]:
    async def kill_leader(_scene: Scene) -> None:
        (await _leader(cluster)).kill()

    async def step_down(_scene: Scene) -> None:
        async with Broker(cluster.url, name="bench", connect_timeout_s=5) as broker:
            await JetStream(broker).api(f"STREAM.LEADER.STEPDOWN.{NAMES.audio_stream}")

    return [
        Part("synth (next chunk)", kill_busy("synth"), LEASE_S + 1),
        Part("ws_bridge (next chunk)", kill_busy("ws_bridge"), LEASE_S + 1),
        Part("http_bridge (session taken)", kill_busy("http_bridge"), LEASE_S + 1, websocket=False),
        Part("leader of TTS_AUDIO, killed (next chunk)", kill_leader, 10.0),
        Part("stepdown of TTS_AUDIO (next chunk)", step_down, 0.5),
    ]


async def _leader(cluster: NatsCluster) -> NatsServer:
    async with Broker(cluster.url, name="bench", connect_timeout_s=5) as broker:
        info = await JetStream(broker).api(f"STREAM.INFO.{NAMES.audio_stream}")
    return next(server for server in cluster.servers if server.identity == info["cluster"]["leader"])


async def _whole(cluster: NatsCluster) -> None:
    """Start the server that a try has killed, and wait until it has caught up with all streams."""
    for server in cluster.servers:
        if not server.running:
            await server.start()
    async with Broker(cluster.url, name="bench", connect_timeout_s=5) as broker:
        js = JetStream(broker)

        async def caught_up() -> bool:
            for stream in (NAMES.sessions_stream, NAMES.audio_stream, NAMES.reports_stream):
                members = (await js.api(f"STREAM.INFO.{stream}")).get("cluster", {})
                replicas = members.get("replicas", [])
                if not members.get("leader") or len(replicas) < 2 or not all(one.get("current") for one in replicas):
                    return False
            return True

        await until(caught_up, "all replicas have caught up", timeout_s=CAUGHT_UP_S, poll_s=0.2)
