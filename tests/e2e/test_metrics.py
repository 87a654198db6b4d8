"""The metrics of the services, and that each metric in deploy/ exists."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.support.monitoring import ROOT, alert_rules, missing, panel_expressions, sample_names
from tests.support.processes import Logs, until
from tests.support.prometheus import promtool, require_prometheus
from tests.support.scenes import TEXT, running_node
from tests.support.services import Stack

__all__ = ["require_prometheus"]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway", "oraserver")
FREE_FORM = {"orastream_synth_rtf"}
"""Ratios whose name has the usual term instead of `_ratio`."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    settings = {"TTS_ENGINE_RTF": 0.1, "SYNTH_SLOTS": 1}
    with running_node(tmp_path_factory.mktemp("node"), node_logs, replicas=1, gateway=True, **settings) as stack:
        yield stack


@pytest.fixture(autouse=True)
def shown_when_failed(node: Stack, node_logs: Logs, logs: Logs) -> None:
    logs.update(node_logs)


async def exposition(node: Stack, service: str) -> str:
    status, body = await node.only(service).get("/metrics")
    assert status == 200
    return body.decode()


async def test_dashboards_and_alerts_use_only_existing_metrics(node: Stack) -> None:
    """The names in dashboards and alerts exist in the real services."""
    exposed = {name for service in SERVICES for name in sample_names(await exposition(node, service))}
    watched = [*panel_expressions(), *(rule["expr"] for rule in alert_rules())]
    assert len(watched) > 50
    assert missing(watched, exposed) == set()
    assert missing(["rate(orastream_no_such_total[1m])"], exposed) == {"orastream_no_such_total"}


async def test_every_outcome_is_exported_with_0_from_the_start(node: Stack) -> None:
    """`rate()` ignores the first value of a new series, so the first failures of a bridge would not be counted."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    for service in ("synth", "ws_bridge", "http_bridge"):
        name = f"orastream_{service}_requests_total"
        (row,) = re.findall(rf"^.*{name.replace('http', 'ws')}{{outcome}}.*: (.+) \|$", page, re.MULTILINE)
        seen = re.findall(rf'^{name}{{outcome="(\w+)"}}', await exposition(node, service), re.MULTILINE)
        assert sorted(seen) == sorted(re.findall(r"`(\w+)`", row)), service
    assert await node.only("synth").metric("orastream_synth_phrase_lookups_total", result="miss") == 0
    assert await node.only("gateway").metric("orastream_gateway_requests_total", route="node", outcome="found") == 0


async def test_every_metric_is_documented(node: Stack) -> None:
    """docs/reference/metrics.md and the real services have the same names. http_bridge has those of ws_bridge."""
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(orastream_\w+)(?:\{[\w,]+\})?` \| (\w+) \|", page, re.MULTILINE))
    counted = set()
    for service in SERVICES:
        text = (await exposition(node, service)).replace("orastream_http_bridge", "orastream_ws_bridge")
        counted |= set(re.findall(r"^# TYPE (orastream_\w+) (\w+)$", text, re.MULTILINE))
    assert counted == documented


async def test_metrics_follow_the_naming_convention(node: Stack, require_prometheus: None) -> None:
    """promtool's lint; also, counters end in _total and measurements in their base unit."""
    for service in SERVICES:
        text = await exposition(node, service)
        promtool("check", "metrics", stdin=text.encode())
        for name, kind in re.findall(r"^# TYPE (orastream_\w+) (\w+)$", text, re.MULTILINE):
            assert name.endswith("_total") == (kind == "counter"), name
            assert kind != "histogram" or name.endswith("_seconds") or name in FREE_FORM, name
            assert not re.search(r"_(ms|milliseconds|kb|mb|minutes)(_total)?$", name), name


async def test_lost_links_retransmissions_and_cancels_are_counted(node: Stack) -> None:
    bridge, synth = node.only("ws_bridge"), node.only("synth")
    repeats = "orastream_ws_bridge_retransmitted_chunks_total"
    await node.misbehave(drop_after_chunks=3, times=1)
    async with Client(node.nats_server.url) as client:
        report = await client.say(TEXT, session_id="s", phone_id="p", request_id="broken", fire_and_forget=False)
        assert isinstance(report, Report) and report.status == "delivered" and report.retransmitted > 0
        await client.say(TEXT, session_id="s", phone_id="p", request_id="cut", ttlSeconds=60)

        async def begun() -> bool:
            return "delivering" == getattr(await client.report("s", "cut"), "status", None)

        await until(begun, "the second utterance is being delivered", timeout_s=20)
        await client.cancel("s")
        assert (await client.wait("s", "cut", 20)).status == "cancelled"

    assert await bridge.metric("orastream_ws_bridge_link_losses_total") >= 1
    assert await bridge.metric("orastream_ws_bridge_requests_total", outcome="delivered") == 1
    assert await bridge.metric("orastream_ws_bridge_requests_total", outcome="cancelled") == 1
    assert await bridge.metric("orastream_ws_bridge_cancel_seconds_count") == 1
    assert 0 < await bridge.metric("orastream_ws_bridge_cancel_seconds_sum") < 10

    async def repeats_counted() -> bool:
        return await bridge.metric(repeats) == report.retransmitted

    await until(repeats_counted, "only the retransmitted chunks of the first delivery are counted")
    assert await node.only("oraserver").metric("orastream_oraserver_repeats_total") <= report.retransmitted

    async def synth_has_counted_both() -> bool:
        done = [await synth.metric("orastream_synth_requests_total", outcome=o) for o in ("complete", "cancelled")]
        return done == [1, 1]

    await until(synth_has_counted_both, "synth has counted both requests")
    for histogram in ("queue_seconds", "first_audio_seconds"):
        assert await synth.metric(f"orastream_synth_{histogram}_count") >= 1

    async def stream_seen() -> bool:
        return await synth.metric("orastream_audio_stream_bytes") >= report.bytes

    await until(stream_seen, "synth exports the size of TTS_AUDIO", timeout_s=20)
    assert await synth.metric("orastream_audio_stream_max_bytes") == 256 << 20
    lines = [line for line in synth.text().splitlines() if '"event": "spoken"' in line]
    assert len(lines) == 2
    assert '"status": "complete"' in lines[0] and '"request": "broken"' in lines[0] and '"session": "s"' in lines[0]


async def test_takeover_of_a_session_is_counted(node: Stack) -> None:
    """This test is the last one, because the counters of the killed bridge restart at 0."""
    async with Client(node.nats_server.url) as client:
        await client.say(TEXT, session_id="s", phone_id="p", request_id="r")

        async def begun() -> bool:
            return "delivering" == getattr(await client.report("s", "r"), "status", None)

        await until(begun, "the utterance is being delivered", timeout_s=20)
        first = node.only("ws_bridge")
        first.kill()
        await first.start()
        assert (await client.wait("s", "r", 60)).status == "delivered"
        assert await first.metric("orastream_ws_bridge_takeovers_total") == 1
