"""Where a server of the node listens (TTS_HOST), and how a process on this machine reaches it."""

from __future__ import annotations

import ipaddress
import socket

BACKLOG = 2048
_ANY = {4: ipaddress.IPv4Address("0.0.0.0"), 6: ipaddress.IPv6Address("::")}  # noqa: S104 - compared, not bound


def url_host(host: str) -> str:
    """The host of a URL that reaches a server listening on `host` from this machine. Pure.

    127.0.0.1 for 0.0.0.0 and `::`, which include it; an address of IPv6 in brackets (RFC 3986, 3.2.2).
    """
    if _address(host) in _ANY.values():
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def takes_both(host: str) -> bool:
    """Whether a server on `host` takes IPv4 and IPv6. Pure."""
    return _address(host) == _ANY[6]


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 takes a free one. With `::` it takes IPv4 and IPv6.

    A system opens a socket of IPv6 for that family alone if it is not asked for both. Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = takes_both(host) and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
