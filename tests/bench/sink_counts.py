"""Reads the counts of the sink over HTTP, for the load."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self


class SinkCounts:
    """Reads the sink's counts over one open connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address, limit=1 << 26)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def counts(self) -> dict[str, int]:
        """The current counts."""
        value: dict[str, int] = await self._get("/counts")
        return value

    async def arrivals_ns(self, start: int) -> list[int]:
        """The arrival times of the chunks from number `start` on, by CLOCK_MONOTONIC."""
        value: list[int] = await self._get(f"/arrivals?from={start}")
        return value

    async def sessions_ns(self) -> dict[str, list[int]]:
        """The arrival times of the chunks of each session, by CLOCK_MONOTONIC."""
        value: dict[str, list[int]] = await self._get("/sessions")
        return value

    async def firsts_ns(self) -> dict[str, list[int]]:
        """The arrival times of the first chunk (v2: frame) of each utterance, by session, by CLOCK_MONOTONIC."""
        value: dict[str, list[int]] = await self._get("/firsts")
        return value

    async def cancels(self) -> list[tuple[str, int, int]]:
        """Of each cancel over v2: session, its arrival, and the arrival of the last audio before it, or 0."""
        return [(session, at_ns, last_ns) for session, at_ns, last_ns in await self._get("/cancels")]

    async def _get(self, target: str) -> Any:
        async with self._one_at_a_time:
            self._writer.write(f"GET {target} HTTP/1.1\r\nHost: sink\r\n\r\n".encode())
            head = await self._reader.readuntil(b"\r\n\r\n")
            size = int(head.rpartition(b"Content-Length: ")[2])
            return json.loads(await self._reader.readexactly(size))
