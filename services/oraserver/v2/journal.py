"""The events of protocol v2 as lines of a journal. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from services.oraserver.v2 import events
from services.oraserver.violations import Violation

_KINDS: dict[str, type[events.StreamEvent]] = {
    "Fence": events.FenceRaised,
    "Cancel": events.CancelKept,
    "Begun": events.UtteranceBegun,
    "Opened": events.UtteranceReopened,
    "Stored": events.BytesStored,
    "Repeated": events.BytesRepeated,
    "Sentence": events.SentenceKept,
    "Words": events.WordsKept,
    "End": events.StreamEndKept,
    "Skipped": events.BytesSkipped,
    "Given": events.BytesGiven,
    "Final": events.UtteranceFinal,
    "Played": events.PlayEnded,
    "Broken": events.StreamRuleBroken,
}
"""Event by the name that the journal has for it. A name stays when a class is renamed."""
_NAMES = {event: name for name, event in _KINDS.items()}


def encode_event(event: events.StreamEvent) -> bytes:
    """The line of an event, without the bytes of a BytesStored."""
    if isinstance(event, events.BytesStored):  # asdict would copy the audio
        fields: dict[str, Any] = {"number": event.number, "at": event.at, "size": event.size}
        if event.ms is not None:
            fields["ms"] = event.ms
    else:
        fields = asdict(event)
    return json.dumps({"kind": _NAMES[type(event)]} | fields).encode() + b"\n"


def decode_event(line: bytes) -> events.StreamEvent:
    """The event of a line. Raises ValueError, KeyError or TypeError for an incomplete line."""
    if not line.endswith(b"\n"):
        raise ValueError("cut off")
    try:
        fields: dict[str, Any] = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    kind = _KINDS[fields.pop("kind")]
    if kind is events.StreamRuleBroken:
        fields["violation"] = Violation(**fields["violation"])
    elif kind in (events.SentenceKept, events.WordsKept) and fields["words"] is not None:
        fields["words"] = tuple(tuple(word) for word in fields["words"])
    elif kind is events.UtteranceFinal and fields["by"] is not None:
        fields["by"] = tuple(fields["by"])
    return kind(**fields)
