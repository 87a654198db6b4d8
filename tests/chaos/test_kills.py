"""`kill -9` of each process in mid-utterance: the audio is complete, in order, and repeats are identical."""

from __future__ import annotations

import pytest

from orastream.contract import subjects
from orastream.contract.messages import Report
from tests.support.names import NAMES
from tests.support.processes import Process
from tests.support.scenes import Scene
from tests.support.services import ServiceProcess
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


async def owner(processes: list[ServiceProcess], metric: str) -> ServiceProcess:
    """The process that has the work now, by its metrics."""
    for process in processes:
        if await process.metric(metric) > 0:
            return process
    raise AssertionError(f"nobody has {metric} > 0")


async def test_synth_is_killed(scene: Scene) -> None:
    """The other synth continues at the sample where the first one was killed."""
    await scene.ask("s1", "r1")
    await scene.until_received("r1")
    (await owner(scene.stack["synth"], "orastream_synth_working")).kill()
    await scene.delivered("s1", "r1")


async def test_the_only_synth_is_killed_and_comes_back(scene: Scene) -> None:
    """After its restart it gets its own request again."""
    first, second = scene.stack["synth"]
    second.kill()
    await scene.ask("s1", "r1")
    await scene.until_received("r1")
    first.kill()
    await first.start()
    await scene.delivered("s1", "r1")


async def test_ws_bridge_is_killed_while_a_newer_request_arrives(scene: Scene) -> None:
    """The other bridge takes over the session and keeps the order of the requests."""
    await scene.ask("s1", "r1")
    await scene.until_received("r1")
    victim = await owner(scene.stack["ws_bridge"], "orastream_ws_bridge_sessions")
    victim.kill()
    await scene.ask("s1", "r2")
    await scene.delivered("s1", "r1")
    await scene.delivered("s1", "r2")
    received = await scene.stack.received(scene.id("s1"))
    assert [u["requestId"] for u in received["utterances"]] == [scene.id("r1"), scene.id("r2")]


async def test_http_bridge_is_killed(scene: Scene) -> None:
    """The other bridge collects the utterance again and posts it."""
    await scene.ask("s1", "r1", use_websocket=False)
    await scene.until_synthesising("s1", "r1")
    victim = await owner(scene.stack["http_bridge"], "orastream_http_bridge_sessions")
    victim.kill()
    await scene.delivered("s1", "r1")


async def test_nats_server_is_killed_and_restarted_with_its_data(scene: Scene) -> None:
    """Every acked message survives; messages without an ack are sent again."""
    await scene.ask("s1", "r1")
    await scene.ask("s2", "r2", use_websocket=False)
    await scene.until_received("r1")
    scene.stack.nats_server.kill()
    await scene.stack.nats_server.start()
    await scene.delivered("s1", "r1")
    await scene.delivered("s2", "r2")


async def test_a_bridge_that_takes_over_a_long_history_goes_on_where_the_other_stood(scene: Scene) -> None:
    """It reads all reports of the session before it writes, so it does not resend confirmed utterances."""
    session = subjects.token(scene.id("s1"))
    for number in range(600):
        old = Report(requestId=f"old{number}", sessionId=scene.id("s1"), requestSeq=1, status="delivered")
        await scene.client.broker.publish(NAMES.put_report(session, f"old{number}"), old.encode("json"))
    await scene.ask("s1", "r1")
    await scene.until_received("r1", chunks=9)
    victim = await owner(scene.stack["ws_bridge"], "orastream_ws_bridge_sessions")
    assert await victim.stop() == 0
    report = await scene.delivered("s1", "r1")
    got = utterance_of(await scene.stack.received(), scene.id("r1"))
    assert got is not None
    assert (got["repeats"], report.retransmitted) == (0, 0)


async def test_oraserver_is_killed_and_comes_back(scene: Scene) -> None:
    """OraServer is back before the last retry: only unconfirmed audio is sent again."""
    await scene.ask("s1", "r1")
    await scene.until_received("r1", chunks=9)
    oraserver = scene.stack.only("oraserver")
    oraserver.kill()
    await oraserver.start()
    report = await scene.delivered("s1", "r1")
    assert report.reconnects >= 1
    got = utterance_of(await scene.stack.received(), scene.id("r1"))
    assert got is not None
    assert report.retransmitted < got["chunks"], "confirmed chunks were written again"


async def test_oraserver_is_gone_for_good(scene: Scene) -> None:
    """One final report, retryable. It delays no other session, and the session's next request gets its own report."""
    await scene.ask("s1", "r1")
    await scene.until_received("r1")
    scene.stack.only("oraserver").kill()
    report = await scene.final("s1", "r1")
    assert report.status == "failed" and report.error is not None
    assert report.error.code == "oraserver_unreachable" and report.error.retryable


@pytest.mark.parametrize("service", ["synth", "ws_bridge", "http_bridge"])
async def test_sigterm_in_mid_utterance_hands_back(scene: Scene, service: str) -> None:
    """A drain loses no request and ends with exit code 0."""
    http = service == "http_bridge"
    await scene.ask("s1", "r1", use_websocket=not http)
    await (scene.until_synthesising("s1", "r1") if http else scene.until_received("r1"))
    metric = "orastream_synth_working" if service == "synth" else f"orastream_{service}_sessions"
    victim: Process = await owner(scene.stack[service], metric)
    assert await victim.stop() == 0
    await scene.delivered("s1", "r1")


async def test_a_frozen_bridge_that_wakes_up_does_not_write(scene: Scene) -> None:
    """Its lease has expired; the new owner's report and order stay."""
    await scene.ask("s1", "r1")
    await scene.until_received("r1")
    victim = await owner(scene.stack["ws_bridge"], "orastream_ws_bridge_sessions")
    victim.freeze()
    await scene.delivered("s1", "r1")
    victim.thaw()
    await scene.ask("s1", "r2")
    await scene.delivered("s1", "r2")
    await scene.check("r1")
