"""Names the host behind a connection's address, so that its connections and requests can be counted together. Pure."""

from __future__ import annotations

import ipaddress

UNKNOWN = "unknown"
_IPV6_PREFIX = 64
"""A host on IPv6 commonly has a /64 of its own: counted by address it would have 2^64 counts."""


def group_of(host: str | None) -> str:
    """The address by which a peer is counted: an IPv4 address, or the /64 of an IPv6 address.

    An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) counts as that IPv4 address. What is no address (a peer on a Unix
    socket) is counted as `unknown`.
    """
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
