"""Spans: one for each step of work on an utterance, never one for each chunk.

They are OpenTelemetry spans if this process uses OpenTelemetry: a service that exports (`export.py`), or an application
that has set it up itself. Otherwise a span is a small object that imports nothing and passes on its parent's context.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from orastream.contract.errors import OrastreamError
from orastream.contract.trace_context import NOTHING, Carrier, Origin

if TYPE_CHECKING:
    from opentelemetry import trace as opentelemetry

Value = str | int | float | bool
Kind = Literal["internal", "client", "server", "producer", "consumer"]


class Span:
    """An open span; `with span:` ends it. It is not the current span of any context: pass it as `parent`."""

    __slots__ = ("_span", "carrier")

    def __init__(self, span: opentelemetry.Span | None = None, carrier: Carrier = NOTHING) -> None:
        self._span = span
        self.carrier = carrier
        """The trace context headers of a message that continues this span."""

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Set attributes; those that are None are left out."""
        if self._span is not None:
            self._span.set_attributes(_known(attributes))

    def event(
        self, name: str, attributes: Mapping[str, Value | None] | None = None, *, at_s: float | None = None
    ) -> None:
        """Add an event, now or at `at_s` in unix seconds."""
        if self._span is not None:
            self._span.add_event(name, _known(attributes or {}), None if at_s is None else int(at_s * 1e9))

    def fail(self, code: str, message: str = "") -> None:
        """Mark the span as failed. `code` is an error code of the contract; `message` must not hold the spoken text."""
        if self._span is not None:
            trace = _opentelemetry()
            self._span.set_attribute("error.type", code)
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, f"{code}: {message}" if message else code))

    def end(self) -> None:
        """End the span; later changes are ignored. Safe to call twice."""
        if self._span is not None:
            self._span.end()
            self._span = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(exc, OrastreamError):
            self.fail(exc.code, str(exc))
        elif isinstance(exc, asyncio.CancelledError | GeneratorExit):
            self.event("broken off")
        elif exc is not None:
            self.fail(type(exc).__name__)  # without its text, which may quote the spoken text
        self.end()


Parent = Span | Carrier | Origin | None
"""A span, the trace context headers of a message, the origin of a message without them, or None for the current span of
the caller's context, if any."""


def begin(
    name: str,
    *,
    parent: Parent = None,
    kind: Kind = "internal",
    attributes: Mapping[str, Value | None] | None = None,
    began_at_s: float | None = None,
) -> Span:
    """Start a span, now or at `began_at_s` in unix seconds."""
    origin = parent if isinstance(parent, Origin) else None
    carrier = parent.carrier if isinstance(parent, Span) else NOTHING if isinstance(parent, Origin) else parent
    if (trace := _opentelemetry()) is None:
        return Span(None, carrier or NOTHING)
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    propagator = TraceContextTextMapPropagator()
    if isinstance(parent, Span) and parent._span is not None:
        context = trace.set_span_in_context(parent._span)
    elif carrier is not None:
        context = propagator.extract(dict(carrier), trace.set_span_in_context(trace.INVALID_SPAN))
    else:
        context = None
    tracer = trace.get_tracer("orastream")
    span = (tracer if origin is None else _rooted(tracer, origin)).start_span(
        name,
        context,
        getattr(trace.SpanKind, kind.upper()),
        _known(attributes or {}),
        start_time=None if began_at_s is None else int(began_at_s * 1e9),
    )
    headers: dict[str, str] = {}
    propagator.inject(headers, trace.set_span_in_context(span))
    return Span(span, headers)


class _Ids:
    """An SDK id generator (`opentelemetry.sdk.trace.id_generator.IdGenerator`) that returns one fixed trace id."""

    def __init__(self, inner: Any, trace_id: int) -> None:
        self.generate_span_id = inner.generate_span_id
        self._trace_id = trace_id

    def generate_trace_id(self) -> int:
        """The fixed trace id."""
        return self._trace_id

    def is_trace_id_random(self) -> bool:
        """False: the id is derived, so W3C Trace Context does not count it as random."""
        return False


def _rooted(tracer: Any, origin: Origin) -> Any:
    """A copy of the tracer whose root spans have the trace id of `origin`.

    Root spans instead of children of a parent that nobody exports: so the sampler configured for roots decides, by the
    same trace id in every process. Only the SDK's id generator can set a root's trace id. Without the SDK there is no
    generator, and nothing is recorded.
    """
    if not hasattr(tracer, "id_generator"):
        return tracer
    tracer = copy.copy(tracer)
    tracer.id_generator = _Ids(tracer.id_generator, origin.trace_id)
    return tracer


def _opentelemetry() -> Any:
    """OpenTelemetry's API if this process uses it, else None. A process with a provider or a span has imported it."""
    return sys.modules.get("opentelemetry.trace")


def _known(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}
