"""What Prometheus itself says of deploy/: configurations, rules, dashboards; and an alert that really fires."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from orastream.cli.node.upfile import UpFile
from tests.support.monitoring import PROMETHEUS, dashboards, panel_expressions, queries, variables, with_all
from tests.support.processes import Logs, Process, until
from tests.support.prometheus import Prometheus, promtool, require_prometheus
from tests.support.services import environment

__all__ = ["require_prometheus"]

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("require_prometheus")]

KUBERNETES = PROMETHEUS.parent / "kubernetes" / "prometheus.yml"


@pytest.mark.parametrize("name", ["prometheus.yml", "local.yml"])
def test_configuration_is_valid(name: str) -> None:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    assert f"{len(rules)} rules found" in promtool("check", "config", PROMETHEUS / name)


def test_configuration_for_kubernetes_is_valid(tmp_path: Path) -> None:
    """Debian's build knows no Kubernetes: all but the discovery is checked."""
    config = yaml.safe_load(KUBERNETES.read_text())
    (job,) = config["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    assert fired == {rule["alert"] for rule in rules}


def test_each_panel_has_valid_promql(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": expression} for n, expression in enumerate(panel_expressions())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", tmp_path / "panels.yml")


@pytest.mark.timeout(240)
async def test_alert_fires_when_a_bridge_is_down(tmp_path: Path, logs: Logs) -> None:
    """`orastream up` as it is, scraped by a real Prometheus; ws_bridge is killed as often as it comes back."""
    log = logs["up"] = tmp_path / "up.log"
    argv = [sys.executable, "-m", "orastream.cli", "up", "--data-dir", tmp_path / "node"]
    argv += ["--nats-port", "0", "--gateway-port", "0", "--oraserver-port", "0"]
    up = Process("up", argv, env=environment({"SYNTH_SLOTS": 1}), cwd=tmp_path, log=log)

    def file() -> UpFile | None:
        return UpFile.read(tmp_path / "node")

    async def ready() -> bool:
        return file() is not None

    up.launch()
    prometheus: Prometheus | None = None
    try:
        await up.until_ready(ready, 120)
        node = file()
        assert node is not None
        prometheus = Prometheus(_config(node, tmp_path), tmp_path, logs)
        await prometheus.start()

        async def all_up() -> bool:
            assert prometheus is not None
            return await prometheus.query("up") == dict.fromkeys(JOBS, 1.0)

        await until(all_up, "Prometheus has scraped every service", timeout_s=40, poll_s=0.5)
        assert await prometheus.firing() == set()
        assert (await prometheus.query("orastream_nats_connected"))["ws_bridge"] == 1
        (dashboard,) = dashboards().values()
        listed = variables(dashboard)["service"]["definition"].removeprefix("label_values(").removesuffix(", job)")
        services = await prometheus.query(f"group by (job) ({with_all(listed)})")
        assert set(services) == set(JOBS)
        processes, *_ = queries(dashboard)
        seen = await prometheus.query(with_all(processes, "|".join(("synth", "gateway"))))
        assert seen == {"synth": 1.0, "gateway": 1.0}

        keeper = asyncio.create_task(_keep_down(tmp_path / "node"))

        async def fires() -> bool:
            assert prometheus is not None
            return "OrastreamNoWsBridge" in await prometheus.firing()

        try:
            await until(fires, "the alert OrastreamNoWsBridge fires", timeout_s=75, poll_s=0.5)
        finally:
            keeper.cancel()
        assert await prometheus.firing() == {"OrastreamNoWsBridge"}
    finally:
        if prometheus is not None:
            prometheus.kill()
        try:
            if up.running:
                up.signal(signal.SIGTERM)
                await up.ended(60)
        finally:
            up.kill()


JOBS = ("synth", "ws_bridge", "http_bridge", "gateway", "oraserver")


def _config(node: UpFile, folder: Path) -> Path:
    """deploy/prometheus/local.yml with the node's ports, scraping each second."""
    config = yaml.safe_load((PROMETHEUS / "local.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "alerts.yml")]
    at = {service.name: urlsplit(service.health_url or "").netloc for service in node.services}
    assert [job["job_name"] for job in config["scrape_configs"]] == list(JOBS)
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [at[job["job_name"]]]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


async def _keep_down(data_dir: Path) -> None:
    """SIGKILL to each ws_bridge that `up` starts."""
    killed: set[int] = set()
    while True:
        node = UpFile.read(data_dir)
        for service in node.services if node is not None else ():
            if service.name == "ws_bridge" and service.pid is not None and service.pid not in killed:
                killed.add(service.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(service.pid, signal.SIGKILL)
        await asyncio.sleep(0.1)
