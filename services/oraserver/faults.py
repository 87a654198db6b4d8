"""Faults that can be switched on, to test that the bridges handle the failures of a real OraServer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

from pydantic import Field

from services.oraserver.stream_faults import CRASH_EXIT_CODE, StreamFaults, StreamMischief

__all__ = ["CRASH_EXIT_CODE", "Faults", "Misbehaviour"]


class Faults(StreamFaults):
    """The faults to cause. By default there are none."""

    drop_after_chunks: int | None = Field(None, ge=1, description="abort a TCP connection after its Nth chunk")
    times: int | None = Field(
        None,
        ge=1,
        description="how often drop_after_chunks, http_status and ws_status happen, all together; default: always",
    )
    read_delay_ms: float = Field(0, ge=0, le=60_000, description="wait before each frame or POST is read")
    refuse_seconds: float = Field(0, ge=0, le=86_400, description="answer handshakes and POSTs with 503 for this long")
    http_status: int | None = Field(None, ge=400, le=599, description="answer POSTs with this status")
    ws_status: int | None = Field(None, ge=400, le=599, description="answer handshakes with this status")
    no_pong: bool = Field(False, description="never answer a ping")
    crash_after_chunks: int | None = Field(
        None, ge=1, description=f"end the process with exit code {CRASH_EXIT_CODE} after N chunks in all"
    )


class Misbehaviour:
    """The faults that are set, and how often and how long they still happen."""

    def __init__(
        self,
        faults: Faults | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        crash: Callable[[int], object] = os._exit,
    ) -> None:
        self._clock = clock
        self._crash = crash
        self.streams = StreamMischief(crash=crash)
        """The faults of protocol v2."""
        self.set(faults or Faults())

    def set(self, faults: Faults) -> None:
        """Replace all faults; counters and times start again."""
        self.faults = faults
        self.streams.set(faults)
        self._left = faults.times
        self._refuse_until = self._clock() + faults.refuse_seconds
        self._chunks = 0

    def refusal(self, kind: Literal["http", "websocket"]) -> int | None:
        """The status with which to refuse this POST or handshake, or None. A refusal counts towards `times`."""
        if self._clock() < self._refuse_until:
            return 503
        status = self.faults.http_status if kind == "http" else self.faults.ws_status
        return status if status is not None and self._once_more() else None

    def drops(self, chunks_of_connection: int) -> bool:
        """Count a chunk; whether to abort its connection, of which it is the nth. On a crash it does not return."""
        self._chunks += 1
        if self._chunks == self.faults.crash_after_chunks:
            self._crash(CRASH_EXIT_CODE)
        after = self.faults.drop_after_chunks
        return after is not None and chunks_of_connection >= after and self._once_more()

    def _once_more(self) -> bool:
        if self._left is None:
            return True
        if self._left == 0:
            return False
        self._left -= 1
        return True
