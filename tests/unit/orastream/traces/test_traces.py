"""Trace context in headers, the variables that turn traces on, and that nothing is imported while they are off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from orastream import traces
from orastream.broker import Broker, Headers
from orastream.contract.names import SYNTH
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import Stored
from orastream.jetstream.pull_consumer import parse_delivery
from orastream.traces.export import wanted
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

hexes = st.text("0123456789abcdef", min_size=1, max_size=40)
near_parents = st.one_of(
    st.builds(lambda *parts: "-".join(parts), hexes, hexes, hexes, hexes),
    st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z0-9]{0,8})?", fullmatch=True),
    st.text(max_size=80),
)


def understood(carrier: Mapping[str, str]) -> trace.SpanContext:
    """The span context that OpenTelemetry's own propagator reads from the headers."""
    nothing = trace.set_span_in_context(trace.INVALID_SPAN)
    return trace.get_current_span(TraceContextTextMapPropagator().extract(dict(carrier), nothing)).get_span_context()


@given(near_parents)
def test_carrier_contains_only_contexts_that_opentelemetry_accepts(parent: str) -> None:
    carrier = traces.carrier_of({"traceparent": parent}.get)
    valid = understood({"traceparent": parent}).is_valid
    assert bool(carrier) <= valid, "a context that OpenTelemetry rejects was passed on"
    if valid and len(parent) <= 100:
        assert understood(carrier) == understood({"traceparent": parent})


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "garbage",
        PARENT.upper(),
        PARENT + "-more",
        "ff" + PARENT[2:],
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        "세션",
        "0" * 5_000,
    ],
)
def test_carrier_is_empty_for_a_malformed_parent(parent: str) -> None:
    assert traces.carrier_of({"traceparent": parent, "tracestate": "a=1"}.get) == {}


def test_carrier_contains_the_state_only_when_it_is_valid() -> None:
    headers = {"traceparent": f" {PARENT} ", "tracestate": "vendor=x,other=y"}
    assert traces.carrier_of(headers.get) == {"traceparent": PARENT, "tracestate": "vendor=x,other=y"}
    for state in ("a" * 513, "상태=1", "a=1\r\nNats-Rollup: sub", ""):
        assert traces.carrier_of({"traceparent": PARENT, "tracestate": state}.get) == {"traceparent": PARENT}


def test_carrier_is_read_from_headers_in_the_case_that_go_writes() -> None:
    block = f"NATS/1.0\r\nNats-Msg-Id: s.r\r\nTraceparent: {PARENT}\r\nTracestate: a=1\r\nNats-Stream: X\r\n\r\n"
    assert traces.carrier_of(Headers(block.encode()).get) == {"traceparent": PARENT, "tracestate": "a=1"}
    assert traces.carrier_of(Headers(b"NATS/1.0\r\n\r\n").get) == {}


# ---- a publisher that sends no context

BODY = b'{"text": "a", "sessionId": "s", "phoneId": "p"}'


@given(st.integers(1, 2**53), st.integers(0, 4 * 10**18))
def test_synth_and_bridges_compute_the_same_trace_id(sequence: int, stored_at_ns: int) -> None:
    """synth's delivery has the time in nanoseconds, a bridge reads it as text: both must be equal to the last digit."""
    seconds, ns = divmod(stored_at_ns, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    fraction = f".{ns:09}".rstrip("0").rstrip(".")  # as Go's RFC3339Nano writes it
    subject = NAMES.session_request("s")
    reply = f"$JS.ACK.{NAMES.sessions_stream}.{SYNTH}.1.{sequence}.1.{stored_at_ns}.0"
    read = Stored(subject, sequence, f"{whole}{fraction}Z", BODY)
    handed = parse_delivery(Broker("nats://127.0.0.1:1", name="test"), subject, reply, BODY)
    assert handed is not None
    seen = [read_message(message, NAMES, max_text_chars=10) for message in (read, handed)]
    assert all(isinstance(stored, StoredRequest) for stored in seen)
    origins = {stored.trace for stored in seen if isinstance(stored, StoredRequest)}
    assert origins == {traces.origin_of(NAMES.sessions_stream, sequence, stored_at_ns)}


def test_different_messages_have_different_trace_ids() -> None:
    places = [(stream, n, at) for stream in ("A", "B") for n in (1, 11) for at in (1, 2)] + [
        ("A", 111, 1),
        ("A 1", 1, 1),
    ]
    origins = [traces.origin_of(*place) for place in places]
    assert len(set(origins)) == len(places)
    assert all(0 < origin.trace_id < 2**128 for origin in origins)


def test_trace_ids_are_spread_evenly_for_samplers() -> None:
    """A sampler that compares either half of the id with a tenth of its range keeps about a tenth of the requests."""
    ids = [traces.origin_of(NAMES.sessions_stream, n, 1_700_000_000 * 10**9 + n).trace_id for n in range(5_000)]
    for half in (lambda i: i >> 64, lambda i: i & (2**64 - 1)):
        assert 400 < sum(half(i) < 2**64 // 10 for i in ids) < 600


def test_trace_context_of_the_publisher_takes_precedence() -> None:
    block = f"NATS/1.0\r\ntraceparent: {PARENT}\r\n\r\n"
    stored = read_message(
        Stored(NAMES.session_request("s"), 1, "2026-01-01T00:00:00Z", BODY, Headers(block.encode())),
        NAMES,
        max_text_chars=10,
    )
    assert isinstance(stored, StoredRequest) and stored.trace == {"traceparent": PARENT}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console, OTLP"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_traces_are_off_unless_a_variable_turns_them_on(environment: dict[str, str], expected: bool) -> None:
    assert wanted(environment) is expected


OFF = f"""
import sys
from orastream import traces
import orastream.client.async_client, orastream.service.bridge
import services.synth.service, services.ws_bridge.sink, orastream.delivery.post.sink
traces.start("orastream-test", {{}})(1.0)
given = {{"traceparent": "{PARENT}", "tracestate": "a=1"}}
with traces.begin("outer", parent=given) as outer:
    with traces.begin("inner", parent=outer, kind="consumer", attributes={{"a": None, "b": 1}}) as inner:
        inner.event("e"); inner.fail("internal", "x"); inner.set({{"c": 2}})
assert inner.carrier == given, inner.carrier
assert traces.begin("alone").carrier == {{}}
assert traces.begin("bare", parent=traces.origin_of("S", 1, 1)).carrier == {{}}
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google.protobuf", "requests"))))
"""


def test_nothing_is_imported_and_contexts_are_passed_on_while_traces_are_off() -> None:
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_gateway_does_not_import_the_sdk() -> None:
    """FastAPI imports OpenTelemetry's API; the SDK must not be imported."""
    code = "import services.gateway.app, sys; print('opentelemetry.sdk' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


WITHOUT = """
import sys
sys.modules["opentelemetry.sdk"] = None  # as if the extra were not installed
from orastream import traces
traces.start("orastream-test", {"OTEL_TRACES_EXPORTER": "otlp"})(1.0)
"""


def test_process_runs_without_traces_when_the_extra_is_missing() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert "install the extra `traces`" in done.stdout + done.stderr
