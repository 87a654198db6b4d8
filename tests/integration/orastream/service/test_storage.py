"""Readiness means that work is possible: a service is unready while the server stores nothing, and ready afterwards."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import ServiceProcess, Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

MB = 1 << 20
SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")


async def is_unready(process: ServiceProcess) -> bool:
    """Whether it runs and says that NATS stores nothing."""
    status, body = await process.get("/readyz")
    live, _ = await process.get("/healthz")
    says = "NATS does not answer or store" if process.service == "gateway" else "NATS stores nothing"
    return (status, live) == (503, 200) and says in json.loads(body)["reason"]


async def test_services_are_unready_while_the_server_has_no_room(tmp_path: Path, logs: Logs) -> None:
    """Something else on the same server fills it. The streams exist all the time."""
    config = tmp_path / "small.conf"
    config.write_text("jetstream { max_file_store: 64MB }\n")
    server = NatsServer(tmp_path, logs, "-c", str(config))
    sizes = dict.fromkeys(("TTS_SESSIONS_MAX_BYTES", "TTS_REPORTS_MAX_BYTES", "TTS_TEXTS_MAX_BYTES"), MB)
    stack = Stack(server, tmp_path, logs, TTS_AUDIO_MAX_BYTES=MB, TTS_PHRASE_CACHE=False, **sizes)
    try:
        await server.start()
        processes = await stack.start("oraserver", *SERVICES, SYNTH_SLOTS=1)
        services = processes[1:]
        async with server.connect() as nc:
            await nc.request("$JS.API.STREAM.CREATE.OTHER", json.dumps({"name": "OTHER", "subjects": ["o"]}).encode())
            answer = b""
            while b"error" not in answer:
                answer = (await nc.request("o", b"x" * 500_000, timeout=10)).data
            assert b"10023" in answer

            for process in services:
                await until(partial(is_unready, process), f"{process.service} is not ready, and says why", timeout_s=15)
            purged = await nc.request("$JS.API.STREAM.PURGE.OTHER", b"", timeout=10)
            assert b'"success":true' in purged.data
            for process in services:
                await until(process.ready, f"{process.service} is ready again", timeout_s=15)
        await stack.stop()
        assert all('"NATS stores again"' in process.text() for process in services)
    finally:
        stack.kill()
        server.kill()
