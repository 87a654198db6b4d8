"""Deletes streams, consumers and all data of the server while services run: the services create them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from functools import partial

import pytest

from orastream.broker import Broker
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from orastream.delivery.rules.entry import LOST_GRACE_S
from orastream.delivery.rules.utterance import DIFFERS
from orastream.jetstream import topology
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.services import Stack
from tests.support.speech import utterance_of

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

SERVICES = ("synth", "ws_bridge", "http_bridge", "gateway")
STREAMS = [config["name"] for config in topology.stream_configs(NAMES, topology.StreamLimits())]
BACK_S = 20.0
"""Timeout for a repair, in seconds; ten times the expected time."""
LONG = "One two three four five six seven eight. Nine ten eleven twelve. Thirteen fourteen fifteen sixteen. " * 2
"""A text that takes the engine six seconds."""


@pytest.fixture
async def node(stack: Stack) -> Stack:
    """A stack with one process of each service."""
    await stack.start("oraserver")
    await stack.start(*SERVICES, SYNTH_SLOTS=1, TTS_ENGINE_RTF=0.05, TTS_PHRASE_CACHE=True)
    return stack


@pytest.fixture
async def js(nats_server: NatsServer) -> AsyncIterator[JetStream]:
    """A separate connection, which creates no streams."""
    async with Broker(nats_server.url, name="test", connect_timeout_s=5) as broker:
        yield JetStream(broker)


async def all_ready(node: Stack) -> bool:
    return all([await node.only(service).ready() for service in SERVICES])


async def speaks(node: Stack, js: JetStream, what: str) -> None:
    """Publish a request of each transport. Each one gets its final report, and every service is ready."""
    client = Client(js.broker)
    for use_websocket in (True, False):
        session = f"{what.replace(' ', '-').replace('.', '-')}-{use_websocket}"
        report = await client.say(
            "Good.",
            session_id=session,
            phone_id="p",
            use_websocket=use_websocket,
            fire_and_forget=False,
            wait_s=BACK_S,
        )
        assert isinstance(report, Report) and report.status == "delivered", (what, report)
    await until(lambda: all_ready(node), f"every service is ready after {what}", timeout_s=BACK_S)


async def exists(js: JetStream, stream: str) -> bool:
    return "config" in await js.api(f"STREAM.INFO.{stream}")


async def test_what_is_deleted_is_created_again(node: Stack, js: JetStream) -> None:
    await speaks(node, js, "the start")
    for consumer in sorted(topology.consumer_names()):
        await js.api(f"CONSUMER.DELETE.{NAMES.sessions_stream}.{consumer}")
        await speaks(node, js, f"CONSUMER.DELETE {consumer}")
    for stream in STREAMS:
        before = await js.api(f"STREAM.INFO.{stream}")
        await js.api(f"STREAM.DELETE.{stream}")
        await speaks(node, js, f"STREAM.DELETE {stream}")
        await until(partial(exists, js, stream), f"{stream} is there again", timeout_s=BACK_S)
        after = await js.api(f"STREAM.INFO.{stream}")
        assert after["state"]["last_seq"] >= before["state"]["last_seq"], "sequences came back: readers would be deaf"
    await js.api("STREAM.DELETE.OBJ_tts_phrases")
    await until(lambda: exists(js, "OBJ_tts_phrases"), "the phrase cache is there again", timeout_s=BACK_S)
    for service in SERVICES:
        await until(partial(said_lost, node, service), f"{service} says once what was lost", timeout_s=BACK_S)


async def test_what_is_being_delivered_goes_on(stack: Stack, js: JetStream) -> None:
    """Streams are deleted while an utterance of each transport is synthesized and delivered. The owner's record or the
    stored request may be lost, but not both: then no process knows the request.
    """
    await stack.start("oraserver")
    await stack.start(*SERVICES, SYNTH_SLOTS=2, TTS_ENGINE_RTF=0.5, TTS_PHRASE_CACHE=False)
    client = Client(js.broker)
    for lost in (
        (NAMES.audio_stream, NAMES.texts_stream, NAMES.owners_stream, NAMES.heartbeats_stream),
        (NAMES.sessions_stream, NAMES.reports_stream),
    ):
        accepted = [
            await client.say(LONG, session_id=f"{lost[0]}-{way}", phone_id="p", use_websocket=way, fire_and_forget=True)
            for way in (True, False)
        ]
        await until(partial(heard, stack, f"{lost[0]}-True"), "OraServer has heard the beginning", timeout_s=BACK_S)
        for stream in lost:
            assert not (await stack.received(f"{lost[0]}-True"))["utterances"][0]["complete"], f"too late for {stream}"
            await js.api(f"STREAM.DELETE.{stream}")
            await until(partial(exists, js, stream), f"{stream} is there again", timeout_s=BACK_S)
        for acceptance in accepted:
            report = await client.wait(acceptance.session_id, acceptance.request_id, 2 * BACK_S)
            if report.error is not None and report.error.message == DIFFERS:  # the chunks that were made anew differ
                assert NAMES.audio_stream in lost
                continue
            assert report.status == "delivered", (lost, report)
            got = utterance_of(await stack.received(acceptance.session_id), acceptance.request_id)
            assert got is not None and got["violations"] == [] and got["bytes"] == report.bytes, (lost, got)


async def heard(stack: Stack, session_id: str) -> bool:
    return bool((await stack.received(session_id))["utterances"])


async def said_lost(node: Stack, service: str) -> bool:
    """Whether the service has logged the loss once for each stream."""
    said = [json.loads(line) for line in node.only(service).text().splitlines() if line.startswith("{")]
    lost = [entry["name"] for entry in said if entry["event"] == "it was missing and is created again"]
    assert all(lost.count(stream) <= 1 for stream in STREAMS), lost
    return set(STREAMS) <= set(lost)


async def test_requests_that_no_synth_can_claim_any_more_fail_and_do_not_block_their_session(
    stack: Stack, js: JetStream
) -> None:
    """The bridge knows the requests of before the loss, but no synth can fetch them."""
    await stack.start("oraserver")
    await stack.start("ws_bridge", "http_bridge")
    client = Client(js.broker)
    lost = [await accept(js, "waiting") for _ in range(2)]
    await until(partial(owned, stack), "the bridge has the session", timeout_s=BACK_S)
    await js.api(f"STREAM.DELETE.{NAMES.sessions_stream}")
    await until(partial(exists, js, NAMES.sessions_stream), "the stream is there again", timeout_s=BACK_S)
    await stack.start("synth")
    later = await accept(js, "waiting")
    assert (await client.wait(*later, LOST_GRACE_S + BACK_S)).status == "delivered"
    for request in lost:
        report = await client.wait(*request, BACK_S)
        assert report.status == "failed" and report.error is not None and "deleted" in report.error.message, report


async def owned(node: Stack) -> bool:
    return await node.only("ws_bridge").metric("orastream_ws_bridge_sessions") == 1


async def test_the_servers_data_is_lost(node: Stack, js: JetStream, nats_server: NatsServer) -> None:
    """Old sessions of a bridge do not disturb, because the sequences of the new streams continue."""
    await speaks(node, js, "the start")
    nats_server.kill()
    shutil.rmtree(nats_server.data)
    await nats_server.start()
    await speaks(node, js, "the start")


async def accept(js: JetStream, session_id: str) -> tuple[str, str]:
    """Store a request that cannot end now; returns its ids."""
    acceptance = await Client(js.broker).say("Good.", session_id=session_id, phone_id="p", fire_and_forget=True)
    assert isinstance(acceptance, Acceptance)
    return acceptance.session_id, acceptance.request_id


async def unready(node: Stack, service: str, reason: str) -> bool:
    path = "/readyz"
    status, body = await node.only(service).get(path)
    return status == 503 and (reason in body.decode() or service == "gateway")


async def test_unready_as_long_as_a_stream_or_its_own_consumer_is_missing(node: Stack, js: JetStream) -> None:
    """Here a stream with one of the subjects, or a push consumer, prevents the creation."""
    await speaks(node, js, "the start")
    foreign = {"name": "FOREIGN", "subjects": [NAMES.put_report("foreign", "foreign")]}

    async def blocked() -> bool:  # the node may create its own stream first
        await js.api(f"STREAM.DELETE.{NAMES.reports_stream}")
        return "config" in await js.api("STREAM.CREATE.FOREIGN", foreign)

    await until(blocked, "another stream has a subject of TTS_REPORTS", timeout_s=BACK_S, poll_s=0.0)
    for service in SERVICES:
        await until(partial(unready, node, service, NAMES.reports_stream), f"{service} is not ready", timeout_s=BACK_S)
    accepted = await accept(js, "no reports")
    await js.api("STREAM.DELETE.FOREIGN")
    await speaks(node, js, "the other stream is gone")
    assert (await Client(js.broker).wait(*accepted, BACK_S)).status == "delivered"

    pushing = {"durable_name": "synth", "deliver_subject": "nobody", "ack_policy": "explicit"}

    async def pushes() -> bool:
        await js.api(f"CONSUMER.DELETE.{NAMES.sessions_stream}.synth")
        body = {"stream_name": NAMES.sessions_stream, "config": pushing, "action": "create"}
        return "config" in await js.api(f"CONSUMER.CREATE.{NAMES.sessions_stream}.synth", body)

    await until(pushes, "a consumer that cannot be pulled has synth's name", timeout_s=BACK_S, poll_s=0.0)
    await until(lambda: unready(node, "synth", "consumer synth"), "synth is not ready", timeout_s=BACK_S)
    assert await node.only("ws_bridge").ready(), "its own consumer answers"
    accepted = await accept(js, "no consumer")
    await js.api(f"CONSUMER.DELETE.{NAMES.sessions_stream}.synth")
    await speaks(node, js, "the consumer is gone")
    assert (await Client(js.broker).wait(*accepted, BACK_S)).status == "delivered"
