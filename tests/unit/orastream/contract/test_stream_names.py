"""The names of keys in streams."""

from __future__ import annotations

import pytest

from orastream.contract.stream_names import owner_key, owner_session

pytestmark = pytest.mark.unit


def test_the_session_of_an_owner_key() -> None:
    assert owner_session(owner_key("http_bridge", "~7IS47")) == "~7IS47"
    assert owner_session("$KV.tts_owners.other.s") is None and owner_session("$KV.tts_owners.ws_bridge.s.t") is None
