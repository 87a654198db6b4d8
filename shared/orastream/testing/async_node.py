"""The calls of a `LocalNode` for coroutines: each runs in a thread, so that the event loop goes on."""

from __future__ import annotations

import asyncio
from typing import Protocol

from orastream.testing.oraserver_api import Utterance


class BlockingCalls(Protocol):
    """The calls of a `LocalNode` that take time."""

    def received(self, session_id: str | None = None) -> list[Utterance]:
        """See `LocalNode.received`."""
        ...

    def violations(self, session_id: str | None = None) -> list[str]:
        """See `LocalNode.violations`."""
        ...

    def until_received(self, request_id: str, *, session_id: str | None = None, timeout_s: float = 30.0) -> Utterance:
        """See `LocalNode.until_received`."""
        ...

    def misbehave(self, **faults: object) -> None:
        """See `LocalNode.misbehave`."""
        ...

    def kill(self, service: str, *, restart: bool = True) -> None:
        """See `LocalNode.kill`."""
        ...

    def restart(self, service: str | None = None) -> None:
        """See `LocalNode.restart`."""
        ...

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        """See `LocalNode.wait_ready`."""
        ...

    def reset(self) -> None:
        """See `LocalNode.reset`."""
        ...


class AsyncNode:
    """`orastream_node.aio`. For asyncio. When a call is cancelled, what it has begun is still done."""

    def __init__(self, node: BlockingCalls) -> None:
        self._node = node

    async def received(self, session_id: str | None = None) -> list[Utterance]:
        """See `LocalNode.received`."""
        return await asyncio.to_thread(self._node.received, session_id)

    async def violations(self, session_id: str | None = None) -> list[str]:
        """See `LocalNode.violations`."""
        return await asyncio.to_thread(self._node.violations, session_id)

    async def until_received(
        self, request_id: str, *, session_id: str | None = None, timeout_s: float = 30.0
    ) -> Utterance:
        """See `LocalNode.until_received`."""
        return await asyncio.to_thread(
            self._node.until_received, request_id, session_id=session_id, timeout_s=timeout_s
        )

    async def misbehave(self, **faults: object) -> None:
        """See `LocalNode.misbehave`."""
        await asyncio.to_thread(self._node.misbehave, **faults)

    async def kill(self, service: str, *, restart: bool = True) -> None:
        """See `LocalNode.kill`."""
        await asyncio.to_thread(self._node.kill, service, restart=restart)

    async def restart(self, service: str | None = None) -> None:
        """See `LocalNode.restart`."""
        await asyncio.to_thread(self._node.restart, service)

    async def wait_ready(self, timeout_s: float = 60.0) -> None:
        """See `LocalNode.wait_ready`."""
        await asyncio.to_thread(self._node.wait_ready, timeout_s)

    async def reset(self) -> None:
        """See `LocalNode.reset`."""
        await asyncio.to_thread(self._node.reset)
