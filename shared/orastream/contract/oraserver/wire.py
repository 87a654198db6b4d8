"""Encodes and decodes the messages of protocol v2 by the keys that their classes declare. Pure.

A message is a dataclass. Each field is annotated with a `Key`: the name in the msgpack map and the check of its value.
A field that has its default is left out of the map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar, get_type_hints

import msgpack

from orastream.contract.errors import Undecodable

Check = Callable[[Any], Any]
"""Returns the value as the class has it. Raises ValueError, which says what it must be, for any other value."""

MAX_INT = 2**53 - 1
"""The largest integer in a message: the largest one that JavaScript counts exactly."""


class Key(NamedTuple):
    """How a field of a message is written: its name in the map, and the check of its value."""

    name: str
    check: Check


class _Field(NamedTuple):
    attribute: str
    key: str
    check: Check
    default: object
    """MISSING if the key must be there."""

    @property
    def required(self) -> bool:
        return self.default is dataclasses.MISSING


class WireMessage:
    """A message of protocol v2; `TYPE` is its `t`. Subclasses are dataclasses whose fields are annotated with `Key`."""

    __slots__ = ()
    TYPE: ClassVar[str]

    def pack(self, **more: object) -> bytes:
        """Encode the message. `more`: further keys, or other values of its own keys, for tests of a reader."""
        fields: dict[str, object] = {"t": self.TYPE}
        for field in _fields(type(self)):
            value = getattr(self, field.attribute)
            if field.required or value != field.default:
                fields[field.key] = value
        return pack_value(fields | more)


def pack_value(value: object) -> bytes:
    """Encode a map, or anything else that msgpack has."""
    packed: bytes = msgpack.packb(value, use_bin_type=True)
    return packed


M = TypeVar("M", bound=WireMessage)

_declared: dict[type[WireMessage], tuple[_Field, ...]] = {}


def _fields(kind: type[WireMessage]) -> tuple[_Field, ...]:
    found = _declared.get(kind)
    if found is None:
        found = _declared[kind] = tuple(_declarations(kind))
    return found


def _declarations(kind: type[WireMessage]) -> list[_Field]:
    hints = get_type_hints(kind, include_extras=True)
    fields = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every subclass is a dataclass
        name, check = next(part for part in hints[field.name].__metadata__ if isinstance(part, Key))
        fields.append(_Field(field.name, name, check, field.default))
    return fields


def keys_of(kind: type[WireMessage]) -> dict[str, bool]:
    """The keys of a message besides `t`, and whether each one must be there."""
    return {field.key: field.required for field in _fields(kind)}


def unpack_as(kinds: Mapping[str, type[M]], payload: bytes, max_array: int = 1 << 16) -> M | None:
    """Decode one message of these kinds, by `t`; None for a type that is none of them: it is ignored.

    Unknown keys are ignored too. Raises Undecodable, which names the message and the key.
    """
    return message_of(kinds, unpack_map(payload, max_array))


def unpack_map(payload: bytes, max_array: int) -> dict[str, Any]:
    """Decode a map with a string `t`, whose arrays have at most `max_array` items. Raises Undecodable."""
    try:
        value = msgpack.unpackb(payload, max_map_len=4096, max_array_len=max_array)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise Undecodable("the frame is not msgpack") from None
    if type(value) is not dict:
        raise Undecodable(f"the frame must be a msgpack map, and is {_kind(value)}")
    if type(value.get("t")) is not str:
        raise Undecodable(_wrong("the map", "t", "a string, the type of the message", value))
    return value


def message_of(kinds: Mapping[str, type[M]], value: dict[str, Any]) -> M | None:
    """The message of these kinds that the map says, by `t`; None for a type that is none of them.

    Unknown keys are ignored. Raises Undecodable, which names the message and the key.
    """
    kind = kinds.get(value["t"])
    if kind is None:
        return None
    given: dict[str, object] = {}
    for attribute, key, check, required in _fields(kind):
        found = value.get(key)
        if found is None and not required:
            continue
        try:
            given[attribute] = check(found)
        except ValueError as exc:
            raise Undecodable(_wrong(f"`{value['t']}`", key, str(exc), value)) from None
    return kind(**given)


def type_of(payload: bytes) -> str:
    """The `t` of a message that `unpack_as` has taken, also of one of an unknown type."""
    return str(unpack_map(payload, 1 << 16)["t"])


def _wrong(message: str, key: str, expected: str, fields: Mapping[str, object]) -> str:
    """What is wrong with a key. It never has a string or bytes of the message, which may be spoken text."""
    if key not in fields:
        return f"{message} has no `{key}`: it must be {expected}"
    return f"`{key}` of {message} must be {expected}, and is {_kind(fields[key])}"


_KINDS: dict[type[object], str] = {
    type(None): "nil",
    str: "a string",
    bytes: "bytes",
    float: "a float",
    list: "an array",
    dict: "a map",
}


def _kind(value: object) -> str:
    """A value in words, without its content: an integer or a boolean as it is, of others the type."""
    if isinstance(value, bool | int):
        return str(value).lower()
    return _KINDS.get(type(value), "of another type")


def count(value: Any) -> int:
    """An integer from 0 to MAX_INT."""
    if type(value) is not int or not 0 <= value <= MAX_INT:
        raise ValueError("an integer from 0 to 2^53 - 1")
    return value


def positive(value: Any) -> int:
    """An integer from 1 to MAX_INT."""
    if type(value) is not int or not 1 <= value <= MAX_INT:
        raise ValueError("an integer from 1 to 2^53 - 1")
    return value


def string(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise ValueError("a string")
    return value


def data(value: Any) -> bytes:
    """Bytes, at least one."""
    if type(value) is not bytes or not value:
        raise ValueError("bytes (msgpack's type bin), at least one")
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise ValueError("true or false")
    return value


def strings(value: Any) -> tuple[str, ...]:
    """An array of strings."""
    if type(value) is not list or any(type(item) is not str for item in value):
        raise ValueError("an array of strings")
    return tuple(value)


def one_of(*allowed: str) -> Check:
    """One of these strings."""

    def check(value: Any) -> str:
        if type(value) is not str or value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return check


def ranges(value: Any) -> tuple[tuple[int, int], ...]:
    """An array of ranges `[from, to]` of bytes: not empty, in order, and apart from each other."""
    try:
        return tuple(_apart(rows(first=count, past=count)(value)))
    except ValueError:
        raise ValueError("an array of [from, to] that are in order, apart and not empty") from None


def _apart(given: tuple[tuple[int, int], ...]) -> Iterator[tuple[int, int]]:
    end = -1
    for first, past in given:
        if not end < first < past:
            raise ValueError
        yield first, past
        end = past


def rows(**columns: Check) -> Check:
    """An array of arrays. Each one has the values that the names of the columns say, in this order."""

    def check(value: Any) -> tuple[tuple[Any, ...], ...]:
        try:
            if type(value) is not list or any(type(row) is not list for row in value):
                raise ValueError  # also for bytes, which are a sequence of integers
            return tuple(tuple(each(item) for each, item in zip(columns.values(), row, strict=True)) for row in value)
        except ValueError:
            raise ValueError(f"an array of arrays [{', '.join(columns)}]") from None

    return check
