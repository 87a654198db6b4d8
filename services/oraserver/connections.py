"""Which connection of a session and phone is the current one, and whether a connection was reset."""

from __future__ import annotations

import asyncio
import select

from services.oraserver.frames import Init


class CurrentConnections:
    """The newest connection of each session and phone replaces the older ones. For one event loop."""

    def __init__(self) -> None:
        self._newest: dict[Init, object] = {}
        self._inits: dict[object, Init] = {}

    def began(self, connection: object, init: Init | None) -> None:
        """Note the connection's first `init`. May be called again, and with None as long as there is none."""
        if init is not None and connection not in self._inits:
            self._inits[connection] = init
            self._newest[init] = connection

    def replaced(self, connection: object) -> bool:
        """Whether a newer connection of the same session and phone has sent its `init`."""
        init = self._inits.get(connection)
        return init is not None and self._newest.get(init) is not connection

    def ended(self, connection: object) -> None:
        """Forget the connection."""
        init = self._inits.pop(connection, None)
        if init is not None and self._newest.get(init) is connection:
            del self._newest[init]


def was_reset(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the peer has ended the connection so that nothing can be answered any more.

    The kernel is asked, because asyncio does not notice a reset while it does not read.
    """
    if transport is None or transport.is_closing():
        return True
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))
