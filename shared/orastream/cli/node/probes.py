"""Checks whether a process of the node accepts work: each returns what the process lacks, or None."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import aiohttp

ANSWER_S = 2.0

Lacks = Callable[[], Awaitable[str | None]]


def nats_server(port: int) -> Lacks:
    """A check for a NATS server with JetStream on this port of this machine."""

    async def lacks() -> str | None:
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    line = await reader.readline()
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
        except (OSError, TimeoutError, ValueError):
            return "does not answer yet"
        return judge_greeting(line)

    return lacks


def judge_greeting(line: bytes) -> str | None:
    """What a NATS server lacks, by its first line: `INFO {"server_name":…,"jetstream":true}`; None if it is ready."""
    verb, _, body = line.partition(b" ")
    try:
        info = json.loads(body) if verb == b"INFO" else None
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        return "is not a NATS server"
    return None if info.get("jetstream") else "JetStream is not on yet"


def http(url: str) -> Lacks:
    """A check that `url` answers 200. Otherwise it returns the `reason` in the service's answer."""

    async def lacks() -> str | None:
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as client, client.get(url) as answer:
                if answer.status == 200:
                    return None
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return "does not answer yet"
        except (ValueError, RecursionError):
            return "unready"
        return str(body.get("reason", "unready")) if isinstance(body, dict) else "unready"

    return lacks
