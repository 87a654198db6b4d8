"""The outcomes that each route can have, as values of the metric's label. Pure.

Each series is created with the value 0: `rate()` misses the first step of a series that appears later
(`Metrics.counter`).
"""

from __future__ import annotations

from orastream.contract.messages import FINAL

_EVERY = {"forbidden", "unauthorized", "rate_limited", "internal"}
_NODE = {"unavailable"}
_BODY = {"body_timeout", "too_large", "disconnected", "invalid_request"}
_ENDS = set(FINAL)
_RELAY = {"accepted", "overloaded", "rate_limited", "invalid_request", "internal"} | _NODE
_READ = {"found", "invalid_request", "overloaded", "internal"} | _NODE
_SPOKEN = {"accepted", "overloaded", "wait_timeout", "invalid_request"} | _NODE | _ENDS

ROUTES: dict[str, set[str]] = {
    "convert-tts": _EVERY | _BODY | _SPOKEN,
    "tts.speak": _SPOKEN | {"internal"},
    "relay.request": _RELAY,
    "relay.cancel": _RELAY,
    "relay.voices": {"found", "nobody", "overloaded", "internal"} | _NODE,
    "tts.report.get": _READ | {"not_found"},
    "tts.report.read": _READ,
    "tts.reports.read": _READ,
    "tts.audio.read": _READ,
    "tts.heard.read": _READ,
    "tts.heards.read": _READ,
    "openai-speech": (_EVERY | _BODY | _NODE | {"streaming", "failed", "overloaded", "wait_timeout", "gone"})
    - {"disconnected"},
    "openai-models": _EVERY | {"found", "not_found"},
    "reports": _EVERY | _NODE | {"found", "not_found", "invalid_request"},
    "heard": _EVERY | _NODE | {"found", "not_found", "invalid_request"},
    "cancel": _EVERY | _NODE | _BODY | {"accepted", "not_found", "overloaded", "found"},
    "voices": _EVERY | _NODE | {"found", "nobody"},
    "audio": _EVERY
    | _NODE
    | {"streaming", "not_found", "invalid_request", "cancelled", "overloaded", "wait_timeout"}
    | {"audio_expired", "engine_error", "found", "disconnected", "invalid_range", "precondition_failed"},
    "node": _EVERY | _NODE | {"found"},
    "report_events": _EVERY | _NODE | {"streaming", "not_found", "invalid_request", "overloaded"},
    "events": _EVERY | _NODE | {"streaming", "invalid_request", "overloaded"},
}
"""Outcomes by route. An outcome that is missing here gets its series when it first occurs."""

KNOWN = sorted((route, outcome) for route, of in ROUTES.items() for outcome in of)
"""All pairs of the labels `route` and `outcome`."""
