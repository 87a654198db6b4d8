"""Spans of this node: one for a piece of work of an utterance, never one for a chunk.

They are OpenTelemetry's as soon as this process uses OpenTelemetry: a service that was asked to export (`export.py`),
or an application that has set it up for itself. Otherwise a span costs an object, imports nothing and only passes the
context of its parent on.
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
    """A span under way; `with span:` ends it. Not current in any context: children name it as their parent."""

    __slots__ = ("_span", "carrier")

    def __init__(self, span: opentelemetry.Span | None = None, carrier: Carrier = NOTHING) -> None:
        self._span = span
        self.carrier = carrier
        """The headers by which what follows belongs to this span."""

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Say more about it; what is None is left out."""
        if self._span is not None:
            self._span.set_attributes(_known(attributes))

    def event(
        self, name: str, attributes: Mapping[str, Value | None] | None = None, *, at_s: float | None = None
    ) -> None:
        """Something happened, now or at `at_s` in unix seconds."""
        if self._span is not None:
            self._span.add_event(name, _known(attributes or {}), None if at_s is None else int(at_s * 1e9))

    def fail(self, code: str, message: str = "") -> None:
        """It did not do what was asked: a code of the contract, a message without the spoken text."""
        if self._span is not None:
            trace = _opentelemetry()
            self._span.set_attribute("error.type", code)
            self._span.set_status(trace.Status(trace.StatusCode.ERROR, f"{code}: {message}" if message else code))

    def end(self) -> None:
        """It is over; what is said of it from now on is lost. Safe to call twice."""
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
            self.fail(type(exc).__name__)  # nothing of its text: who knows what it quotes
        self.end()


Parent = Span | Carrier | Origin | None
"""A span, the headers of a message, what its trace begins with if it has none, or None for the span that is current in
the caller's context, if any."""


def begin(
    name: str,
    *,
    parent: Parent = None,
    kind: Kind = "internal",
    attributes: Mapping[str, Value | None] | None = None,
    began_at_s: float | None = None,
) -> Span:
    """A span of this process, begun now or at `began_at_s` in unix seconds."""
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
    """An id generator of the SDK (`opentelemetry.sdk.trace.id_generator.IdGenerator`) that gives one trace id alone."""

    def __init__(self, inner: Any, trace_id: int) -> None:
        self.generate_span_id = inner.generate_span_id
        self._trace_id = trace_id

    def generate_trace_id(self) -> int:
        """The trace id of the root that is begun."""
        return self._trace_id

    def is_trace_id_random(self) -> bool:
        """It is none that W3C would call so."""
        return False


def _rooted(tracer: Any, origin: Origin) -> Any:
    """The same tracer, but its roots are of that trace.

    A root, rather than a child of a parent that nobody reports: so the sampler that was configured for roots decides,
    and by the same trace id everywhere. Only the id generator lets one choose a root's trace; where there is no SDK
    there is none, and nothing is recorded either.
    """
    if not hasattr(tracer, "id_generator"):
        return tracer
    tracer = copy.copy(tracer)
    tracer.id_generator = _Ids(tracer.id_generator, origin.trace_id)
    return tracer


def _opentelemetry() -> Any:
    """OpenTelemetry's API if this process uses it: whoever has a provider, or a span, has imported it."""
    return sys.modules.get("opentelemetry.trace")


def _known(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}
