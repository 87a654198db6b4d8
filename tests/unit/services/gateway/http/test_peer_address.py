"""By which address a peer is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.http.peer_address import group_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("/run/socket", "unknown"),
    ],
)
def test_peer_is_counted_by_its_address_or_its_ipv6_prefix(host: str | None, group: str) -> None:
    assert group_of(host) == group


@given(st.ip_addresses())
def test_every_address_has_a_group(address: object) -> None:
    assert group_of(str(address)) != "unknown"


@given(st.text(max_size=60))
def test_any_text_is_taken(text: str) -> None:
    assert group_of(text)
