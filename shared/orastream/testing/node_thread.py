"""Supervises the processes of a node in a thread of its own, so that tests with and without an event loop use it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from orastream.cli.node.stack import Stack
from orastream.cli.node.supervisor import PartKeeper, State, Supervisor
from orastream.contract.errors import NodeUnavailable, SettingsError

MARGIN_S = 30.0
"""Time for a call besides what it waits for."""
POLL_S = 0.02

T = TypeVar("T")


class NodeThread:
    """The running processes of one node. Thread-safe; the calls block.

    The processes die with the thread that has started them, so it lives until `close`.
    """

    def __init__(self, node: Stack, within_s: float) -> None:
        """Start the processes, and return when all accept work. Raises NotStarted, with the end of a log."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="orastream-node", daemon=True)
        self._thread.start()
        self._supervisor = Supervisor(node.parts, node.logs)
        try:
            self.call(self._start(within_s), within_s)
        except BaseException:
            self.close()
            raise

    def call(self, work: Coroutine[Any, Any, T], within_s: float = 0.0) -> T:
        """Run `work` in the thread and return its result. Raises what it raises, and NodeUnavailable if it hangs."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within_s + MARGIN_S)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise NodeUnavailable(f"the node did not answer within {within_s + MARGIN_S:g} s") from None

    def close(self) -> None:
        """Kill the processes and end the thread. May be called twice."""
        if self._loop.is_closed():
            return
        try:
            self.call(self._end())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(MARGIN_S)
            self._loop.close()

    def keepers(self, service: str | None = None) -> list[PartKeeper]:
        """The keepers of a service (`synth`), of one process of it (`synth-2`), or of all.

        Raises SettingsError for an unknown name.
        """
        found = [k for k in self._supervisor.keepers if service is None or service in (k.part.name, kind_of(k))]
        if not found:
            names = dict.fromkeys(n for k in self._supervisor.keepers for n in (kind_of(k), k.part.name))
            raise SettingsError(f"service: {service!r} is not a part of this node; it has {', '.join(names)}")
        return found

    def kill(self, service: str, *, restart: bool) -> None:
        """Send SIGKILL to the processes of a service. Returns when they are dead."""
        self.call(self._kill(self.keepers(service), restart))

    def start_again(self, service: str | None, within_s: float) -> None:
        """End the processes of a service, or of all, with SIGTERM, start them, and wait until they accept work."""
        self.call(self._start_again(self.keepers(service), within_s), within_s)

    def ready(self, within_s: float) -> None:
        """Wait until all processes accept work that are not held. Raises NodeUnavailable after `within_s` seconds."""
        self.call(self._until_ready(self.keepers(), within_s), within_s)

    def release(self) -> None:
        """Start all processes that were killed without a restart."""
        for keeper in self.keepers():
            self._loop.call_soon_threadsafe(keeper.release)

    async def _start(self, within_s: float) -> None:
        await self._supervisor.__aenter__()
        await self._supervisor.ready(within_s)

    async def _end(self) -> None:
        for keeper in self._supervisor.keepers:
            keeper.stop()
        self._supervisor.kill()  # its data are thrown away: a drain would only take time
        await self._supervisor.__aexit__(None, None, None)

    async def _kill(self, keepers: list[PartKeeper], restart: bool) -> None:
        pids = {keeper: keeper.pid for keeper in keepers}
        for keeper in keepers:
            if restart:
                keeper.kill()
            else:
                keeper.hold()

        def lives(keeper: PartKeeper) -> bool:
            if not restart:  # also one that is just being started again
                return keeper.state is not State.HELD
            return keeper.pid is not None and keeper.pid == pids[keeper]

        while any(map(lives, keepers)):  # noqa: ASYNC110 - no event for its end
            await asyncio.sleep(POLL_S)

    async def _start_again(self, keepers: list[PartKeeper], within_s: float) -> None:
        for keeper in keepers:
            if not keeper.release():
                keeper.start_again({})
        await self._until_ready(keepers, within_s)

    async def _until_ready(self, keepers: list[PartKeeper], within_s: float) -> None:
        deadline = self._loop.time() + within_s
        while late := [k for k in keepers if k.state not in (State.READY, State.HELD)]:
            if self._loop.time() > deadline:
                lines = "".join(f"\n  {line}" for line in late[0].log.last_lines(12))
                lacks = late[0].lacks or late[0].state.value
                raise NodeUnavailable(f"{late[0].part.name} is not ready after {within_s:g} s ({lacks}):{lines}")
            await asyncio.sleep(POLL_S)


def kind_of(keeper: PartKeeper) -> str:
    """The service of a process: `synth` of `synth-2`; `nats-server` is its own."""
    name, dash, number = keeper.part.name.rpartition("-")
    return name if dash and number.isdigit() else keeper.part.name
