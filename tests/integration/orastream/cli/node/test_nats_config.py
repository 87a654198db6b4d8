"""nats-server does what its configuration file says: the ports, the folder, and when it syncs."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from orastream.cli.node.nats_config import Sync
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("sync", "always"), [(Sync.ALWAYS, True), (Sync.PERIODIC, False)])
async def test_server_reports_how_it_syncs_and_stores(tmp_path: Path, logs: Logs, sync: Sync, always: bool) -> None:
    folder = tmp_path / 'a "quoted" \\ 폴더'
    folder.mkdir()
    server = NatsServer(folder, logs, sync=sync)
    try:
        await server.start()
        async with aiohttp.ClientSession() as http, http.get(f"{server.monitoring_url}/varz") as answer:
            varz = await answer.json(content_type=None)
    finally:
        server.kill()
    config = varz["jetstream"]["config"]
    assert config.get("sync_always", False) is always
    assert config["sync_interval"] == 120 * 10**9
    assert Path(config["store_dir"]) == server.data / "jetstream"
    assert (varz["host"], varz["port"], varz["http_host"]) == ("127.0.0.1", server.port, "127.0.0.1")
