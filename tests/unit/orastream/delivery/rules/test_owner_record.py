"""Which records of owners may be deleted."""

from __future__ import annotations

import pytest

from orastream.contract.stream_names import owner_key, owner_session
from orastream.delivery.rules.owner_record import OwnerRecord, is_left

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("owner", "alive", "has_messages", "left"),
    [
        ("ws_bridge-1", False, False, True),
        ("ws_bridge-1", True, False, False),
        ("ws_bridge-1", False, True, False),
        ("ws_bridge-own", False, False, False),
        (None, False, False, True),
    ],
)
def test_only_those_of_dead_owners_without_work(owner: str | None, alive: bool, has_messages: bool, left: bool) -> None:
    record = OwnerRecord(7, "s", owner)
    assert is_left(record, "ws_bridge-own", alive=alive, has_messages=has_messages) is left


def test_the_session_of_a_key() -> None:
    assert owner_session(owner_key("http_bridge", "~7IS47")) == "~7IS47"
    assert owner_session("$KV.tts_owners.other.s") is None and owner_session("$KV.tts_owners.ws_bridge.s.t") is None
