"""Request fields as Python arguments, in Python spelling (`ttl_seconds`) or wire spelling (`ttlSeconds`). Pure.

The node ignores unknown fields, so that callers and nodes of different versions work together. A mistyped Python
argument is an error in the calling program, so it raises TypeError at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypedDict

from orastream.contract.audio import Format
from orastream.contract.codec import Map
from orastream.contract.messages import SpeakRequest, Transport


class SayOptions(TypedDict, total=False):
    """The fields of a request that `say` takes as keyword arguments, in both spellings, for type checkers.

    What each means, its unit and its limits: docs/reference/protocol.md, "Requests". None means absent.
    """

    ssml: bool | None
    request_id: str | None
    requestId: str | None
    use_websocket: bool | None
    transport: Transport | None
    engine: str | None
    voice: str | None
    language: str | None
    speed: float | None
    format: Format | None
    sample_rate: int | None
    sampleRate: int | None
    ttl_seconds: float | None
    ttlSeconds: float | None
    reply_to: str | None
    replyTo: str | None
    redeliver_of: str | None
    redeliverOf: str | None
    supersede: bool | None
    pronunciations: Mapping[str, str] | None


class UtteranceOptions(SayOptions, total=False):
    """The fields that `utterance` takes: those of `say`, and the time limit of a text that is still being written."""

    idle_seconds: float | None
    idleSeconds: float | None


_WIRE: dict[str, str] = {name: field.alias or name for name, field in SpeakRequest.model_fields.items()}
_WIRE |= {wire: wire for wire in _WIRE.values()}
_ONLY_UTTERANCE = ("textStream", "idleSeconds")
"""Fields of a text that is still being written: after `say`, nobody would write the rest of it."""


def to_wire(call: str, options: Mapping[str, object], *, given: Iterable[str] = ()) -> Map:
    """Convert `options` to wire names. `given` names the fields that `call` sets from its own arguments.

    Raises TypeError for an unknown name (suggesting the nearest one), for a field that is given twice, and for a field
    of `utterance` in a call of `say`.
    """
    spelled = {_WIRE[name]: name for name in given}
    fields: Map = {}
    for name, value in options.items():
        wire = _WIRE.get(name)
        if wire is None:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}; {_meant(call, name)}")
        if call == "say" and wire in _ONLY_UTTERANCE:
            raise TypeError(f"say() takes no {name}; use client.utterance()")
        if wire in spelled:
            raise TypeError(f"{call}() got {spelled[wire]!r} and {name!r}, which are the same field; leave one out")
        spelled[wire] = name
        fields[wire] = value
    return fields


def _meant(call: str, name: str) -> str:
    taken = [spelling for spelling, wire in _WIRE.items() if call != "say" or wire not in _ONLY_UTTERANCE]
    near = difflib.get_close_matches(name, taken, n=1)
    return f"did you mean {near[0]!r}?" if near else f"fields are {', '.join(sorted(taken))}"
