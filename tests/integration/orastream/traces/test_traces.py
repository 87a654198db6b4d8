"""One trace for each request: the real client, synth and bridges in this process, with a real nats-server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.blocking import BlockingClient
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.service.settings import adopt_standard
from services.oraserver.app import OraServer
from services.oraserver.app import serve as serve_oraserver
from services.oraserver.faults import Faults
from tests.support.inprocess import running_node
from tests.support.nats_server import NatsServer
from tests.support.processes import until
from tests.support.spans import Recorded, collecting, only, recording, tree

pytestmark = pytest.mark.integration

TEXT = "Nobody may read these words in a trace. 안녕하세요."
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
WAIT_S = 30.0


@pytest.fixture
def spans() -> Iterator[Recorded]:
    with recording() as recorded:
        yield recorded


@pytest.fixture
async def oraserver(tmp_path: Path) -> AsyncIterator[OraServer]:
    async with serve_oraserver(OraServer(tmp_path / "oraserver")) as server:
        yield server


@pytest.fixture
async def node(nats_server: NatsServer, js: JetStream, oraserver: OraServer) -> AsyncIterator[str]:
    """Run synth and both bridges; yields the URL of NATS."""
    async with running_node(nats_server.url, oraserver.url):
        yield nats_server.url


async def traced(spans: Recorded, request_id: str, *names: str) -> list[Any]:
    """Wait until the request's trace has spans with these names, and return all its spans."""

    async def there() -> bool:
        return spans.look().names(request_id) >= set(names)

    await until(there, f"spans {names} of {request_id}", timeout_s=20)
    return spans.of(request_id)


def silent(spans: list[Any]) -> None:
    """Assert that no span holds the spoken text."""
    shown = repr(spans)
    assert "Nobody" not in shown and "안녕" not in shown


@pytest.mark.parametrize(("transport", "bridge"), [("websocket", "ws_bridge"), ("http", "http_bridge")])
async def test_trace_contains_all_spans_from_publish_to_confirmation(
    node: str, spans: Recorded, transport: Any, bridge: str
) -> None:
    async with Client(node) as client:
        with trace.get_tracer("an application").start_as_current_span("answer the caller"):
            report = await client.say(
                TEXT,
                session_id="s1",
                phone_id="p1",
                request_id="r1",
                transport=transport,
                fire_and_forget=False,
                wait_s=WAIT_S,
            )
    assert isinstance(report, Report) and report.status == "delivered"
    seen = await traced(spans, "r1", "answer the caller", f"{bridge} deliver", "synth process")
    assert tree(seen) == {
        "answer the caller": "",
        "say": "answer the caller",
        "publish tts.request": "say",
        "synth process": "publish tts.request",
        "claim": "synth process",
        "speak": "synth process",
        f"{bridge} deliver": "publish tts.request",
    }
    assert [span.error for span in seen] == [None] * 7
    publish, speak = only(seen, "publish tts.request"), only(seen, "speak")
    assert publish.kind == "producer"
    assert publish.attributes | {
        "messaging.system": "nats",
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
        "messaging.destination.name": "tts.request.s1",
        "messaging.destination.template": "tts.request.{session}",
        "orastream.session_id": "s1",
        "orastream.request_seq": report.request_seq,
        "orastream.duplicate": False,
    } == dict(publish.attributes)
    assert speak.events == ["first audio"]
    assert speak.attributes["orastream.chunks"] == report.total_chunks
    deliver = only(seen, f"{bridge} deliver")
    assert deliver.kind == "consumer"
    assert {"link up", "first write", "last confirmation"} <= set(deliver.events)
    assert deliver.attributes["orastream.status"] == "delivered"
    assert deliver.attributes["orastream.chunks"] == report.delivered_chunks
    assert deliver.attributes["messaging.consumer.group.name"] == bridge
    assert only(seen, "say").attributes["orastream.status"] == "delivered"
    silent(seen)


@pytest.mark.parametrize(
    ("headers", "inherits"),
    [
        ({"traceparent": PARENT, "tracestate": "vendor=x"}, True),
        ({"Traceparent": PARENT}, True),
        ({"traceparent": "00-nonsense"}, False),
        ({}, False),
    ],
)
async def test_traceparent_of_a_plain_nats_client_is_continued_when_it_is_valid(
    node: str, nats_server: NatsServer, spans: Recorded, headers: dict[str, str], inherits: bool
) -> None:
    """A valid `traceparent` is continued; without one, or with a malformed one, synth begins the trace."""
    body = json.dumps({"text": TEXT, "sessionId": "bare", "phoneId": "p1", "transport": "none"}).encode()
    async with nats_server.connect() as connection:
        ack = json.loads((await connection.request("tts.request.bare", body, headers=headers or None)).data)
    request_id = f"seq-{ack['seq']}"
    async with Client(node) as client:
        assert (await client.wait("bare", request_id, WAIT_S)).status == "delivered"
    seen = await traced(spans, request_id, "synth process")
    process = only(seen, "synth process")
    assert (process.trace_id == PARENT[3:35]) is inherits
    assert process.parent_id == (PARENT[36:52] if inherits else "")


