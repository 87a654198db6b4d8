"""nats-server does what its configuration file says, that of `orastream up` and those of deploy/: when it syncs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from orastream.cli.node.nats_config import Sync
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, free_port
from tests.support.services import REPOSITORY

pytestmark = pytest.mark.integration


async def varz_of(monitoring_url: str | None) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{monitoring_url}/varz") as answer:
        varz: dict[str, Any] = await answer.json(content_type=None)
    return varz


def deployed(name: str) -> dict[str, str]:
    """The configuration of nats-server in deploy/: of compose.yaml, or of Kubernetes. Path → text."""
    if name == "compose":
        parts = (REPOSITORY / "deploy" / "open" / "server").iterdir()
        config = (REPOSITORY / "deploy" / "nats.conf").read_text()
        return {"orastream.conf": config} | {f"auth/{part.name}": part.read_text() for part in parts}
    resources = list(yaml.safe_load_all((REPOSITORY / "deploy/kubernetes/base/nats.yaml").read_text()))
    maps = {one["metadata"]["name"]: one["data"] for one in resources if one["kind"] == "ConfigMap"}
    (server,) = [one for one in resources if one["kind"] == "StatefulSet"]
    files: dict[str, str] = {}
    for volume in server["spec"]["template"]["spec"]["volumes"]:
        for source in volume["projected"]["sources"]:
            data = maps[source["configMap"]["name"]]
            items = source["configMap"].get("items") or [{"key": key, "path": key} for key in data]
            files |= {item["path"]: data[item["key"]] for item in items}
    return files


@pytest.mark.parametrize(("sync", "always"), [(Sync.ALWAYS, True), (Sync.PERIODIC, False)])
async def test_server_reports_how_it_syncs_and_stores(tmp_path: Path, logs: Logs, sync: Sync, always: bool) -> None:
    folder = tmp_path / 'a "quoted" \\ 폴더'
    folder.mkdir()
    server = NatsServer(folder, logs, sync=sync)
    try:
        await server.start()
        varz = await varz_of(server.monitoring_url)
    finally:
        server.kill()
    config = varz["jetstream"]["config"]
    assert config.get("sync_always", False) is always
    assert config["sync_interval"] == 120 * 10**9
    assert Path(config["store_dir"]) == server.data / "jetstream"
    assert (varz["host"], varz["port"], varz["http_host"]) == ("127.0.0.1", server.port, "127.0.0.1")


@pytest.mark.parametrize("name", ["compose", "kubernetes"])
async def test_deployed_server_syncs_before_each_ack(tmp_path: Path, logs: Logs, name: str) -> None:
    config, port = tmp_path / "orastream.conf", free_port()
    for path, text in deployed(name).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text.replace("store_dir: /data\n", "\n"))  # the flags say it
    server = NatsServer(tmp_path, logs, "-c", str(config), "-m", str(port))
    try:
        await server.start()
        varz = await varz_of(f"http://127.0.0.1:{port}")
    finally:
        server.kill()
    assert varz["jetstream"]["config"]["sync_always"] is True
