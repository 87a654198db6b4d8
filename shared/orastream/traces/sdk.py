"""Sets up OpenTelemetry's SDK for a service. Import it only when traces are wanted: the import takes about 0.5 s."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from orastream.base import logger
from orastream.base.version import VERSION

log = logger.named(__name__)


def start(service: str) -> Callable[[], None]:
    """Set the tracer provider from this process' OTEL_* variables. Returns its shutdown function (it may block)."""
    resource = Resource.create()  # OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service}))
    if not resource.attributes.get("service.version"):
        resource = resource.merge(Resource({"service.version": VERSION}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # OTEL_TRACES_SAMPLER
    provider.add_span_processor(BatchSpanProcessor(LogOnce(OTLPSpanExporter())))  # OTEL_BSP_*, OTEL_EXPORTER_OTLP_*
    trace.set_tracer_provider(provider)
    return provider.shutdown


class LogOnce(SpanExporter):
    """An exporter that logs once when the collector stops accepting spans, and once when it accepts them again."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch; spans that cannot be sent are lost."""
        result = self._inner.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("the collector takes no traces; they are lost until it does", spans=len(spans))
        elif self._failing and not failing:
            log.info("the collector takes traces again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        """Shut down the inner exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner exporter; this class has no queue."""
        return self._inner.force_flush(timeout_millis)
