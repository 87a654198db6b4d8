"""deploy/kubernetes: valid by the API's schemas, and of one mind with compose.yaml, the images and the settings."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel

from orastream.cli.auth.env_files import CONTAINER_TLS
from orastream.cli.auth.server_config import CONTAINER_AUTH
from orastream.service.settings import KNOWN, BridgeSettings, NodeSettings
from services.gateway.settings import GatewaySettings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OWN_KINDS = {"Kustomization", "Component", "ScaledObject"}
OF_NATS = {"GOMEMLIMIT"}
Resource = dict[str, Any]


def resources(folder: str) -> list[Resource]:
    """Every document of that folder's YAML files."""
    paths = sorted((FOLDER / folder).glob("*.yaml"))
    assert paths
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


ALL = [*resources("base"), *resources("keda"), *resources("overlays/example")]
CORE = [resource for resource in ALL if resource["kind"] not in OWN_KINDS]
WORKLOADS = [resource for resource in CORE if resource["kind"] in {"Deployment", "StatefulSet"}]
SERVICES = [resource for resource in WORKLOADS if resource["kind"] == "Deployment"]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def named(resource: Resource) -> str:
    return f"{resource['kind']}/{resource['metadata']['name']}"


def label(workload: Resource) -> str:
    """The name of its service, as in compose.yaml."""
    name: str = workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]
    return name


