from __future__ import annotations

import pytest

from orastream.contract.bridge_record import BridgeRecord

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "record", [BridgeRecord(), BridgeRecord("v2", frozenset({"wav", "opus"})), BridgeRecord("unknown")]
)
def test_round_trip(record: BridgeRecord) -> None:
    assert BridgeRecord.decode(record.encode()) == record


def test_a_bridge_of_an_older_version_says_nothing_and_speaks_v1() -> None:
    assert BridgeRecord().encode() == b"{}"
    assert not BridgeRecord.decode(b"{}").announces_cancels


@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"\xff", b'{"protocol":3,"formats":"wav"}', b'{"formats":[1]}'])
def test_what_is_no_record_says_nothing(data: bytes) -> None:
    assert BridgeRecord.decode(data) == BridgeRecord()
