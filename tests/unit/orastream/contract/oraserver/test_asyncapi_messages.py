"""docs/asyncapi-oraserver.yaml describes the messages of protocol v2 as the codec has them."""

from __future__ import annotations

import json
import re
from typing import Any

import msgpack
import pytest

from orastream.contract.errors import Undecodable
from orastream.contract.oraserver.from_bridge import BRIDGE_MESSAGES
from orastream.contract.oraserver.from_server import SERVER_MESSAGES
from orastream.contract.oraserver.wire import MAX_INT, WireMessage, keys_of, unpack_as
from tests.support.asyncapi import DOCS, ORASERVER, document, problems, schemas

PAGE = DOCS / "reference/oraserver-v2-messages.md"
OPERATIONS = {"takeStreams": ("receive", BRIDGE_MESSAGES), "answerStreams": ("send", SERVER_MESSAGES)}
KINDS: dict[str, type[WireMessage]] = {
    kind.__name__: kind for kind in (*BRIDGE_MESSAGES.values(), *SERVER_MESSAGES.values())
}
"""The classes of the codec by name, which is that of their schema."""
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    0.5,
    MAX_INT,
    MAX_INT + 1,
    "",
    "x",
    "complete",
    "failed",
    {},
    [],
    [1],
    ["wav"],
    ["wav", None],
    [[0, 1]],
    [[0, 1], [2, 3]],
    [[0, 1, 2, 3]],
    [[-1, 1]],
    [[0, 1, 2, MAX_INT + 1]],
    [["r", 1, 0]],
    [["r", 0, 0]],
    [["r", 1, -1]],
    [["r", 1]],
    [[1, 1, 0]],
]


def example(name: str) -> dict[str, Any]:
    (only,) = document(ORASERVER)["components"]["messages"][name]["examples"]
    payload: dict[str, Any] = only["payload"]
    return payload


def packed(value: dict[str, Any]) -> bytes:
    """The frame of a value of the document, in which bytes are `0x` and hex."""
    data = value.get("data")
    given = {"data": bytes.fromhex(data[2:])} if isinstance(data, str) else {}
    frame: bytes = msgpack.packb(value | given)
    return frame


def accepts(kind: type[WireMessage], value: dict[str, Any]) -> bool:
    """Whether the codec reads it."""
    try:
        return isinstance(unpack_as({kind.TYPE: kind}, packed(value)), kind)
    except Undecodable:
        return False


@pytest.mark.parametrize("operation", OPERATIONS)
def test_document_has_each_message_in_its_direction(operation: str) -> None:
    doc, (action, kinds) = document(ORASERVER), OPERATIONS[operation]
    there = doc["operations"][operation]
    assert (there["action"], there["channel"]) == (action, {"$ref": "#/channels/streams"})
    keys = [ref["$ref"].rpartition("/")[2] for ref in there["messages"]]
    names = [doc["channels"]["streams"]["messages"][key]["$ref"].rpartition("/")[2] for key in keys]
    assert sorted(names) == sorted(kind.__name__ for kind in kinds.values())
    for name in names:
        message = doc["components"]["messages"][name]
        assert message["contentType"] == "application/msgpack"
        assert message["name"] == KINDS[name].TYPE
        assert message["payload"] == {"$ref": f"#/components/schemas/{name}"}


def test_the_channel_has_no_other_message() -> None:
    assert len(document(ORASERVER)["channels"]["streams"]["messages"]) == len(KINDS) == 12


@pytest.mark.parametrize("name", KINDS)
def test_schema_has_the_keys_of_the_codec(name: str) -> None:
    schema, keys = schemas(ORASERVER)[name], keys_of(KINDS[name])
    assert schema["properties"]["t"]["const"] == KINDS[name].TYPE
    assert set(schema["properties"]) == {"t", *keys}
    assert set(schema["required"]) == {"t", *(key for key, required in keys.items() if required)}
    assert schema.get("additionalProperties", True), "unknown keys are ignored"


@pytest.mark.parametrize("name", KINDS)
def test_keys_have_a_description_and_no_enum_of_their_own(name: str) -> None:
    assert schemas(ORASERVER)[name]["description"]
    for key, field in schemas(ORASERVER)[name]["properties"].items():
        assert "enum" not in field, key
        described = schemas(ORASERVER)[field["$ref"].rpartition("/")[2]] if "$ref" in field else field
        assert described["description"], key


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, kind in KINDS.items() for key in keys_of(kind)])
def test_document_and_codec_accept_the_same_values(name: str, key: str) -> None:
    accepted = 0
    for value in VALUES:
        if key == "data" and isinstance(value, str):  # JSON Schema has no type for bytes
            continue
        changed = example(name) | {key: value}
        by_codec = accepts(KINDS[name], changed)
        assert (problems(ORASERVER, name, changed) == []) is by_codec, (key, value)
        accepted += by_codec
    assert accepted or key == "data"
    assert accepts(KINDS[name], example(name) | {"unknown": [1]})


@pytest.mark.parametrize("name", KINDS)
def test_each_message_without_one_key(name: str) -> None:
    for key in example(name):
        rest = {other: value for other, value in example(name).items() if other != key}
        by_codec = key != "t" and accepts(KINDS[name], rest)
        assert (problems(ORASERVER, name, rest) == []) is by_codec, key


def test_examples_are_those_of_the_page() -> None:
    page = [json.loads(block) for block in re.findall(r"```json\n(.*?)\n```", PAGE.read_text(), re.S)]
    assert len(page) == len(KINDS)
    for name in KINDS:
        assert example(name) in page, name
        assert problems(ORASERVER, name, example(name)) == []
