"""The examples of docs/reference/oraserver-v2-messages.md are what the code writes and reads."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgpack
import pytest

from orastream.contract.oraserver.from_bridge import BRIDGE_MESSAGES, unpack_from_bridge
from orastream.contract.oraserver.from_server import SERVER_MESSAGES, unpack_from_server
from orastream.contract.oraserver.wire import WireMessage, keys_of

PAGE = Path(__file__).parents[5] / "docs/reference/oraserver-v2-messages.md"
EXAMPLE = re.compile(r"```json\n(.*?)\n```\n\n```text\n(.*?)\n```", re.S)
ROW = re.compile(r"^\| (`.*?) \| (.*?) \|", re.M)

SECTIONS: dict[str, type[WireMessage]] = {
    "hello, from OraServer": SERVER_MESSAGES["hello"],
    "hello, from the bridge": BRIDGE_MESSAGES["hello"],
    **{name: kind for name, kind in (BRIDGE_MESSAGES | SERVER_MESSAGES).items() if name != "hello"},
}


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.*)\n", PAGE.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def with_bytes(value: Any) -> Any:
    """JSON of the page as Python has it: `0x…` is bytes."""
    if isinstance(value, list):
        return [with_bytes(item) for item in value]
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value


def test_the_page_has_a_section_for_each_message() -> None:
    assert set(sections()) == set(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_example(title: str) -> None:
    found = EXAMPLE.findall(sections()[title])
    assert len(found) == 1
    as_json, as_hex = found[0]
    frame = bytes.fromhex(as_hex.replace("\n", ""))
    fields = {key: with_bytes(value) for key, value in json.loads(as_json).items()}
    assert msgpack.unpackb(frame) == fields

    kind = SECTIONS[title]
    unpack = unpack_from_bridge if kind in BRIDGE_MESSAGES.values() else unpack_from_server
    message = unpack(frame)
    assert isinstance(message, kind)
    assert message.pack() == frame


@pytest.mark.parametrize("title", SECTIONS)
def test_table_names_the_keys_and_what_may_be_missing(title: str) -> None:
    rows = ROW.findall(sections()[title])
    named = {key: "optional" in kind for names, kind in rows for key in re.findall(r"`(\w+)`", names)}
    optional = {key: not required for key, required in keys_of(SECTIONS[title]).items()}
    if title in ("cancel", "cleared"):  # one of two
        assert named.keys() == optional.keys()
    else:
        assert named == optional