@pytest.mark.parametrize(("transport", "bridge"), [("websocket", "ws_bridge"), ("http", "http_bridge")])
async def test_request_of_a_plain_nats_client_is_one_trace(
    node: str, nats_server: NatsServer, spans: Recorded, transport: str, bridge: str
) -> None:
    """A `nats pub` without headers: the spans of synth and bridge are roots of the same trace."""
    ids = ("bare-1", "bare-2")
    async with nats_server.connect() as connection, Client(node) as client:
        for request in ids:
            body = {"text": TEXT, "sessionId": "bare", "phoneId": "p1", "requestId": request, "transport": transport}
            await connection.publish("tts.request.bare", json.dumps(body).encode())
        for request in ids:

            async def is_there(request: str = request) -> bool:
                return await client.report("bare", request) is not None

            await until(is_there, "the request is stored")
            assert (await client.wait("bare", request, WAIT_S)).status == "delivered"
    seen = [await traced(spans, request, "synth process", f"{bridge} deliver") for request in ids]
    for of in seen:
        assert tree(of) == {
            "synth process": "",
            "claim": "synth process",
            "speak": "synth process",
            f"{bridge} deliver": "",
        }
        assert {span.parent_id for span in of if span.name in ("synth process", f"{bridge} deliver")} == {""}
    assert seen[0][0].trace_id != seen[1][0].trace_id


async def test_trace_shows_a_lost_link_and_a_failed_request(
    node: str, oraserver: OraServer, spans: Recorded, js: JetStream
) -> None:
    async with Client(node) as client:

        async def ask(request: str, **more: Any) -> Report:
            report = await client.say(
                TEXT, session_id="s2", phone_id="p1", request_id=request, fire_and_forget=False, wait_s=WAIT_S, **more
            )
            assert isinstance(report, Report)
            return report

        oraserver.misbehaviour.set(Faults(drop_after_chunks=1, times=1))
        assert (await ask("broken")).status == "delivered"
        deliver = only(await traced(spans, "broken", "ws_bridge deliver"), "ws_bridge deliver")
        assert deliver.events.count("link lost") == 1 and deliver.events.count("link up") == 2
        assert (deliver.error, deliver.attributes["orastream.reconnects"]) == (None, 1)

        assert (await ask("no-voice", voice="no-such-voice")).status == "failed"
        seen = await traced(spans, "no-voice", "ws_bridge deliver", "say", "synth process")
        for name in ("speak", "synth process", "ws_bridge deliver", "say"):
            span = only(seen, name)
            assert span.attributes["error.type"] == "invalid_request", span
            assert span.error is not None and span.error.startswith("invalid_request: ")

        cancelled = asyncio.create_task(ask("cancelled", ttlSeconds=30, voice="ko"))
        await until(lambda: _stored(client, "s2", "cancelled"), "the request is stored")
        await client.cancel("s2")
        assert (await cancelled).status in ("cancelled", "delivered")
        silent(spans.look().seen)


async def _stored(client: Client, session: str, request: str) -> bool:
    return await client.report(session, request) is not None


async def test_bridge_adds_a_span_when_it_ends_a_request_that_no_synth_claimed(
    nats_server: NatsServer, js: JetStream, oraserver: OraServer, spans: Recorded
) -> None:
    """Without a synth, the bridge ends the request and adds a span to its trace."""
    async with (
        running_node(nats_server.url, oraserver.url, ["ws_bridge"]),
        Client(nats_server.url) as client,
    ):
        await client.say(TEXT, session_id="s3", phone_id="p1", request_id="late", transport="websocket", ttlSeconds=1)
        assert (await client.wait("s3", "late", WAIT_S)).status == "expired"
    seen = await traced(spans, "late", "end")
    assert only(seen, "end").attributes["error.type"] == "expired"
    assert tree(seen)["end"] == "publish tts.request"


