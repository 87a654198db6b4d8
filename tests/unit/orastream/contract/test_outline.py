"""The outline of a stored request agrees with `parse_request`, and no payload makes it raise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import codec
from orastream.contract.errors import InvalidRequest
from orastream.contract.messages import DEFAULT_TTL_S, parse_request
from orastream.contract.stored_requests import RequestOutline, outline_of

pytestmark = pytest.mark.unit

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner),
    max_leaves=3,
)
FIELDS = st.fixed_dictionaries(
    {"text": st.just("a"), "sessionId": st.just("s"), "phoneId": st.just("p")},
    optional={
        "ttlSeconds": st.sampled_from([1, 30.5, 3600, 0, -1, 10**400, float("nan"), True, "7", None]) | ANY,
        "textStream": st.booleans() | ANY,
        "transport": st.sampled_from(["websocket", "http", "none", "pigeon", None]) | ANY,
        "use_websocket": st.booleans() | ANY,
    },
)


def outline(data: bytes) -> RequestOutline:
    message: Any = SimpleNamespace(data=data)
    return outline_of(message)


@given(FIELDS)
def test_outline_is_that_of_the_request_if_the_request_is_valid(fields: dict[str, Any]) -> None:
    data = str(fields).encode()
    try:
        data = codec.encode(fields, "json")
        request = parse_request(codec.decode(data))
    except (InvalidRequest, ValueError, OverflowError, TypeError):
        outline(data)
        return
    assert outline(data) == RequestOutline(request.ttl_seconds, request.text_stream, request.stated_transport)


@pytest.mark.parametrize("data", [b"", b"no map", b"[]", b"\xff", b'{"ttlSeconds":1' + b"0" * 400 + b"}"])
def test_payload_that_cannot_be_read_has_the_defaults(data: bytes) -> None:
    assert outline(data) == RequestOutline(DEFAULT_TTL_S)
