"""compose.yaml and the files it mounts: locked down, on loopback, and each name in them is one that exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from orastream.cli.auth.plan import Wishes, carry_out
from services.synth.settings import SynthSettings
from tests.house.docs import anchors
from tests.support.docker import NATS_IMAGE
from tests.support.monitoring import GRAFANA, ROOT, alert_rules, dashboards, panels, queries, variables

pytestmark = pytest.mark.unit

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NO_SHELL = {"otel-collector", "jaeger"}
"""Images in which no healthcheck can run; nothing waits for them."""


def mounts(service: str) -> dict[str, str]:
    """Where files of the repository are in the container: path there → path here."""
    of = [volume.split(":") for volume in SERVICES[service].get("volumes", []) if volume.startswith("./")]
    assert all(rest[-1] == "ro" for _, *rest in of), "a mount is writable"
    return {there: here for here, there, *_ in of}


@pytest.mark.parametrize("name", SERVICES)
def test_compose_service_is_locked_down(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["mem_limit"] and service["pids_limit"]
    assert service["cpu_quota"], "use cpu_quota: Docker refuses `cpus` on a machine with fewer cores"
    assert "cpus" not in service
    assert all(port.startswith("127.0.0.1:${") for port in service.get("ports", []))
    assert ("healthcheck" in service) or ("build" in service) or name in NO_SHELL
    if "image" in service:
        assert re.search(r":v?\d+\.\d+", service["image"]), "the image has no version, or `latest`"


def test_synth_is_sized_for_its_container() -> None:
    """Without a value synth would take the machine's cores for its own, and more processes than it may have."""
    synth = SERVICES["synth"]
    default = re.fullmatch(r"\$\{SYNTH_SLOTS:-(\d+)\}", synth["environment"]["SYNTH_SLOTS"])
    quota = re.fullmatch(r"\$\{SYNTH_CPU_QUOTA:-(\d+)\}", synth["cpu_quota"])
    assert default is not None and quota is not None
    assert int(quota[1]) == 100_000 * int(default[1])
    most = next(limit.le for limit in SynthSettings.model_fields["synth_slots"].metadata if hasattr(limit, "le"))
    assert synth["pids_limit"] >= 4 * most


def test_restart_policy_of_compose_is_as_documented() -> None:
    page = (ROOT / "docs" / "guide" / "operator.md").read_text()
    assert {service["restart"] for service in SERVICES.values()} == {"unless-stopped"}
    assert "compose (`unless-stopped`) restarts after 1 and after 2" in page


def test_images_built_by_compose_have_their_commit_as_a_label() -> None:
    assert "ARG REVISION=" in (ROOT / "Dockerfile").read_text()
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["build"]["args"]["REVISION"] is None, (
                f"{name}: REVISION must have no value here; it comes from the environment"
            )


def test_base_images_can_be_named_with_their_digest() -> None:
    """By default the tag that the Dockerfile and Kubernetes name, too."""
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"]["args"]["PYTHON_IMAGE"] == f"${{PYTHON_IMAGE:-{base[1]}}}"
    assert SERVICES["nats"]["image"] == f"${{NATS_IMAGE:-{NATS_IMAGE}}}"
    assert f"image: {NATS_IMAGE}\n" in (ROOT / "deploy/kubernetes/base/nats.yaml").read_text()


def test_each_built_image_has_both_platforms_and_the_name_that_kubernetes_expects() -> None:
    """In deploy/platforms.yaml. compose.yaml has no platforms: an engine's default builder refuses more than one."""
    override = yaml.safe_load((ROOT / "deploy/platforms.yaml").read_text())["services"]
    assert override.keys() == {name for name, service in SERVICES.items() if "build" in service}
    for name, service in override.items():
        assert service["build"] == {"platforms": ["linux/amd64", "linux/arm64"]}
        assert re.fullmatch(
            rf"\$\{{IMAGE_REGISTRY:\?[^}}]+\}}/orastream-{name}:\$\{{IMAGE_TAG:-0\.1\.0\}}", service["image"]
        )
        assert "platforms" not in SERVICES[name]["build"]


