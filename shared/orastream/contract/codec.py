"""Decode JSON objects and msgpack maps, which differ in the first byte, to plain maps, and encode them. Pure.

`messages` checks the fields. The parsers limit the depth of nesting, and NATS' max_payload limits the size.
"""

from __future__ import annotations

import codecs
import json
from typing import Any, Literal, NoReturn

import msgpack

from orastream.contract.errors import Undecodable

Encoding = Literal["json", "msgpack"]
Map = dict[str, Any]


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
_TO_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
"""Made once: with options, `json.loads` and `dumps` make a decoder or encoder for each message."""


def encoding_of(payload: bytes) -> Encoding:
    """Return the encoding of a payload, by its first byte. JSON if unknown, so that the error can be read."""
    first = payload[0] if payload else 0
    return "msgpack" if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF) else "json"


def decode(payload: bytes) -> Map:
    """Return the map in a payload. Drops keys that are not strings: no field of the contract has such a name.

    A byte order mark before JSON is left out: editors write one that nobody sees (RFC 8259, 8.1, permits this).
    Refuses names of msgpack type bytes: without its `requestId` a cancel of one request would cancel all.
    Raises Undecodable, whose message says what to send instead and never contains the payload.
    """
    if not payload:
        raise Undecodable("is empty; send a JSON object or a msgpack map")
    value = _unpack(payload) if encoding_of(payload) == "msgpack" else _parse(payload)
    if not isinstance(value, dict):
        raise Undecodable("is not a JSON object or msgpack map")
    if any(isinstance(key, bytes) for key in value):
        raise Undecodable("has names of type bytes; send msgpack strings")
    return {key: item for key, item in value.items() if isinstance(key, str)}


def _parse(payload: bytes) -> object:
    try:
        return _JSON.decode(payload.removeprefix(codecs.BOM_UTF8).decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise Undecodable(f"is not UTF-8 at byte {exc.start}") from None
    except json.JSONDecodeError as exc:
        raise Undecodable(f"is not JSON: {exc.msg} at character {exc.pos}") from None
    except RecursionError:
        raise Undecodable("is nested too deeply") from None
    except ValueError:  # an integer of thousands of digits, or NaN
        raise Undecodable(
            "contains a number that JSON or Python cannot hold (NaN, Infinity, too many digits)"
        ) from None


def _unpack(payload: bytes) -> object:
    try:
        return msgpack.unpackb(payload, raw=False, strict_map_key=False, timestamp=0)
    except UnicodeDecodeError:
        raise Undecodable("contains a msgpack string that is not UTF-8") from None
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        # StackError (too deep), FormatError, ExtraData and truncated input are ValueErrors; unhashable keys TypeErrors
        raise Undecodable("is not valid msgpack") from None


def encode(value: Map, encoding: Encoding) -> bytes:
    """Encode a map. JSON is UTF-8 without ASCII escapes and without spaces."""
    if encoding == "msgpack":
        packed: bytes = msgpack.packb(value, use_bin_type=True)
        return packed
    return _TO_JSON.encode(value).encode("utf-8")
