"""Spans for tests: recorded in this process, or received from services with OTLP over HTTP."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.processes import until


@dataclass(frozen=True)
class SeenSpan:
    """An ended span, recorded or received."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """"" for a root."""
    kind: str
    error: str | None
    """The description of an error status, else None."""
    attributes: dict[str, Any]
    events: list[str]


@dataclass
class Spans:
    """A list of spans with queries for tests."""

    seen: list[SeenSpan] = field(default_factory=list)

    def of(self, request_id: str) -> list[SeenSpan]:
        """All spans of the request's trace. Raises AssertionError if there is not exactly one trace."""
        traces = {span.trace_id for span in self.seen if span.attributes.get("orastream.request_id") == request_id}
        assert len(traces) == 1, f"{request_id} has {len(traces)} traces"
        return [span for span in self.seen if span.trace_id in traces]

    def names(self, request_id: str) -> set[str]:
        """The names of the spans in the request's trace; empty before the first one."""
        try:
            return {span.name for span in self.of(request_id)}
        except AssertionError:
            return set()


def only(spans: list[SeenSpan], name: str) -> SeenSpan:
    """The only span with that name."""
    found = [span for span in spans if span.name == name]
    assert len(found) == 1, f"{len(found)} spans {name!r} among {sorted(s.name for s in spans)}"
    return found[0]


def tree(spans: list[SeenSpan]) -> dict[str, str]:
    """The name of each span's parent, by the name of the span; "" if the parent is not in the list."""
    names = {span.span_id: span.name for span in spans}
    return {span.name: names.get(span.parent_id, "") for span in spans}


# ---- in this process

_memory = InMemorySpanExporter()
_provider: TracerProvider | None = None


def _seen(span: ReadableSpan) -> SeenSpan:
    assert span.context is not None
    return SeenSpan(
        service=str(span.resource.attributes.get("service.name", "")),
        name=span.name,
        trace_id=f"{span.context.trace_id:032x}",
        span_id=f"{span.context.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else "",
        kind=span.kind.name.lower(),
        error=(span.status.description or "") if span.status.status_code is trace.StatusCode.ERROR else None,
        attributes=dict(span.attributes or {}),
        events=[event.name for event in span.events],
    )


class Recorded(Spans):
    """Spans of this process; `look()` adds the spans that have ended since."""

    def look(self) -> Recorded:
        """Add the spans that have ended until now; returns self."""
        self.seen = [_seen(span) for span in _memory.get_finished_spans()]
        return self


@contextlib.contextmanager
def recording() -> Iterator[Recorded]:
    """Set up OpenTelemetry as an application does (once in a process); yields the spans recorded from now on."""
    global _provider
    if _provider is None:
        _provider = TracerProvider(shutdown_on_exit=False)
        _provider.add_span_processor(SimpleSpanProcessor(_memory))
        trace.set_tracer_provider(_provider)
    _memory.clear()
    yield Recorded()
    _memory.clear()


# ---- a collector


class Collector(Spans):
    """An OTLP/HTTP receiver."""

    url = ""
    answer = 200

    async def receive(self, request: web.Request) -> web.Response:
        """Handle POST /v1/traces."""
        assert request.headers["Content-Type"] == "application/x-protobuf"
        body = await request.read()  # aiohttp has decoded the Content-Encoding
        if body[:2] == b"\x1f\x8b":
            body = gzip.decompress(body)
        if self.answer != 200:
            return web.Response(status=self.answer)
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            about = {a.key: _value(a.value) for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                assert scope.scope.name == "orastream"
                self.seen.extend(_received(span, str(about["service.name"])) for span in scope.spans)
        return web.Response(body=b"", content_type="application/x-protobuf")

    async def until(self, request_id: str, *names: str, timeout_s: float = 30.0) -> list[SeenSpan]:
        """Wait until the request's trace has spans with those names, and return all its spans."""

        async def there() -> bool:
            return self.names(request_id) >= set(names)

        await until(there, f"spans {names} of {request_id}; there are {self.names(request_id)}", timeout_s=timeout_s)
        return self.of(request_id)


KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]


def _received(span: Any, service: str) -> SeenSpan:
    return SeenSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=KINDS[span.kind],
        error=span.status.message if span.status.code == 2 else None,
        attributes={a.key: _value(a.value) for a in span.attributes},
        events=[event.name for event in span.events],
    )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Run a collector on a free loopback port."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield collector
    finally:
        await runner.cleanup()
