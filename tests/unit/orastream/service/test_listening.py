"""How a process on this machine reaches a server, by the address on which that listens."""

from __future__ import annotations

import pytest

from orastream.service.listening import url_host

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("host", "at"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("0::0", "127.0.0.1"),
        ("::1", "[::1]"),
        ("fe80::1%eth0", "[fe80::1%eth0]"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
    ],
)
def test_url_host(host: str, at: str) -> None:
    assert url_host(host) == at
