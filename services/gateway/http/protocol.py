"""uvicorn's HTTP/1.1 protocol with time limits for what a peer must send or read, and with a place for each connection.

uvicorn limits only how long a connection is idle after a request, and each byte cancels that limit. So connections that
send nothing, or one byte a second, would stay open until the process has no file descriptors left. The only file that
imports h11.
"""

from __future__ import annotations

import asyncio
import http
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from orastream.contract import codec
from services.gateway.http.connection_table import ConnectionTable, Phase, Treatment
from services.gateway.http.peer_address import group_of
from services.gateway.http.refusals import Reason
from services.gateway.http.responses import Answer, error

HEAD_S = 10.0
"""Time for the head of a request: from the opening of the connection, or from the first byte of a later request."""
BODY_S = 20.0
"""Time for the whole body. Longer than `request_body.TIMEOUT_S`, whose 408 is then sent before the connection ends."""
STALL_S = 60.0
"""A peer that does not read while 64 KiB wait to be sent is disconnected after this time."""
MAX_CONNECTIONS = 8192
SPARE_CONNECTIONS = 16
"""Connections beyond all limits, for health checks."""
RESERVED_FILES = 64
"""File descriptors that connections leave for NATS, log files and the console's files."""
MIN_CONNECTIONS = 16
_OPEN_FILES = 32
"""Where the system does not list them: how many files the process has open before the first connection, at most."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the connections of one server share. `refused` is called with the reason of each refusal, to count it."""

    table: ConnectionTable[BoundedProtocol]
    refused: Callable[[Reason], None]
    head_s: float = HEAD_S
    body_s: float = BODY_S
    stall_s: float = STALL_S


class BoundedConfig(uvicorn.Config):
    """uvicorn's configuration with the bounds of connections. `spare_app` answers the requests on spare ones."""

    def __init__(self, app: Any, bounds: Bounds, spare_app: Any, **options: Any) -> None:
        super().__init__(app, http=BoundedProtocol, **options)
        self.bounds = bounds
        self.spare_app = spare_app


class BoundedProtocol(H11Protocol):
    """One connection. Its phase follows from the states of h11; each phase has one time limit, set when it begins."""

    config: BoundedConfig
    _timer: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None
    _entered: tuple[Phase, object] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place for the connection, or refuse it with 503."""
        super().connection_made(transport)
        bounds = self.config.bounds
        opened = bounds.table.open(self, group_of(self.client[0] if self.client else None))
        if opened.over is not None:
            bounds.refused(opened.over)
        if opened.evicted is not None:
            opened.evicted.transport.abort()
        if opened.treatment is Treatment.REFUSED:
            self._end(full())
            return
        if opened.treatment is Treatment.SPARE:
            self.app = self.config.spare_app
        self._follow()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place of the connection."""
        self.config.bounds.table.close(self)
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the bytes, and begin the next phase if they complete one."""
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        """Begin the next phase after an answer."""
        super().on_response_complete()
        self._follow()

    def pause_writing(self) -> None:
        """The peer reads too slowly: limit the time in which it must read on."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(self.config.bounds.stall_s, self._stalled)

    def resume_writing(self) -> None:
        """The peer has read."""
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP in the form of `/api/`, and close the connection."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._end(error(400, "invalid_request", "the bytes received are not a valid HTTP request"))
        else:
            self.transport.abort()  # another answer has begun, and a second one would be read as a part of it

    def _follow(self) -> None:
        """Set the time limit of the phase. Bytes that do not end a phase do not extend its limit."""
        entered = self._phase(), self.cycle
        if entered == self._entered or self.transport.is_closing():
            return
        self._entered = entered
        phase, bounds = entered[0], self.config.bounds
        bounds.table.set_phase(self, phase)
        if self._timer is not None:
            self._timer.cancel()
        # uvicorn's own limit for IDLE is cancelled by the end of a body that comes after the answer, and not set again.
        limits_s = {Phase.HEAD: bounds.head_s, Phase.BODY: bounds.body_s, Phase.IDLE: self.timeout_keep_alive + 1}
        limit_s = limits_s.get(phase)
        self._timer = None if limit_s is None else self.loop.call_later(limit_s, self._late, phase)

    def _phase(self) -> Phase:
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.BODY
        if self.cycle is not None and not self.cycle.response_complete:
            return Phase.BUSY
        if self.cycle is None or self.conn.trailing_data[0]:
            return Phase.HEAD
        return Phase.IDLE

    def _late(self, phase: Phase) -> None:
        if self.transport.is_closing():  # closed to make room, in this turn of the event loop
            return
        if phase is Phase.IDLE:
            self._end()
        elif phase is Phase.BODY:
            self.config.bounds.refused("body_timeout")
            self.transport.abort()
        else:
            self.config.bounds.refused("head_timeout")
            begun = bool(self.conn.trailing_data[0])  # browsers open connections in advance; an answer confuses them
            text = f"the head of the request did not arrive within {self.config.bounds.head_s:g} s; send it again"
            self._end(error(408, "head_timeout", text, retryable=True) if begun else None)

    def _stalled(self) -> None:
        self._stall = None
        self.config.bounds.refused("stalled_reader")
        self.transport.abort()

    def _end(self, answer: Answer | None = None) -> None:
        """Close the connection, with an answer if nothing else waits to be sent."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # a peer that reads nothing would keep a closing transport open
            return
        if answer is not None:
            self.transport.write(_raw(answer))
        self.transport.close()


def full() -> Answer:
    """503: the gateway has no connection left for this caller."""
    text = "the gateway has no more connections for this caller; close idle ones, or try again later"
    return error(503, "overloaded", text, retryable=True, headers={"Retry-After": "1"})


def _raw(answer: Answer) -> bytes:
    body = codec.encode(answer.body, "json")
    fields = {**answer.headers, "Content-Type": "application/json", "Content-Length": len(body), "Connection": "close"}
    head = [
        f"HTTP/1.1 {answer.status} {http.HTTPStatus(answer.status).phrase}",
        *(f"{k}: {v}" for k, v in fields.items()),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def max_connections() -> int:
    """How many connections the process may have: fewer than its file descriptors, and at most MAX_CONNECTIONS.

    At the limit of file descriptors, accept() fails: the event loop then closes each new connection, health checks too.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = _OPEN_FILES
    return max(MIN_CONNECTIONS, min(MAX_CONNECTIONS, soft - used - RESERVED_FILES - SPARE_CONNECTIONS))
