"""The sockets of protocol v2: runs a BridgeConnection over each, with its own task for what is due."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from aiohttp import WSMsgType, web

from services.oraserver.faults import Misbehaviour
from services.oraserver.listing import Listing
from services.oraserver.stream_faults import StreamCounts
from services.oraserver.v2.answers import CloseConnection, Output
from services.oraserver.v2.connection import BridgeConnection
from services.oraserver.v2.disk import DiskStorage
from services.oraserver.v2.events import StreamEvent
from services.oraserver.v2.listing import selected_streams, with_streams
from services.oraserver.v2.storage import StreamStorage
from services.oraserver.v2.store import Store
from services.oraserver.v2.terms import StreamTerms

Socket = web.WebSocketResponse[bool]
SEND_TIMEOUT_S = 10.0
"""A bridge that takes nothing for so long is cut off."""
IDLE_POLL_S = 60.0
MIN_POLL_S = 0.02
"""A poll looks at all streams, so it comes at most so often."""
CLOCK_S = 1.0

log = structlog.get_logger("oraserver")


class _Observed:
    """A storage that lets the metrics count each event once it is stored."""

    def __init__(self, storage: StreamStorage, observe: Callable[[StreamEvent], None]) -> None:
        self._storage, self._observe = storage, observe
        self.read, self.give, self.forget = storage.read, storage.give, storage.forget

    def keep(self, event: StreamEvent) -> None:
        self._storage.keep(event)
        self._observe(event)


@dataclass(slots=True)
class _Running:
    """A connection and its socket."""

    connection: BridgeConnection
    socket: Socket
    request: web.Request
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something is due before `sleeps_until`."""
    sleeps_until: float = 0.0
    sends: asyncio.Lock = field(default_factory=asyncio.Lock)
    """What was decided first is sent first: it is acquired in the step in which the messages are made."""

    def abort(self) -> None:
        if self.request.transport is not None:
            self.request.transport.abort()