async def test_second_attempt_continues_the_trace_of_the_first(
    nats_server: NatsServer, js: JetStream, oraserver: OraServer, spans: Recorded
) -> None:
    """synth is stopped during the utterance; the next synth continues at the next chunk, in the same trace."""
    slow = running_node(nats_server.url, oraserver.url, ["synth"], tts_engine_rtf=2.0, websocket_chunk_size=4096)
    async with Client(nats_server.url) as client:
        async with slow:
            accepted = await client.say(TEXT * 2, session_id="s4", phone_id="p1", request_id="twice", transport="none")
            assert isinstance(accepted, Acceptance)
            async for message in client.audio("s4", "twice", accepted.request_seq):
                if getattr(message, "index", 0) >= 2:
                    break
        async with running_node(nats_server.url, oraserver.url, ["synth"]):
            assert (await client.wait("s4", "twice", WAIT_S)).status == "delivered"
    seen = (await traced(spans, "twice", "speak")) and spans.look().of("twice")
    speaks = sorted((s for s in seen if s.name == "speak"), key=lambda s: s.attributes["orastream.attempt"])
    assert len(speaks) == 2 and speaks[0].events == ["first audio", "broken off"]
    assert speaks[1].attributes["orastream.first_index"] >= 3 and "orastream.chunks" in speaks[1].attributes
    assert [s.name for s in seen].count("synth process") == 2
    assert {s.parent_id for s in seen if s.name == "synth process"} == {only(seen, "publish tts.request").span_id}


async def test_blocking_client_continues_the_span_of_the_calling_thread(js: JetStream, spans: Recorded) -> None:
    def ask(url: str) -> None:
        with BlockingClient(url) as client, trace.get_tracer("django").start_as_current_span("view"):
            client.say(TEXT, session_id="s5", phone_id="p1", request_id="blocking")

    await asyncio.to_thread(ask, js.broker.url)
    assert tree(await traced(spans, "blocking", "view")) == {
        "view": "",
        "say": "view",
        "publish tts.request": "say",
    }


EXPORTING = """
import os, sys
from orastream import traces
stop = traces.start("orastream-test", os.environ)
for parent in ({}, {"traceparent": sys.argv[1]}):
    with traces.begin("work", parent=parent):
        pass
stop(10.0)
"""


async def test_opentelemetry_reads_its_standard_variables(tmp_path: Path) -> None:
    """OpenTelemetry reads the service name and the sampler from its own variables."""
    async with collecting() as collector:
        environment = {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "OTEL_SERVICE_NAME": "voice",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", EXPORTING, PARENT, env=os.environ | environment, cwd=tmp_path
        )
        assert await process.wait() == 0
    assert [(span.service, span.trace_id, span.parent_id) for span in collector.seen] == [
        ("voice", PARENT[3:35], PARENT[36:52])
    ]


SAMPLED = """
import os
from orastream import traces
stop = traces.start("orastream-test", os.environ)
for n in range(200):
    with traces.begin("work", parent=traces.origin_of("S", n, 7)) as span, traces.begin("part", parent=span):
        pass
stop(10.0)
"""


@pytest.mark.parametrize(
    ("sampler", "share", "kept"),
    [
        ("parentbased_traceidratio", "0.25", range(25, 76)),
        ("traceidratio", "0.25", range(25, 76)),
        ("parentbased_always_off", "", range(1)),
        ("parentbased_always_on", "", range(200, 201)),
    ],
)
async def test_trace_of_a_plain_nats_client_is_sampled_completely_or_not_at_all(
    tmp_path: Path, sampler: str, share: str, kept: range
) -> None:
    """The configured sampler makes the same decision for root spans in each process."""
    async with collecting() as collector:
        environment = os.environ | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_TRACES_SAMPLER": sampler,
            "OTEL_TRACES_SAMPLER_ARG": share,
        }
        for name in ("one", "two"):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", SAMPLED, env=environment | {"OTEL_SERVICE_NAME": name}, cwd=tmp_path
            )
            assert await process.wait() == 0
    ids = {span.trace_id for span in collector.seen}
    assert len(ids) in kept
    whole = sorted((i, name, span) for i in ids for name in ("one", "two") for span in ("part", "work"))
    assert sorted((span.trace_id, span.service, span.name) for span in collector.seen) == whole


def test_standard_variables_are_read_from_dot_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("OTEL_A_TEST=file\nOTEL_B_TEST=file\nOTEL_C_TEST=\nOTHER_TEST=file\n")
    monkeypatch.chdir(tmp_path)
    empty = {"OTEL_D_TEST": "", "OTEL_E_TEST": " ", "OTEL_A_TEST": "", "OTHER_EMPTY": ""}
    monkeypatch.setattr(os, "environ", {"OTEL_B_TEST": "environment"} | empty)
    adopt_standard("OTEL_")
    assert os.environ == {"OTEL_A_TEST": "file", "OTEL_B_TEST": "environment", "OTHER_EMPTY": ""}
