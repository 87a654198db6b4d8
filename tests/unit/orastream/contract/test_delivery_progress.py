"""The message on `tts.progress`."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.errors import Undecodable
from orastream.contract.heard import HeardBy

WIRE = [
    "requestId",
    "sessionId",
    "requestSeq",
    "sentMs",
    "ackedMs",
    "playedMs",
    "playedBy",
    "totalMs",
    "retransmittedBytes",
    "done",
]
MS = st.integers(0, 2**40)


def a_message(**changes: Any) -> DeliveryProgress:
    fields: dict[str, Any] = {"request_id": "r", "session_id": "s", "request_seq": 7, "sent_ms": 20, "acked_ms": 10}
    return DeliveryProgress(**fields | changes)


def test_it_has_exactly_the_names_of_the_contract_and_no_text() -> None:
    assert list(a_message().to_map()) == WIRE
    unknown = a_message().to_map()
    assert (unknown["playedMs"], unknown["playedBy"], unknown["totalMs"], unknown["done"]) == (
        None,
        "unknown",
        None,
        False,
    )


@given(
    st.builds(
        a_message,
        sent_ms=MS,
        acked_ms=MS,
        played_ms=st.none() | MS,
        played_by=st.sampled_from(get_args(HeardBy)),
        total_ms=st.none() | MS,
        retransmitted_bytes=MS,
        done=st.booleans(),
    ),
    st.sampled_from(["json", "msgpack"]),
)
def test_it_is_the_same_after_encoding_and_decoding(message: DeliveryProgress, encoding: codec.Encoding) -> None:
    payload = message.encode(encoding)
    assert codec.encoding_of(payload) == encoding
    assert DeliveryProgress.decode(payload) == message


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"requestId": 1}', b"\xc1", b"x" * 10])
def test_what_is_no_message_cannot_be_decoded(payload: bytes) -> None:
    with pytest.raises(Undecodable):
        DeliveryProgress.decode(payload)


def test_fields_of_a_later_version_are_ignored() -> None:
    value = a_message().to_map() | {"later": 1}
    assert DeliveryProgress.decode(codec.encode(value, "json")) == a_message()
