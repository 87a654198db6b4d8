"""The finding of doctor about a power cut, for answers of `/varz` as nats-server gives them, and for others."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.broker import ServerIdentity
from orastream.cli.checks.power_cut import MonitoringAnswer, judge_power_cut

pytestmark = pytest.mark.unit

URL = "http://user:secret@127.0.0.1:8222"
SINGLE = ServerIdentity("NA", "")
MEMBER = ServerIdentity("NA", "C")


def varz(
    server_id: str = "NA", cluster: dict[str, str] | None = None, *, always: bool = True, interval_s: int = 120
) -> MonitoringAnswer:
    config: dict[str, Any] = {"sync_interval": interval_s * 10**9} | ({"sync_always": True} if always else {})
    return MonitoringAnswer({"server_id": server_id, "cluster": cluster or {}, "jetstream": {"config": config}})


def test_server_that_syncs_before_each_ack_loses_nothing() -> None:
    finding = judge_power_cut(SINGLE, URL, varz())
    assert (finding.subject, finding.level, finding.fix) == ("power cut", "ok", "")
    assert "loses nothing that was acked" in finding.says


@pytest.mark.parametrize(("interval_s", "says"), [(120, "the last 120 s"), (10, "the last 10 s")])
def test_server_that_acks_first_gets_a_warning_that_names_the_loss_and_the_setting(interval_s: int, says: str) -> None:
    finding = judge_power_cut(SINGLE, URL, varz(always=False, interval_s=interval_s))
    assert finding.level == "warning"
    assert says in finding.says
    assert "sync_interval: always" in finding.fix and "--sync always" in finding.fix


def test_another_server_of_the_same_cluster_counts() -> None:
    finding = judge_power_cut(MEMBER, URL, varz("NB", {"name": "C"}))
    assert finding.level == "ok"
    assert "one server of cluster C" in finding.says
    assert judge_power_cut(MEMBER, URL, varz("NB", {"name": "C"}, always=False)).level == "warning"


@pytest.mark.parametrize(
    ("connected", "answer"),
    [
        (SINGLE, varz("NB")),
        (MEMBER, varz("NB")),
        (MEMBER, varz("NB", {"name": "D"})),
        (SINGLE, varz("NB", {"name": "C"})),
        (ServerIdentity("", ""), varz("NB", {"name": ""})),
    ],
)
def test_another_server_is_not_judged(connected: ServerIdentity, answer: MonitoringAnswer) -> None:
    """Its setting says nothing about the node: with `ok` the operator would trust a node that loses requests."""
    finding = judge_power_cut(connected, URL, answer)
    assert finding.level == "warning"
    assert "not checked" in finding.says and "another nats-server" in finding.says
    assert "NATS_MONITORING_URL" in finding.fix


@pytest.mark.parametrize(
    ("url", "answer", "says"),
    [
        (None, MonitoringAnswer(None), "is not known"),
        (URL, MonitoringAnswer(None, "cannot be reached: Connection refused"), "cannot be reached: Connection refused"),
        (URL, MonitoringAnswer({}), "is not the monitoring port"),
        (URL, MonitoringAnswer({"server_id": "NA", "jetstream": {}}), "is not the monitoring port"),
        (URL, MonitoringAnswer({"server_id": "NA", "jetstream": {"config": None}}), "is not the monitoring port"),
        (URL, MonitoringAnswer({"server_id": 1, "jetstream": []}), "is not the monitoring port"),
        (URL, MonitoringAnswer({"server_id": "NA", "jetstream": {"config": {"sync_interval": "2m"}}}), "is not"),
    ],
)
def test_missing_answer_is_a_warning_that_names_the_setting(
    url: str | None, answer: MonitoringAnswer, says: str
) -> None:
    finding = judge_power_cut(SINGLE, url, answer)
    assert finding.level == "warning"
    assert "not checked" in finding.says and says in finding.says
    assert "NATS_MONITORING_URL" in finding.fix
    assert "secret" not in str(finding)
