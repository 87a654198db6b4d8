"""Exports this process' spans by OTLP over HTTP, configured by OpenTelemetry's standard variables.

The SDK is imported only when the variables ask for traces. A thread sends the spans from a bounded queue. Spans that do
not fit or cannot be sent are lost; the service goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from orastream.base import logger

log = logger.named(__name__)

Stop = Callable[[float], None]
"""Send the remaining spans; returns after at most so many seconds, even if not all are sent."""


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables ask for traces: the exporter `otlp`, or an endpoint and no other exporter."""

    def value(name: str) -> str:
        return environment.get(name, "").strip()

    if value("OTEL_SDK_DISABLED").lower() == "true":
        return False
    exporters = [name.strip().lower() for name in value("OTEL_TRACES_EXPORTER").split(",")]
    if exporters != [""]:
        return "otlp" in exporters
    return bool(value("OTEL_EXPORTER_OTLP_ENDPOINT") or value("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def start(service: str, environment: Mapping[str, str]) -> Stop:
    """Export spans from now on if the environment asks for them. Returns the function that sends the remaining ones.

    `service` is the service name unless the environment sets another. Never raises when a package or the collector is
    missing or a variable is invalid: the service must work without traces.
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
    logging.getLogger("opentelemetry").setLevel("CRITICAL")  # it logs each failed export; our exporter logs once
    try:
        shutdown = sdk.start(service)
    except Exception as exc:  # noqa: BLE001 - invalid variables must not stop the service
        log.warning("no traces: OpenTelemetry does not take the OTEL_* variables", error=str(exc))
        return _nothing
    log.info("traces are exported")

    def stop(within_s: float) -> None:
        # In a thread: the SDK's timeouts are longer than a drain may take, and its last export may hang.
        thread = threading.Thread(target=shutdown, name="last traces", daemon=True)
        thread.start()
        thread.join(max(0.0, within_s))

    return stop


def _nothing(within_s: float) -> None:
    pass
