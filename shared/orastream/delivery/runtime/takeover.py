"""Takes over the sessions of a bridge that is gone, before the server delivers its wake-ups again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.base import logger
from orastream.contract.errors import NodeUnavailable
from orastream.delivery.runtime.ownership import Owners
from orastream.jetstream.api import JetStream
from orastream.jetstream.topology import HEARTBEAT_LIFE_S

AGAIN_S = 0.25
TRIES = 3
PATIENCE_S = 3 * HEARTBEAT_LIFE_S
"""How long a cluster's bridges wait for the heartbeat of a gone bridge to expire. Then its wake-ups come anyway."""

log = logger.named(__name__)


class Takeover:
    """`await run(bridge)` passes each session of a gone bridge in which something is stored to `adopt`.

    `adopt` returns whether this bridge tries to take it. Several bridges may do this at the same time: `Owners.take`
    decides. Records of sessions in which nothing is stored are left to `OwnerSweep`.
    """

    def __init__(self, js: JetStream, owners: Owners, adopt: Callable[[str], bool]) -> None:
        self._js = js
        self._owners = owners
        self._adopt = adopt

    async def run(self, bridge: str) -> None:
        """Take over the sessions of `bridge`. Logs errors: the wake-ups of what is left are delivered again later."""
        for number_of_try in range(1, TRIES + 1):
            try:
                if self._js.broker.server.cluster:
                    await self._until_expired(bridge)
                else:
                    await self._owners.gone(bridge)
                sessions = await self._take_sessions(bridge)
            except (NodeUnavailable, TimeoutError) as exc:
                if number_of_try == TRIES:
                    log.warning("not all sessions of a gone bridge are taken over yet", bridge=bridge, error=str(exc))
            else:
                log.info("takes over the sessions of a bridge that is gone", bridge=bridge, sessions=sessions)
                return

    async def _take_sessions(self, bridge: str) -> int:
        """Return the number of sessions to take. Ends early if the bridge shows that it lives."""
        sessions = 0
        async for session in self._owners.sessions_of(bridge):
            if await self._js.after(self._js.names.sessions_stream, self._js.names.session_events(session), 0) is None:
                continue
            if await self._owners.alive(bridge):
                break
            sessions += self._adopt(session)
        return sessions

    async def _until_expired(self, bridge: str) -> None:
        """A live bridge behind a cut route writes until its lease ends, so wait for its heartbeat to expire."""
        async with asyncio.timeout(PATIENCE_S):
            while await self._owners.alive(bridge):  # noqa: ASYNC110 - the server deletes it; nothing tells us when
                await asyncio.sleep(AGAIN_S)