def container(workload: Resource) -> dict[str, Any]:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("resource", CORE, ids=named)
@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_resource_is_valid_by_the_schemas_of_the_api(resource: Resource, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_each_service_of_compose_has_a_workload() -> None:
    node = {name for name, service in COMPOSE["services"].items() if "profiles" not in service}
    assert {label(workload) for workload in WORKLOADS} == node


@pytest.mark.parametrize("workload", SERVICES, ids=named)
def test_workload_uses_the_image_of_compose(workload: Resource) -> None:
    service, of = label(workload), container(workload)
    version = re.search(r"^ARG VERSION=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert version is not None
    assert of["image"] == f"{COMPOSE['name']}-{service}:{version[1]}"
    target = re.search(rf"^FROM runtime AS {service}$.*?^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.M | re.S)
    assert target is not None
    assert of["ports"] == [{"name": "http", "containerPort": int(target[1])}]


@pytest.mark.parametrize("workload", WORKLOADS, ids=named)
def test_workload_has_no_unneeded_privileges(workload: Resource) -> None:
    pod, of = workload["spec"]["template"]["spec"], container(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert of["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(of["resources"]["requests"])
    assert "memory" in of["resources"]["limits"]
    assert pod["enableServiceLinks"] is False, (
        "enableServiceLinks must be false, or variables such as GATEWAY_PORT=tcp://… are read as settings"
    )


@pytest.mark.parametrize("workload", SERVICES, ids=named)
def test_workload_has_probes_and_time_to_drain(workload: Resource) -> None:
    pod, of = workload["spec"]["template"]["spec"], container(workload)
    assert of["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert of["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert of["readinessProbe"]["timeoutSeconds"] > 2, "the probe must wait longer than the 2 s of a round trip"
    waits = of.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod["terminationGracePeriodSeconds"] >= NodeSettings().drain_seconds + waits + 3
    (spread,) = pod["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == workload["spec"]["selector"]["matchLabels"]


def test_every_selector_matches_pods() -> None:
    labels = [
        {**workload["spec"]["template"]["metadata"]["labels"], "app.kubernetes.io/part-of": "orastream"}
        for workload in WORKLOADS
    ]
    selectors = [
        workload["spec"]["selector"]["matchLabels"]
        for workload in CORE
        if workload["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}
    ]
    selectors += [service["spec"]["selector"] for service in CORE if service["kind"] == "Service"]
    selectors += [
        policy["spec"]["podSelector"]["matchLabels"]
        for policy in CORE
        if policy["kind"] == "NetworkPolicy" and "matchLabels" in policy["spec"]["podSelector"]
    ]
    for selector in selectors:
        assert any(selector.items() <= of.items() for of in labels), selector
    budgets = {named(resource) for resource in CORE if resource["kind"] == "PodDisruptionBudget"}
    assert budgets == {f"PodDisruptionBudget/{workload['metadata']['name']}" for workload in SERVICES}


def test_every_variable_is_a_setting() -> None:
    files = [FOLDER / "base" / "settings.env", *(FOLDER / "overlays" / "example").glob("*.env")]
    names = {line.partition("=")[0] for path in files for line in path.read_text().splitlines() if line}
    (overlay,) = [r for r in resources("overlays/example") if r["kind"] == "Kustomization"]
    for generator in overlay["configMapGenerator"]:
        names |= {literal.partition("=")[0] for literal in generator.get("literals", [])}
    for workload in WORKLOADS:
        names |= {variable["name"] for variable in container(workload).get("env", [])} - OF_NATS
    assert len(names) > 5
    assert names <= KNOWN


def test_kustomizations_name_files_that_exist_and_images_that_are_used() -> None:
    for path in FOLDER.rglob("kustomization.yaml"):
        kustomization = yaml.safe_load(path.read_text())
        for key in ("resources", "components"):
            assert all((path.parent / name).exists() for name in kustomization.get(key, [])), path
        for generator in [*kustomization.get("configMapGenerator", []), *kustomization.get("secretGenerator", [])]:
            assert all((path.parent / name).exists() for name in generator.get("envs", [])), path
        if "images" in kustomization:
            used = {container(workload)["image"].partition(":")[0] for workload in SERVICES}
            assert {image["name"] for image in kustomization["images"]} == used


def envs_from(workload: Resource, kind: str) -> list[dict[str, Any]]:
    return [source for source in container(workload)["envFrom"] if kind in source]


SECRETS = {
    "synth": {"orastream-nats", "orastream-synth"},
    "ws_bridge": {"orastream-nats", "orastream-oraserver"},
    "http_bridge": {"orastream-nats", "orastream-oraserver"},
    "gateway": {"orastream-nats", "orastream-gateway"},
}


@pytest.mark.parametrize("workload", SERVICES, ids=named)
def test_pod_has_only_the_secrets_that_it_needs(workload: Resource) -> None:
    refs = [source["secretRef"] for source in envs_from(workload, "secretRef")]
    assert {ref["name"] for ref in refs} == SECRETS[label(workload)]
    assert all(ref["optional"] for ref in refs)


def test_example_gives_each_secret_to_the_service_that_reads_it() -> None:
    (overlay,) = [r for r in resources("overlays/example") if r["kind"] == "Kustomization"]
    readers: dict[str, type[BaseModel]] = {"orastream-gateway": GatewaySettings, "orastream-oraserver": BridgeSettings}
    assert {secret["name"] for secret in overlay["secretGenerator"]} == set(readers)
    for secret in overlay["secretGenerator"]:
        (path,) = secret["envs"]
        lines = (FOLDER / "overlays" / "example" / path).read_text().splitlines()
        names = {line.partition("=")[0].lower() for line in lines}
        assert names and names <= set(readers[secret["name"]].model_fields) - set(NodeSettings.model_fields)


def policy(name: str) -> dict[str, Any]:
    (found,) = [r for r in CORE if r["kind"] == "NetworkPolicy" and r["metadata"]["name"] == name]
    spec: dict[str, Any] = found["spec"]
    return spec


def test_network_policy_allows_callers_of_labelled_namespaces() -> None:
    (rule,) = policy("orastream-nats")["ingress"]
    caller = {"matchLabels": {"orastream/caller": "true"}}
    assert {"podSelector": caller} in rule["from"]
    elsewhere = {"namespaceSelector": {"matchLabels": {"orastream/callers": "true"}}, "podSelector": caller}
    assert elsewhere in rule["from"], "the rule must require both labels, or it allows every pod of such a namespace"
    assert "kubectl label namespace" in (ROOT / "docs" / "guide" / "operator.md").read_text()


def test_network_policy_allows_synth_to_send_traces() -> None:
    ports = [port["port"] for rule in policy("orastream-synth")["egress"] for port in rule["ports"]]
    assert {4222, 53, 4318} == set(ports)


def test_keda_component_removes_the_replicas_of_synth() -> None:
    (component,) = resources("keda")[:1]
    (patch,) = component["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": "synth"}
    assert yaml.safe_load(patch["patch"]) == [{"op": "remove", "path": "/spec/replicas"}]


def test_scaled_object_scales_synth_by_the_metric_of_the_alert() -> None:
    (scaled,) = [resource for resource in ALL if resource["kind"] == "ScaledObject"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    spec = scaled["spec"]
    assert f"Deployment/{spec['scaleTargetRef']['name']}" in {named(workload) for workload in SERVICES}
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
    assert {"serverAddress", "query", "threshold"} <= set(trigger["metadata"])
    assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA accepts only strings"
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    (backlog,) = [rule["expr"] for rule in alerts["groups"][0]["rules"] if rule["alert"] == "OrastreamBacklog"]
    assert backlog.startswith(trigger["metadata"]["query"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here: kustomize itself is not tried")
def test_kustomize_builds_the_example() -> None:
    done = subprocess.run(
        ["kubectl", "kustomize", FOLDER / "overlays" / "example"], capture_output=True, text=True, check=True
    )
    built = list(yaml.safe_load_all(done.stdout))
    for resource in built:
        if resource["kind"] not in OWN_KINDS:
            kubernetes_validate.validate(resource, "1.37", strict=True)
            assert resource["kind"] == "Namespace" or resource["metadata"]["namespace"] == "orastream"
    assert len(built) == len(CORE) + 4, (
        "expected 4 more: the ScaledObject, the ConfigMap of the settings and two Secrets"
    )
    (synth,) = [r for r in built if (r["kind"], r["metadata"]["name"]) == ("Deployment", "synth")]
    assert "replicas" not in synth["spec"], "the replicas are set, so an apply would undo the scaling by KEDA"
    secrets = {r["metadata"]["name"] for r in built if r["kind"] == "Secret"}
    named_by_pods = {
        ref["secretRef"]["name"] for r in built if r["kind"] == "Deployment" for ref in envs_from(r, "secretRef")
    }
    assert secrets < named_by_pods, "a name has no hash of its content"


# ---- the component `accounts`


def patched(name: str, document: Resource) -> Resource:
    """The resource with the JSON patches that the component has for it."""
    made: Resource = json.loads(json.dumps(document))
    for patch in resources("accounts")[0]["patches"]:
        if patch["target"] == {"kind": document["kind"], "name": name}:
            for change in yaml.safe_load(patch["patch"]):
                *path, last = change["path"].strip("/").split("/")
                at: Any = made
                for key in path:
                    at = at[int(key)] if isinstance(at, list) else at[key]
                if last == "-":
                    at.append(change["value"])
                elif isinstance(at, list):
                    at[int(last)] = change["value"]
                else:
                    at[last] = change["value"]
    return made


@pytest.mark.parametrize("workload", SERVICES, ids=named)
def test_accounts_give_each_pod_its_own_credentials_only(workload: Resource) -> None:
    name = workload["metadata"]["name"]
    made = patched(name, workload)
    kubernetes_validate.validate(made, "1.37", strict=True)
    secrets = {source["secretRef"]["name"] for source in envs_from(made, "secretRef")}
    assert {one for one in secrets if one.startswith("orastream-nats")} == {f"orastream-nats-{name}"}
    (own,) = [
        s["secretRef"] for s in envs_from(made, "secretRef") if s["secretRef"]["name"].startswith("orastream-nats")
    ]
    assert "optional" not in own, "without its credentials the pod must not start"
    (tls,) = [v for v in made["spec"]["template"]["spec"]["volumes"] if v["name"] == "nats-tls"]
    assert tls["secret"] == {"secretName": f"orastream-nats-{name}-tls", "optional": True}
    assert {"name": "nats-tls", "mountPath": CONTAINER_TLS, "readOnly": True} in container(made)["volumeMounts"]


def test_accounts_give_the_server_the_files_that_its_configuration_includes() -> None:
    (server,) = [workload for workload in WORKLOADS if workload["kind"] == "StatefulSet"]
    made = patched("nats", server)
    kubernetes_validate.validate(made, "1.37", strict=True)
    (volume,) = made["spec"]["template"]["spec"]["volumes"]
    settings, secret = volume["projected"]["sources"]
    assert settings == {"configMap": {"name": "nats-config"}}
    paths = {item["path"] for item in secret["secret"]["items"]}
    (mount,) = [m for m in container(made)["volumeMounts"] if m["name"] == "config"]
    assert {f"{mount['mountPath']}/{path}" for path in paths} == {
        f"{CONTAINER_AUTH}/{name}" for name in ("accounts.conf", "tls.conf", "ca.crt", "server.crt", "server.key")
    }
    (config,) = [r for r in CORE if r["kind"] == "ConfigMap" and r["metadata"]["name"] == "nats-config"]
    included = set(re.findall(r"^ *include (\S+)$", config["data"]["orastream.conf"], re.MULTILINE))
    assert included == {"auth/accounts.conf", "auth/tls.conf"} <= paths


def test_nothing_but_the_target_of_a_patch_is_named_in_the_component() -> None:
    targets = {(p["target"]["kind"], p["target"]["name"]) for p in resources("accounts")[0]["patches"]}
    assert targets == {(w["kind"], w["metadata"]["name"]) for w in WORKLOADS}
