"""Traces: one for each request, from its publish over synth and bridge to OraServer's confirmation.

The context travels in the headers of the request's message (`traceparent`, `tracestate`), which JetStream stores: so
whoever works on the request, and whoever does so again after a crash, continues its trace. Where a publisher gave none,
the trace id is made of where and when the message is stored, which all of them know.

    with traces.begin("process", parent=stored.trace, kind="consumer") as span:
        span.event("first audio")
"""

from __future__ import annotations

from orastream.contract.trace_context import MAX_BYTES, NOTHING, Carrier, Origin, carrier_of, origin_of
from orastream.traces.attributes import Attributes, identity, messaging, settle, taken
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
    "settle",
    "start",
    "taken",
]
