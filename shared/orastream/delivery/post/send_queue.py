"""How much of what was written to a connection waits on this machine. Apart, because the system calls are Linux's."""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct

_SIOCOUTQ, _SIOCOUTQNSD = 0x5411, 0x894B  # linux/sockios.h: bytes not acknowledged by the peer, bytes not sent


def unsent_bytes(transport: asyncio.Transport) -> int:
    """How many of the written bytes have not left this machine; 0 only if the kernel also takes more at once.

    With TLS: how many the peer has not acknowledged. Some may wait in the process below the TLS layer, where the
    transport does not count them; none does once all are acknowledged. Of a closed connection, and on systems other
    than Linux, only what the transport counts. Raises nothing.
    """
    waiting, sock = transport.get_write_buffer_size(), transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return waiting
    request = _SIOCOUTQNSD if transport.get_extra_info("sslcontext") is None else _SIOCOUTQ
    try:
        (queued,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), request, bytes(4)))
    except OSError:
        return waiting
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT)
    return waiting + queued or int(not poll.poll(0))
