"""Traces in a real setup: services as processes, the standard variables, a collector with OTLP/HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from orastream.client.async_client import Client
from tests.support.processes import free_port
from tests.support.services import Stack
from tests.support.spans import Collector, collecting, only, tree

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]  # each test starts its own node

TEXT = "Nobody may read these words in a trace. 안녕하세요."
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SERVICES = ("oraserver", "gateway", "synth", "ws_bridge")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


async def test_trace_contains_all_spans_from_the_http_call_to_the_confirmation(
    stack: Stack, collector: Collector
) -> None:
    """The parents and services of all spans. Then each process gets SIGTERM and exports its last spans."""
    await stack.start(
        *SERVICES,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_BSP_SCHEDULE_DELAY=100,
        TTS_LOG_LEVEL="DEBUG",
    )
    body = {"text": TEXT, "sessionId": "s 1", "phoneId": "p1", "requestId": "r1", "fire_and_forget": False}
    headers = {"traceparent": PARENT, "tracestate": "vendor=x"}
    async with aiohttp.ClientSession() as http:
        url = f"{stack.only('gateway').url}/api/convert-tts/"
        async with http.post(url, json=body, headers=headers) as answer:
            report = await answer.json()
    assert (answer.status, report["status"]) == (200, "delivered")

    seen = await collector.until("r1", "POST /api/convert-tts/", "synth process", "speak", "ws_bridge deliver")
    assert {span.trace_id for span in seen} == {PARENT[3:35]}
    assert tree(seen) == {
        "POST /api/convert-tts/": "",
        "publish tts.request": "POST /api/convert-tts/",
        "synth process": "publish tts.request",
        "claim": "synth process",
        "speak": "synth process",
        "ws_bridge deliver": "publish tts.request",
    }
    server = only(seen, "POST /api/convert-tts/")
    assert (server.parent_id, server.kind, server.attributes["http.response.status_code"]) == (
        PARENT[36:52],
        "server",
        200,
    )
    assert {span.name: span.service for span in seen} == {
        "POST /api/convert-tts/": "orastream-gateway",
        "publish tts.request": "orastream-gateway",
        "synth process": "orastream-synth",
        "claim": "orastream-synth",
        "speak": "orastream-synth",
        "ws_bridge deliver": "orastream-ws_bridge",
    }
    assert only(seen, "ws_bridge deliver").attributes["orastream.status"] == "delivered"

    # tts.speak continues its caller's trace. Speech that a client reads itself is also one trace.
    spoken = json.dumps(body | {"requestId": "r2"}).encode()
    async with stack.nats_server.connect() as connection:
        answered = await connection.request("tts.speak", spoken, timeout=30, headers={"traceparent": PARENT})
    assert json.loads(answered.data)["status"] == "delivered"
    async with aiohttp.ClientSession() as http:
        url = f"{stack.only('gateway').url}/v1/audio/speech"
        async with http.post(url, json={"model": "tts-1", "input": TEXT, "response_format": "wav"}) as answer:
            assert len(await answer.read()) > 10_000
    # No export may wait for a timer: at its end each process exports its remaining spans.
    await stack.stop()
    assert tree(collector.of("r2"))["process tts.speak"] == ""
    assert tree(collector.of("r2"))["publish tts.request"] == "process tts.speak"
    (speech,) = [span for span in collector.seen if span.name == "POST /v1/audio/speech"]
    spans = [span for span in collector.seen if span.trace_id == speech.trace_id]
    assert {"publish tts.request", "synth process", "speak"} <= {span.name for span in spans}
    assert "Nobody" not in repr(collector.seen) and "안녕" not in repr(collector.seen)
    assert "traceback" not in "".join(process.text().lower() for group in stack.processes.values() for process in group)


async def test_traces_of_a_plain_nats_client_are_sampled_completely_or_not_at_all(
    stack: Stack, collector: Collector
) -> None:
    """A plain NATS client and a sampler that keeps half of the traces: each trace has all spans or none."""
    await stack.start(
        *("oraserver", "synth", "ws_bridge"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_TRACES_SAMPLER="parentbased_traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.5",
    )
    ids = [f"r{n}" for n in range(24)]  # the chance that all or none of them are kept is 1 in 8 million
    async with stack.nats_server.connect() as connection, Client(stack.nats_server.url) as client:
        for n, request in enumerate(ids):
            body = {"text": "말", "sessionId": f"s{n % 4}", "phoneId": "p1", "requestId": request}
            await connection.request(f"tts.request.s{n % 4}", json.dumps(body).encode(), timeout=10)
        for n, request in enumerate(ids):
            assert (await client.wait(f"s{n % 4}", request, 60)).status == "delivered"
    await stack.stop()
    kept = {name for span in collector.seen if (name := span.attributes.get("orastream.request_id"))}
    assert 0 < len(kept) < len(ids)
    for request in kept:
        assert sorted(tree(collector.of(request)).items()) == [
            ("claim", "synth process"),
            ("speak", "synth process"),
            ("synth process", ""),
            ("ws_bridge deliver", ""),
        ]
    assert len(collector.seen) == 4 * len(kept)


async def test_speech_is_delivered_while_the_collectors_are_down(stack: Stack, collector: Collector) -> None:
    """A closed port, status 500, or no answer: speech is delivered, and no drain waits for the collector."""
    collector.answer = 500
    async with await asyncio.start_server(_say_nothing, "127.0.0.1", 0) as hanging:
        endpoints = {
            "oraserver": "",
            "gateway": f"http://127.0.0.1:{free_port()}",
            "synth": f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}",
            "ws_bridge": collector.url,
        }
        async with asyncio.TaskGroup() as tasks:
            for service, url in endpoints.items():
                given = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": 50}
                tasks.create_task(stack.start(service, **given))
        body = {"text": TEXT, "sessionId": "s1", "phoneId": "p1", "fire_and_forget": False}
        async with aiohttp.ClientSession() as http:
            for request in ("r1", "r2"):
                url = f"{stack.only('gateway').url}/api/convert-tts/"
                async with http.post(url, json=body | {"requestId": request}) as answer:
                    assert (answer.status, (await answer.json())["status"]) == (200, "delivered")
        began = time.monotonic()
        await stack.stop()
        assert time.monotonic() - began < 9.0, "the last export exceeded the deadline of the drain"
    for (process,) in stack.processes.values():
        log = process.text()
        assert log.count("the collector takes no traces") <= 1 and "Traceback" not in log


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.read()
    finally:
        writer.close()
