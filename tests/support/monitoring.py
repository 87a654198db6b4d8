"""Reads the metric names and expressions in the dashboards and alerts of deploy/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
GRAFANA = ROOT / "deploy" / "grafana"

_OURS = re.compile(r"\borastream_\w+")
_PATTERN = re.compile(r'__name__=~"([^"]+)"')


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by its file name."""
    return {path.name: json.loads(path.read_text()) for path in sorted((GRAFANA / "dashboards").glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels of a dashboard, without its rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def variables(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The variables of a dashboard by name, in their order."""
    return {variable["name"]: variable for variable in dashboard["templating"]["list"]}


def queries(dashboard: dict[str, Any]) -> list[str]:
    """The PromQL of every panel of a dashboard, as it is written there."""
    return [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]


def with_all(expression: str, services: str = ".*") -> str:
    """A query as Grafana sends it while each variable is at All, which for `service` is all its values."""
    values = {"$__rate_interval": "1m", "$namespace": ".*", "$service": services}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


def panel_expressions() -> list[str]:
    """The PromQL of every panel, with Grafana's variables replaced."""
    return [with_all(query) for dashboard in dashboards().values() for query in queries(dashboard)]


def alert_rules() -> list[dict[str, Any]]:
    """Every alert of alerts.yml."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def missing(expressions: list[str], exposed: set[str]) -> set[str]:
    """Our metric names and name patterns in the expressions that match no sample name in `exposed`."""
    lacking: set[str] = set()
    for expression in expressions:
        for pattern in _PATTERN.findall(expression):
            if not any(re.fullmatch(pattern, name) for name in exposed):
                lacking.add(pattern)
        lacking |= set(_OURS.findall(_PATTERN.sub("", expression))) - exposed
    return lacking


def sample_names(exposition: str) -> set[str]:
    """The sample names that a `/metrics` text has, or will have when the first labels are set."""
    names: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", exposition, re.MULTILINE):
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return names
