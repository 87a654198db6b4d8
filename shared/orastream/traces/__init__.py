"""Traces: one for each request, from its publish through synth and bridge to OraServer's confirmation.

The trace context is in the headers of the request's message (`traceparent`, `tracestate`), which JetStream stores. So
every process that works on the request continues its trace, also after a crash. If the publisher sent no context, each
process derives the same trace id from the message's stream, sequence and time.

    with traces.begin("process", parent=stored.trace, kind="consumer") as span:
        span.event("first audio")
"""

from __future__ import annotations

from orastream.contract.trace_context import MAX_BYTES, NOTHING, Carrier, Origin, carrier_of, origin_of
from orastream.traces.attributes import Attributes, identity, messaging, record, taken
from orastream.traces.export import Stop, start
from orastream.traces.span import Kind, Parent, Span, begin

__all__ = [
    "MAX_BYTES",
    "NOTHING",
    "Attributes",
    "Carrier",
    "Kind",
    "Origin",
    "Parent",
    "Span",
    "Stop",
    "begin",
    "carrier_of",
    "identity",
    "messaging",
    "origin_of",
    "record",
    "start",
    "taken",
]
