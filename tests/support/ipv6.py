"""Whether this machine has IPv6: containers often have none."""

from __future__ import annotations

import socket


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


HAS_IPV6 = _has_ipv6()
