"""Describes pydantic's errors about a request: the field as on the wire, and what to send. Pure.

A message never contains a value of the request, which may be the spoken text.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest

MAX_NAME_CHARS = 64
"""Maximum length of a language, a voice and an engine."""

_TYPES = {
    "string_type": "a string",
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
}


def first_problem(exc: ValidationError, value: Map, fields: Mapping[str, FieldInfo]) -> InvalidRequest:
    """Return the refusal for the first error about the request `value`. `fields` has the fields by their wire names."""
    error = exc.errors(include_url=False, include_input=False)[0]
    name = str(error["loc"][0]) if error["loc"] else "payload"
    problem = error["msg"].removeprefix("Value error, ")
    kind = error["type"]
    if kind == "missing":
        problem = f"is required{misspelt(name, value)}"
    elif kind in _TYPES:
        problem = f"has the wrong type: must be {_TYPES[kind]}"
    elif kind in ("string_too_short", "string_too_long"):
        problem = f"must have 1 to {MAX_NAME_CHARS} characters"
    elif kind in ("greater_than_equal", "less_than_equal"):
        problem = f"must be {_bound(fields[name], 'ge'):g} to {_bound(fields[name], 'le'):g}"
    elif problem.startswith("Input should be"):
        problem = "must be" + problem.removeprefix("Input should be")
    return InvalidRequest(name, problem)


def _bound(field: FieldInfo, end: str) -> float:
    """The lower (`ge`) or upper (`le`) bound of a number; each number of a request has both."""
    return next(float(getattr(bound, end)) for bound in field.metadata if hasattr(bound, end))


def misspelt(name: str, value: Map) -> str:
    """Return ` (found session_id; …)` if the request has the field in another spelling, else an empty string.

    Names are compared in lower case, without `_` and `-`. The one that is shown has no other characters.
    """
    found = (key for key in value if len(key) <= len(name) + 4 and key.isascii() and _letters(key) == _letters(name))
    return next((f" (found {key}; write {name})" for key in found if key != name), "")


def _letters(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def integral(value: object) -> object:
    """Accept 24000.0 as an integer, as JSON Schema does: JSON has only one type of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
