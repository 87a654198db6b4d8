"""The fields of a request as arguments of Python, spelled as on the wire (`ttlSeconds`) or in Python (`ttl_seconds`).

On the wire unknown fields are ignored, so that callers and nodes of different versions understand each other. An
argument that is mistyped is an error of the program that calls, and is told at once. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from orastream.contract.codec import Map
from orastream.contract.messages import SpeakRequest

_WIRE: dict[str, str] = {name: field.alias or name for name, field in SpeakRequest.model_fields.items()}
_WIRE |= {wire: wire for wire in _WIRE.values()}


def to_wire(call: str, options: Mapping[str, object], *, given: Iterable[str] = ()) -> Map:
    """`options` by their names on the wire; `given` are the fields that `call` has from arguments of its own.

    Raises TypeError for a name that no field has (naming the nearest one), and for a field that is given twice.
    """
    spelled = {_WIRE[name]: name for name in given}
    fields: Map = {}
    for name, value in options.items():
        wire = _WIRE.get(name)
        if wire is None:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}; {_meant(name)}")
        if wire in spelled:
            raise TypeError(f"{call}() got {spelled[wire]!r} and {name!r}, which are one field; leave one of them out")
        spelled[wire] = name
        fields[wire] = value
    return fields


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, _WIRE, n=1)
    return f"did you mean {near[0]!r}?" if near else f"fields are {', '.join(sorted(_WIRE))}"
