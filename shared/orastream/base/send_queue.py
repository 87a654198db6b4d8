"""Whether the kernel has sent what was written to a connection. The system calls are Linux's."""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct

_SIOCOUTQ, _SIOCOUTQNSD = 0x5411, 0x894B  # linux/sockios.h: bytes not acknowledged by the peer, bytes not sent


def all_sent(transport: asyncio.Transport) -> bool:
    """Whether all that was written has left this machine, and the kernel takes more at once. Raises nothing.

    With TLS: whether the peer has acknowledged it. Only then does nothing wait in the process below the TLS layer,
    which the transport does not count. True for a closed connection, and on other systems once the kernel has taken it.
    """
    if transport.get_write_buffer_size():
        return False
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return True
    request = _SIOCOUTQNSD if transport.get_extra_info("sslcontext") is None else _SIOCOUTQ
    try:
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), request, bytes(4)))
    except OSError:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT)
    return not queued and bool(poll.poll(0))
