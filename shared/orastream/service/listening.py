"""Where a server of the node listens (TTS_HOST), and how a process on this machine reaches it."""

from __future__ import annotations

import errno
import ipaddress
import socket

from orastream.contract.errors import SettingsError

BACKLOG = 2048
_OF_HOST = frozenset(
    (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL, socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL)
)
"""Errors of socket(), bind() and getaddrinfo() that are about the address, not about the port."""
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

    A system opens a socket of IPv6 for that family alone if it is not asked for both. Raises OSError, UnicodeError.
    """
    host.encode("idna")  # as bind() does, whose own error would be a TypeError, with the socket left open
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = takes_both(host) and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)


def cannot_listen(port_setting: str, host: str, port: int, exc: OSError | UnicodeError) -> SettingsError:
    """The error of a server that cannot listen: about TTS_HOST if that is no address of this machine, else its port."""
    if isinstance(exc, UnicodeError) or exc.errno in _OF_HOST:  # UnicodeError: it cannot be a name of the DNS
        return SettingsError(f"TTS_HOST: {host} is no address of this machine; set 127.0.0.1, 0.0.0.0 or :: (all)")
    return SettingsError(f"{port_setting}: cannot listen on port {port} of {host} ({exc.strerror}); choose another")


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