@pytest.mark.parametrize("name", SERVICES)
def test_compose_service_waits_until_its_dependencies_are_healthy(name: str) -> None:
    profiles = SERVICES[name].get("profiles", [])
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert how == {"condition": "service_healthy"}
        assert SERVICES[other].get("profiles", profiles) == profiles, (
            "the dependency has another profile, so compose would not start it"
        )
        assert other not in NO_SHELL
    if "build" in SERVICES[name] and "profiles" not in SERVICES[name]:
        assert "nats" in SERVICES[name]["depends_on"]


def test_scalable_services_have_no_fixed_port() -> None:
    for name in ("synth", "ws_bridge", "http_bridge"):
        assert "ports" not in SERVICES[name] and "container_name" not in SERVICES[name]


def test_every_variable_is_documented() -> None:
    documented = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    text = (ROOT / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    for service in SERVICES.values():
        used |= {name for name, value in service.get("environment", {}).items() if value is None}
    assert len(used) > 20
    assert used <= documented


def test_every_mounted_file_exists() -> None:
    assert mounts("nats") == {"/etc/nats/orastream.conf": "./deploy/nats.conf"}
    for name in SERVICES:
        for there, here in mounts(name).items():
            assert (ROOT / here).exists(), f"{name}: {here} at {there}"


AUTH = "${NATS_AUTH_DIR:-./deploy/open}"
NODE = ("synth", "ws_bridge", "http_bridge", "gateway")


@pytest.mark.parametrize("name", NODE)
def test_each_service_gets_its_own_credentials_and_nothing_wins_over_them(name: str) -> None:
    service = SERVICES[name]
    assert service["env_file"] == [f"{AUTH}/{name}.env"]
    assert f"{AUTH}/tls/{name}:/etc/nats/tls:ro" in service["volumes"]
    # An entry under `environment:` wins over the file, also one without a value.
    given = dotenv_values(ROOT / "deploy" / "open" / f"{name}.env")
    of_accounts = {"NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY", "NATS_INBOX_PREFIX", "TTS_CALLERS"}
    assert not of_accounts & set(service["environment"])
    assert given["NATS_INBOX_PREFIX"] == "_INBOX_node" and set(given) <= of_accounts


def test_nats_and_oraserver_have_no_credentials_of_the_node() -> None:
    assert [name for name, service in SERVICES.items() if "env_file" in service] == list(NODE)
    assert [volume for volume in SERVICES["nats"]["volumes"] if "AUTH" in volume] == [
        f"{AUTH}/server:/etc/nats/auth:ro"
    ]


def test_the_folder_without_accounts_has_every_path_that_compose_takes_from_it() -> None:
    """Else Docker would make a folder there, owned by root, and the server or the service would not start."""
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith(AUTH):
                here = ROOT / "deploy" / "open" / volume.removeprefix(f"{AUTH}/").partition(":")[0]
                assert here.is_dir() and any(here.iterdir()), here


def test_init_auth_writes_every_path_that_compose_takes_from_its_folder(tmp_path: Path) -> None:
    carry_out(tmp_path, Wishes())
    open_folder = ROOT / "deploy" / "open"
    for path in open_folder.rglob("*"):
        if path.name != ".gitkeep":
            assert (tmp_path / path.relative_to(open_folder)).exists(), path


def test_prometheus_scrapes_exactly_the_services() -> None:
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    ports = dict(
        re.findall(r"^FROM runtime AS (\w+)$.*?^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    )
    found = {}
    for job in config["scrape_configs"]:
        (discovery,) = job["dns_sd_configs"]
        assert discovery["names"] == [job["job_name"]]
        found[job["job_name"]] = str(discovery["port"])
    assert found == ports
    assert set(found) == {name for name, service in SERVICES.items() if "build" in service}
    assert mounts("prometheus") == {"/etc/prometheus": "./deploy/prometheus"}
    assert "--config.file=/etc/prometheus/prometheus.yml" in SERVICES["prometheus"]["command"]


# ---- Grafana


def test_grafana_is_provisioned_with_the_data_sources_of_the_dashboards() -> None:
    at = mounts("grafana")
    assert at["/etc/grafana/provisioning"] == "./deploy/grafana/provisioning"
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/orastream.yaml").read_text())["providers"]
    assert (ROOT / at[provider["options"]["path"]]).resolve() == GRAFANA / "dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).name in dashboards()
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/orastream.yaml").read_text())["datasources"]
    for source in sources:
        host = source["url"].removeprefix("http://").partition(":")[0]
        assert host in SERVICES
    (kind,) = {variables(dashboard)["datasource"]["query"] for dashboard in dashboards().values()}
    assert [source["isDefault"] for source in sources if source["type"] == kind] == [True]


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_can_be_imported_into_any_grafana(name: str) -> None:
    """It names no data source, and each query can be limited to one of several nodes in one Prometheus."""
    dashboard = dashboards()[name]
    made = variables(dashboard)
    assert list(made) == ["datasource", "namespace", "service"]
    assert made["datasource"]["type"] == "datasource"
    asked = [*panels(dashboard), *dashboard["annotations"]["list"], made["namespace"], made["service"]]
    source = {"type": made["datasource"]["query"], "uid": "${datasource}"}
    assert all(one["datasource"] == source for one in asked)
    for variable in (made["namespace"], made["service"]):
        assert variable["multi"] and variable["includeAll"] and variable["current"]["value"] == ["$__all"]
        assert variable["definition"] == variable["query"]["query"]
    assert made["namespace"]["allValue"] == ".*"  # else All would leave out processes without this label
    assert "allValue" not in made["service"]  # else All would count the processes of other programs
    both = 'namespace=~"$namespace",job=~"$service"}'
    for query in queries(dashboard):
        selectors = re.findall(r"\{[^}]*\}", query)
        assert selectors and all(selector.endswith(both) for selector in selectors), query
        without = re.sub(r"\{[^}]*\}", "{}", query)
        assert not re.search(r"\b(orastream_\w+|process_\w+|up)\b(?!\{)", without), query
    assert 'namespace=~"$namespace"}' in made["service"]["definition"]


def test_prometheus_in_kubernetes_sets_the_labels_of_the_variables() -> None:
    (job,) = yaml.safe_load((ROOT / "deploy/kubernetes/prometheus.yml").read_text())["scrape_configs"]
    assert {"namespace", "job"} <= {relabel.get("target_label") for relabel in job["relabel_configs"]}


@pytest.mark.parametrize("name", dashboards())
def test_dashboard_has_unique_ids_and_no_overlapping_panels(name: str) -> None:
    dashboard = dashboards()[name]
    assert dashboard["uid"] and dashboard["title"] and dashboard["schemaVersion"] >= 39
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    rows = [panel["title"] for panel in dashboard["panels"] if panel["type"] == "row"]
    assert rows == ["Overview", "Latency", "Delivery", "Synthesis", "NATS"]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, f"{panel['title']} overlaps another panel"
        taken |= cells
    for panel in panels(dashboard):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert [target["refId"] for target in panel["targets"]] == [chr(65 + n) for n in range(len(panel["targets"]))]


# ---- OpenTelemetry collector


def test_pipelines_of_the_collector_use_every_defined_component() -> None:
    at = mounts("otel-collector")
    (argument,) = SERVICES["otel-collector"]["command"]
    path = argument.removeprefix("--config=")
    config = yaml.safe_load((ROOT / at[str(Path(path).parent)] / Path(path).name).read_text())
    pipelines = config["service"]["pipelines"]
    assert set(pipelines) == {"traces"}
    for kind in ("receivers", "processors", "exporters"):
        named = [name for pipeline in pipelines.values() for name in pipeline[kind]]
        assert set(named) == set(config[kind]), kind
    assert pipelines["traces"]["processors"][0] == "memory_limiter", (
        "the memory limiter must come first, or it protects nothing"
    )
    for exporter in config["exporters"].values():
        assert exporter["endpoint"].partition(":")[0] in SERVICES
    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == "0.0.0.0:4318"
    assert "http://otel-collector:4318" in (ROOT / ".env.example").read_text()


# ---- alerts


def test_each_alert_has_its_section_in_the_runbook() -> None:
    page = anchors((ROOT / "docs" / "guide" / "troubleshooting.md").read_text())
    for rule in alert_rules():
        path, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert path == "docs/guide/troubleshooting.md"
        assert anchor in page, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}
