"""Which records of owners may be deleted."""

from __future__ import annotations

import pytest

from orastream.contract.stream_names import owner_key, owner_session
from orastream.delivery.rules.owner_record import is_left

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("serves", "has_messages", "left"), [(False, False, True), (True, False, False), (False, True, False)]
)
def test_only_records_whose_owner_does_not_serve_and_without_work(serves: bool, has_messages: bool, left: bool) -> None:
    assert is_left(serves=serves, has_messages=has_messages) is left


def test_the_session_of_a_key() -> None:
    assert owner_session(owner_key("http_bridge", "~7IS47")) == "~7IS47"
    assert owner_session("$KV.tts_owners.other.s") is None and owner_session("$KV.tts_owners.ws_bridge.s.t") is None
