"""Prometheus for tests: the installed `prometheus` and `promtool` (Debian package prometheus)."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.processes import Logs, Process, free_port


@pytest.fixture(scope="session")
def require_prometheus() -> None:
    """Skip the test without Prometheus (apt install prometheus); fail it if REQUIRE_PROMETHEUS=1."""
    lacking = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if not lacking:
        return
    lacks = f"there is no {' and no '.join(lacking)}; on Debian and Ubuntu: apt install prometheus"
    if os.environ.get("REQUIRE_PROMETHEUS") == "1":
        pytest.fail(f"REQUIRE_PROMETHEUS=1, and {lacks}", pytrace=False)
    pytest.skip(lacks)


def promtool(*arguments: str | Path, stdin: bytes | None = None) -> str:
    """The output of `promtool …`. Raises AssertionError with the output if it fails."""
    done = subprocess.run(["promtool", *map(str, arguments)], input=stdin, capture_output=True, timeout=60)
    printed = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, f"promtool {' '.join(map(str, arguments))}: {printed}"
    return printed


class Prometheus(Process):
    """A Prometheus process with that configuration, on a free port."""

    def __init__(self, config: Path, folder: Path, logs: Logs) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        log = logs["prometheus"] = folder / "prometheus.log"
        argv = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__("prometheus", argv, env=dict(os.environ), cwd=folder, log=log)

    async def start(self) -> None:
        """Start it; returns when it is ready. Raises ProcessFailed."""
        self.launch()
        await self.until_ready(self._ready)

    async def _ready(self) -> bool:
        try:
            async with self._http() as http, http.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError):
            return False

    async def query(self, expr: str) -> dict[str, float]:
        """The instant vector of an expression: the value by `job`."""
        async with self._http() as http, http.get(f"{self.url}/api/v1/query", params={"query": expr}) as answer:
            body = await answer.json()
        assert body["status"] == "success", body
        return {sample["metric"].get("job", ""): float(sample["value"][1]) for sample in body["data"]["result"]}

    async def firing(self) -> set[str]:
        """The names of the alerts that are firing."""
        async with self._http() as http, http.get(f"{self.url}/api/v1/alerts") as answer:
            alerts: list[dict[str, Any]] = (await answer.json())["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    def _http(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5))
