"""Nodes behind one front door: a running one, and which node a session belongs to."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from orastream.contract.front_door import mapping_conf
from orastream.contract.names import Names
from orastream.contract.report_state import state_of
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.nats_cluster import NatsCluster
from tests.support.processes import Logs
from tests.support.services import Stack

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")


@contextlib.contextmanager
def running_nodes(folder: Path, nodes: int = 2, servers: int = 1) -> Iterator[Stack]:
    """Run NATS with the mapping, OraServer, and each service once for each node, all ready; kills them at the end."""
    logs = Logs()
    cluster = NatsCluster(folder, logs, servers, more=mapping_conf(NAMES, nodes))
    limits: dict[str, object] = {"TTS_AUDIO_MAX_BYTES": 256 << 20, "TTS_STREAM_REPLICAS": servers}
    limits |= dict.fromkeys(
        ("TTS_SESSIONS_MAX_BYTES", "TTS_REPORTS_MAX_BYTES", "TTS_HEARD_MAX_BYTES", "TTS_TEXTS_MAX_BYTES"), 64 << 20
    )
    stack = Stack(cluster.servers[0], folder, logs, **limits)
    stack.settings["NATS_URL"] = cluster.url

    async def start() -> None:
        await cluster.start()
        await stack.start("oraserver")
        await asyncio.gather(*(stack.start(*SERVICES, TTS_PREFIX=f"tts.{number}") for number in range(nodes)))

    loop = asyncio.new_event_loop()  # the proxies between the servers live in it
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(start(), loop).result()
        yield stack
    finally:
        stack.kill()
        asyncio.run_coroutine_threadsafe(cluster.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def node_of(token: str, nodes: int = 2) -> int:
    """The node that the server's `partition(nodes, …)` chooses for a session's token: FNV-1a, 32 bits, modulo nodes."""
    value = 0x811C9DC5
    for byte in token.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % nodes


async def requests_in(js: JetStream, node: Names) -> dict[str, set[str]]:
    """The requests of which a node has reports, by session."""
    found: dict[str, set[str]] = defaultdict(set)
    after = 0
    while page := await js.read(node.reports_stream, node.reports("*"), after):
        for message in page:
            state = state_of(message)
            assert state is not None
            found[state.report.session_id].add(state.report.request_id)
            after = message.sequence
    return found
