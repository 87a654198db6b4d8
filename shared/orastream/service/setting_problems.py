"""Describes pydantic's errors about settings: the variable, its value, and which values it takes. Pure.

Engine processes use it, too. It does not import NATS, as `orastream.service.settings` does: that import takes longer
than the rest of their start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

MAX_SHOWN_CHARS = 60

_NOT_OF_KIND = {
    "bool_parsing": "is neither on nor off",
    "bool_type": "is neither true nor false",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number",
    "int_from_float": "is not a whole number",
    "int_type": "is not a whole number",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "finite_number": "is not a finite number",
    "greater_than": "is out of range",
    "greater_than_equal": "is out of range",
    "less_than": "is out of range",
    "less_than_equal": "is out of range",
}
"""What is wrong with a value, by the type of pydantic's error. A secret is a string, for which none of them occurs, so
the value may be shown."""
_OTHER = {"extra_forbidden": "there is no such name", "model_type": "must be a JSON object"}


def describe(settings: type[BaseModel], exc: ValidationError) -> str:
    """Return a line that names each invalid variable, and what to set."""
    errors = exc.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {_problem(settings, e)}" for e in errors)


def _problem(settings: type[BaseModel], error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind in _NOT_OF_KIND:
        field = _field(settings, error["loc"])
        allowed = _range(field.metadata) if field is not None else ""
        return f"{_shown(error['input'])} {_NOT_OF_KIND[kind]}{allowed and f'; {allowed}'}"
    if kind == "literal_error":
        names = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        which = f"neither {names[0]} nor {names[1]}" if len(names) == 2 else f"not one of {', '.join(names)}"
        return f"{_shown(error['input'])} is {which}"
    return _OTHER.get(kind) or str(error["msg"]).removeprefix("Value error, ")


def _field(model: Any, location: Sequence[int | str]) -> FieldInfo | None:
    """The field at a location; None if it is in something else than a model."""
    field = None
    for name in location:
        field = getattr(model, "model_fields", {}).get(name)
        model = field.annotation if field is not None else None
    return field


def _range(metadata: Sequence[object]) -> str:
    """The bounds of a number in words, such as `1 to 256`; an empty string if it has none."""
    bounds = {end: getattr(bound, end) for bound in metadata for end in ("ge", "gt", "le") if hasattr(bound, end)}
    match bounds:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low, "le": high}:
            return f"more than {low}, at most {high}"
        case {"ge": low}:
            return f"{low} or more"
        case {"gt": low}:
            return f"more than {low}"
        case {"le": high}:
            return f"at most {high}"
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[:MAX_SHOWN_CHARS]}…"