class StreamService:
    """Protocol v2 of one OraServer: store, disk, connections, counts. For one event loop."""

    def __init__(
        self,
        data_dir: Path,
        terms: StreamTerms,
        misbehaviour: Misbehaviour,
        observe: Callable[[StreamEvent], None],
    ) -> None:
        self.terms = terms
        self.counts = StreamCounts()
        self._misbehaviour = misbehaviour
        self._mischief = misbehaviour.streams
        self._data_dir = data_dir
        self.disk = DiskStorage(data_dir, fsync=terms.fsync)
        now = time.monotonic()
        self.store = Store(
            _Observed(self.disk, observe),
            keep_s=terms.keep_s,
            real_time=lambda: self._mischief.real_time,
            skips=lambda: self._mischief.skips,
            unix_at_zero=time.time() - now,
        )
        self.store.replay(self._replay(), now, self.disk.next_number())
        self._number = self.store.last_connection
        self._running: dict[Socket, _Running] = {}
        self._clock: asyncio.Task[None] | None = None

    def _replay(self) -> Iterable[StreamEvent]:
        """The stored events; behind them the application has what its offsets say."""
        yield from self.disk.replay()
        self.disk.recover(list(self.store.utterances.values()))

    # ---- the HTTP side

    def with_streams(self, listing: Listing, session_id: str | None, digests: dict[int, str]) -> Listing:
        """The listing with the utterances of v2."""
        return with_streams(listing, self.store, session_id, self.disk.file_name, digests)

    def files(self, session_id: str | None) -> list[tuple[int, Path]]:
        """Number and file of the utterances: what to hash, in a thread, for the listing."""
        chosen = selected_streams(self.store, session_id)
        return [(u.number, self._data_dir / self.disk.file_name(u.number)) for u in chosen]

    def forget(self) -> None:
        """Forget everything, in memory and on disk. Open streams get an error."""
        self.counts.forgotten += 1
        self.store.forget()
        self._wake_all()

    def routes(self) -> list[web.RouteDef]:
        """The routes of v2's own control."""
        return [
            web.get("/streams", self._get_streams),
            web.delete("/streams", self._delete_streams),
            web.delete("/streams/connections", self._close_connections),
        ]

    async def _get_streams(self, _request: web.Request) -> web.Response:
        sessions = [
            {
                "node": node,
                "session": name,
                "epoch": session.fence[0] if session.fence else None,
                "try": session.fence[1] if session.fence else None,
                "before": session.before,
                "cancelled": sorted(session.cancelled),
                "openStreams": len(session.streams),
            }
            for (node, name), session in self.store.sessions.items()
        ]
        connections = [_described(running.connection) for running in self._running.values()]
        counts = self.counts.as_dict()
        return web.json_response({"counts": counts, "sessions": sessions, "connections": connections})

    async def _delete_streams(self, _request: web.Request) -> web.Response:
        self.forget()
        return web.Response(status=204)

    async def _close_connections(self, request: web.Request) -> web.Response:
        wanted = request.query.get("number")
        for running in list(self._running.values()):
            if wanted is None or wanted == str(running.connection.number):
                self.counts.closed_connections += 1
                running.abort()
        return web.Response(status=204)

    # ---- sockets

    async def serve(self, socket: Socket, request: web.Request) -> bool:
        """Run a socket that has selected v2 until its end; False when its TCP connection must be aborted."""
        self._number += 1
        self.counts.connections += 1
        connection = BridgeConnection(self.store, self.terms, self._mischief, self.counts, self._number)
        running = self._running[socket] = _Running(connection, socket, request)
        timer: asyncio.Task[None] | None = None
        try:
            if not await self._send(running, connection.opened()):
                return False
            timer = asyncio.create_task(self._run_due(running))
            return await self._read(running)
        except (ConnectionResetError, TimeoutError):
            return False
        except OSError as exc:
            log.error("cannot store; the connection is aborted", problem=exc.strerror or str(exc))
            return False
        finally:
            del self._running[socket]
            if timer is not None:
                timer.cancel()
            connection.closed(time.monotonic())
            self._wake_all()

    async def _read(self, running: _Running) -> bool:
        connection, socket, frames = running.connection, running.socket, 0
        while True:
            message = await socket.receive()
            if delay_ms := self._misbehaviour.faults.read_delay_ms:
                await asyncio.sleep(delay_ms / 1000)
            out: list[Output] = []
            if message.type is WSMsgType.BINARY:
                before = self.counts.audio_frames
                out = connection.received(message.data, time.monotonic())
                if self.counts.audio_frames > before:
                    frames += 1
                    if self._misbehaviour.drops(frames):
                        return False
            elif message.type is WSMsgType.TEXT:
                out = connection.received_text()
            elif message.type is WSMsgType.PING:
                if not self._misbehaviour.faults.no_pong:
                    await socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                return True
            due = connection.new_time()
            if due is not None and due < running.sleeps_until - MIN_POLL_S:
                running.wake.set()
            if not await self._send(running, out):
                return False

    async def _send(self, running: _Running, out: list[Output]) -> bool:
        """Send the messages; False to abort the connection. Raises TimeoutError if the bridge reads nothing."""
        if not out:
            return True
        async with running.sends:
            for message in out:
                if not isinstance(message, CloseConnection):
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await running.socket.send_bytes(message.pack())
                elif message.code is None:
                    return False
                else:
                    await running.socket.close(code=message.code)
        return True

    async def _run_due(self, running: _Running) -> None:
        """Send what is due, until the socket has ended."""
        connection = running.connection
        try:
            while await self._send(running, connection.poll(time.monotonic())):
                now = time.monotonic()
                due = connection.next_time(now)
                running.sleeps_until = now + IDLE_POLL_S if due is None else max(due, now + MIN_POLL_S)
                running.wake.clear()
                await _wait(running.wake, running.sleeps_until)
        except (ConnectionResetError, TimeoutError):
            pass
        except OSError as exc:
            log.error("cannot store; the connection is aborted", problem=exc.strerror or str(exc))
        running.abort()

    async def start(self) -> None:
        """Begin to advance the store while no connection does it."""
        self._clock = asyncio.create_task(self._run_clock())

    async def _run_clock(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_S)
            if not self._running and self.store.utterances:
                try:
                    self.store.poll(time.monotonic())
                except OSError as exc:
                    log.error("cannot store", problem=exc.strerror or str(exc))

    def _wake_all(self) -> None:
        for running in self._running.values():
            running.wake.set()

    async def close(self) -> None:
        """End the clock and close the files. The sockets are closed already."""
        if self._clock is not None:
            self._clock.cancel()
            await asyncio.gather(self._clock, return_exceptions=True)
        self.disk.close()


def _described(connection: BridgeConnection) -> dict[str, object]:
    hello = connection.hello
    return {
        "number": connection.number,
        "node": hello.node if hello else None,
        "bridge": hello.bridge if hello else None,
        "seen": connection.seen,
        "unfinished": connection.unfinished,
    }


async def _wait(wake: asyncio.Event, until: float) -> None:
    """Wait for the event, or until then (monotonic seconds)."""
    try:
        async with asyncio.timeout(max(until - time.monotonic(), 0)):
            await wake.wait()
    except TimeoutError:
        pass


def digest_of(path: Path) -> str:
    """Hex SHA-256 of a file; empty if it does not exist. Slow for a large file, thread-safe."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
