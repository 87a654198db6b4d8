"""Deletes the records that dead bridges have left, and those of its own that no session has. Each bridge does it.

A bridge that is taken for dead by mistake has stored no heartbeat for 3 s, so its lease has run out: it checks its
records before it writes again, and leaves a session without one. A session that has a stored request or cancel keeps
its record, so nothing is lost by that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from orastream.base import logger
from orastream.contract import subjects
from orastream.contract.errors import NodeUnavailable
from orastream.delivery.runtime.ownership import owner_of
from orastream.jetstream.api import JetStream
from orastream.jetstream.page_cursor import PageCursor
from orastream.jetstream.topology import HEARTBEAT_LIFE_S

SWEEP_EVERY_S = 30.0
FIRST_AFTER_S = HEARTBEAT_LIFE_S + 1.0
"""The heartbeats of bridges that died just before the start have expired then."""
CONFIRM_AFTER_S = 5.0
"""A record is deleted only if its owner seems dead again after this time: heartbeats also expire while NATS is away."""

log = logger.named(__name__)


class OwnerRecord(NamedTuple):
    """A record as read: its sequence, the session's token, and the bridge that it names (None: it names none)."""

    sequence: int
    session: str
    owner: str | None


class OwnerSweep:
    """`await run()` sweeps until cancelled, the records of both kinds of bridges. Not thread-safe."""

    def __init__(self, js: JetStream, own_name: str, serves: Callable[[str], bool]) -> None:
        """`own_name` is the name of this bridge; `serves` says whether it has, or is taking, a session (its token)."""
        self._js = js
        self._own_name = own_name
        self._serves = serves
        self._records = PageCursor(js, self._js.names.owners_stream, self._js.names.owner_keys)

    async def run(self) -> None:
        """Sweep every SWEEP_EVERY_S seconds. While NATS does not answer, records stay until a later sweep."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            try:
                await self.sweep()
            except NodeUnavailable as exc:
                log.debug("records of dead owners stay for now", error=str(exc))
            await asyncio.sleep(SWEEP_EVERY_S)

    async def sweep(self) -> int:
        """Read the next pages and delete what dead owners have left. Return the number of records that were deleted.

        Cancel-safe. Raises NodeUnavailable.
        """
        left = await self._left(await self._read())
        if not left:
            return 0
        await asyncio.sleep(CONFIRM_AFTER_S)
        deleted = 0
        for record in await self._left(left):
            # By sequence: if a bridge has taken the session since, its record has another one.
            deleted += await self._js.delete(self._js.names.owners_stream, record.sequence)
        if deleted:
            log.info("records of dead owners deleted", records=deleted)
        return deleted

    async def _read(self) -> list[OwnerRecord]:
        records: list[OwnerRecord] = []
        for message in await self._records.read():
            session = self._js.names.owner_session(message.subject)
            if session is not None and subjects.usable(session):
                records.append(OwnerRecord(message.sequence, session, owner_of(message.data)))
        return records

    async def _left(self, records: list[OwnerRecord]) -> list[OwnerRecord]:
        alive: dict[str | None, bool] = {None: False}
        left = []
        for record in records:
            if record.owner == self._own_name:
                serves = self._serves(record.session)
            else:
                if record.owner is not None and record.owner not in alive:
                    alive[record.owner] = (
                        await self._js.last(
                            self._js.names.heartbeats_stream, self._js.names.heartbeat_key(record.owner)
                        )
                        is not None
                    )
                serves = alive[record.owner]
            # The wake-up of a request or cancel that is stored brings a bridge, which takes the session.
            if (
                not serves
                and await self._js.after(
                    self._js.names.sessions_stream, self._js.names.session_events(record.session), 0
                )
                is None
            ):
                left.append(record)
        return left
