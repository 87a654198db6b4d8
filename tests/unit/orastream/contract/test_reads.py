"""Queries of reads: what clients encode is decoded, and whatever else comes is refused with its field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.errors import InvalidRequest
from orastream.contract.reads import MAX_WAIT_S, ReadQuery

pytestmark = pytest.mark.unit

sequences = st.none() | st.integers(0, (1 << 63) - 1)
seconds = st.floats(0, MAX_WAIT_S)


@given(sequences, seconds)
def test_query_is_decoded_as_it_was_encoded(after: int | None, wait_s: float) -> None:
    query = ReadQuery(after, wait_s)
    assert ReadQuery.decode(query.encode()) == query


@given(st.binary())
def test_any_bytes_are_a_query_or_an_error_with_a_field(payload: bytes) -> None:
    try:
        query = ReadQuery.decode(payload)
    except InvalidRequest as exc:
        assert exc.field in ("after", "waitSeconds", "payload")
    else:
        assert 0 <= query.wait_s <= MAX_WAIT_S


@pytest.mark.parametrize(
    "fields",
    [{"after": -1}, {"after": 1.0}, {"after": True}, {"after": 1 << 63}, {"waitSeconds": -0.1}, {"waitSeconds": 30.1}]
    + [{"waitSeconds": "1"}, {"waitSeconds": None}, {"waitSeconds": True}],
)
def test_wrong_fields_are_named(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ReadQuery.decode(codec.encode(fields, "msgpack"))
    assert caught.value.field in fields


def test_empty_payload_takes_the_defaults() -> None:
    assert ReadQuery.decode(b"") == ReadQuery.decode(b"{}") == ReadQuery()
