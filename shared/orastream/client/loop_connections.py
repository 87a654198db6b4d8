"""One connection for each event loop that uses a client: opened at the first call, closed at the loop's end.

A Django project has one client in a module, and calls it from the loops that its server makes: one for the process
under ASGI, one for each call of an async view under WSGI.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable

from orastream.client.client_connection import ClientConnection
from orastream.client.shared_opening import SharedOpening


class _Here:
    """What one event loop has."""

    def __init__(self, open_it: Callable[[_Here], Awaitable[ClientConnection]]) -> None:
        self.opening = SharedOpening(lambda: open_it(self), _ended)
        self.connection: ClientConnection | None = None
        self.guard: AsyncGenerator[None, None] | None = None
        """It is closed with the loop, and then closes the connection."""


class LoopConnections:
    """The connections of the event loops. Thread-safe: each loop uses its own one."""

    def __init__(self, connection: Callable[[], ClientConnection]) -> None:
        """`connection` makes one that is not open."""
        self._connection = connection
        self._lock = threading.Lock()
        self._loops: dict[asyncio.AbstractEventLoop, _Here] = {}

    async def get(self) -> ClientConnection:
        """The open connection of the running loop. Raises NodeUnavailable (see `SharedOpening.get`), SettingsError."""
        loop = asyncio.get_running_loop()
        with self._lock:
            for ended in [other for other in self._loops if other.is_closed()]:
                del self._loops[ended]
            here = self._loops.get(loop)
            if here is None:
                here = self._loops[loop] = _Here(self._open)
        return await here.opening.get()

    @property
    def here(self) -> ClientConnection:
        """The open connection of the running loop. Raises RuntimeError if there is none yet."""
        here = self._loops.get(asyncio.get_running_loop())
        if here is None or (found := here.opening.opened) is None:
            raise RuntimeError("the client has no connection in this event loop yet: await one of its calls first")
        return found

    async def close(self) -> None:
        """Close the connection of the running loop; an attempt to open it ends. The next call opens another one."""
        with self._lock:
            here = self._loops.pop(asyncio.get_running_loop(), None)
        if here is None:
            return
        await here.opening.close()
        if here.guard is not None:
            await here.guard.aclose()

    async def _open(self, here: _Here) -> ClientConnection:
        connection = self._connection()
        await connection.open()
        earlier, here.connection = here.guard, connection
        here.guard = self._until_end(asyncio.get_running_loop(), here, connection)
        await anext(here.guard)
        if earlier is not None:
            await earlier.aclose()
        return connection

    async def _until_end(
        self, loop: asyncio.AbstractEventLoop, here: _Here, connection: ClientConnection
    ) -> AsyncGenerator[None, None]:
        """Whoever ends a loop well (asyncio.run, uvicorn, asgiref) calls `shutdown_asyncgens`, which closes this."""
        try:
            yield
        finally:
            with self._lock:
                # Otherwise another connection has its place.
                if here.connection is connection and self._loops.get(loop) is here:
                    del self._loops[loop]
            await connection.close()


def _ended(connection: ClientConnection) -> bool:
    return connection.broker.closed.is_set()
