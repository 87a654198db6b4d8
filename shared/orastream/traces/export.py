"""Export of this process' spans: OTLP over HTTP, as the standard variables of OpenTelemetry say.

Only what is asked for by them is imported. Spans wait in a bounded queue and are sent by a thread; what does not fit or
cannot be sent is lost, and nothing else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from orastream.base import logger

log = logger.named(__name__)

Stop = Callable[[float], None]
"""Send what is left, within so many seconds; the process goes on its way then."""


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces: an exporter `otlp`, or an endpoint and no other exporter."""

    def value(name: str) -> str:
        return environment.get(name, "").strip()

    if value("OTEL_SDK_DISABLED").lower() == "true":
        return False
    exporters = [name.strip().lower() for name in value("OTEL_TRACES_EXPORTER").split(",")]
    if exporters != [""]:
        return "otlp" in exporters
    return bool(value("OTEL_EXPORTER_OTLP_ENDPOINT") or value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def start(service: str, environment: Mapping[str, str]) -> Stop:
    """Export spans from now on if they are wanted, under the name `service` unless the environment has another.

    Never raises for want of a package or a collector: traces must not keep a service from its work.
    """
    if not wanted(environment):
        return _nothing
    try:
        from orastream.traces import sdk
    except ImportError as exc:
        log.warning("no traces: install the extra `traces` of orastream", error=str(exc))
        return _nothing
    if environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() == "grpc":
        log.warning("OTEL_EXPORTER_OTLP_PROTOCOL: traces go by http/protobuf; name the collector's HTTP port (4318)")
    logging.getLogger("opentelemetry").setLevel("CRITICAL")  # the exporter below says it once, in our words
    try:
        shutdown = sdk.start(service)
    except Exception as exc:  # noqa: BLE001 - variables that make no sense to the SDK cost the traces, not the service
        log.warning("no traces: OpenTelemetry does not take the OTEL_* variables", error=str(exc))
        return _nothing
    log.info("traces are exported")

    def stop(within_s: float) -> None:
        # The SDK's own time limits are longer than a drain may take, and its last export may hang on a collector.
        thread = threading.Thread(target=shutdown, name="last traces", daemon=True)
        thread.start()
        thread.join(max(0.0, within_s))

    return stop


def _nothing(within_s: float) -> None:
    pass
