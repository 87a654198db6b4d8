"""How a process on this machine reaches a server, by the address on which that listens."""

from __future__ import annotations

import socket

import pytest

from orastream.service.listening import cannot_listen, listener, url_host

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


@pytest.mark.parametrize(
    "host", ["203.0.113.1", "2001:db8::1", "fe80::1", "[::1]", "no such host.invalid", "a..b", "ü" * 64]
)
def test_a_host_that_is_no_address_of_this_machine_is_named(host: str) -> None:
    """Not the port, as if another one could help."""
    with pytest.raises((OSError, UnicodeError)) as caught:
        listener(host, 0)
    said = str(cannot_listen("GATEWAY_PORT", host, 0, caught.value))
    assert said.startswith(f"TTS_HOST: {host} is no address of this machine; set ")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError) as caught:
            listener("127.0.0.1", port)
    said = str(cannot_listen("GATEWAY_PORT", "127.0.0.1", port, caught.value))
    assert said.startswith(f"GATEWAY_PORT: cannot listen on port {port} of 127.0.0.1 (Address already in use")
    assert said.endswith("; choose another")
