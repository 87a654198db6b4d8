"""The span of an HTTP request at the gateway, which continues the caller's trace (`traceparent`).

Source of the names: OpenTelemetry semantic conventions for HTTP servers.
"""

from __future__ import annotations

from fastapi import Request

from orastream import traces
from orastream.traces import Span


def server_span(request: Request) -> Span:
    """Begin the span of this request, and set it as `request.state.span`."""
    route = getattr(request.scope.get("route"), "path", "")

    def header(name: str) -> str | None:
        return ",".join(request.headers.getlist(name)) or None

    span = traces.begin(
        f"{request.method} {route}",
        parent=traces.carrier_of(header),
        kind="server",
        attributes={"http.request.method": request.method, "http.route": route, "url.scheme": request.url.scheme},
    )
    request.state.span = span
    return span


def answered(span: Span, status: int, outcome: str) -> None:
    """Set status and outcome of the answer on the span. A status from 500 on marks the span as failed."""
    span.set({"http.response.status_code": status, "orastream.outcome": outcome})
    if status >= 500:
        span.fail(outcome)
