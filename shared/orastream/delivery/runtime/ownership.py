"""Which bridge owns a session: a record written by compare-and-set, valid while its owner's heartbeat is stored.

The epoch of an ownership is the stream sequence of its record. So each owner has a higher epoch than the owners before,
even if their records were deleted. The lease of a bridge ends before the server deletes its heartbeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from orastream.base import logger
from orastream.contract.bridge_record import BridgeRecord
from orastream.contract.errors import NodeUnavailable, PublishRefused, SequenceConflict
from orastream.contract.messages import Transport
from orastream.contract.names import BRIDGE_OF
from orastream.delivery.rules.lease import LeaseTerm
from orastream.delivery.runtime.outcomes import OwnershipRead
from orastream.jetstream.api import JetStream
from orastream.jetstream.topology import HEARTBEAT_LIFE_S

HEARTBEAT_EVERY_S = 0.75
KNOWN_ALIVE_S = 1.0
PAGE = 256
"""Records that are read at once."""
TRIES = 2
"""How often `take` writes the record. The second try is for a record that was deleted since it was read."""
_BRIDGE = re.compile(r"[A-Za-z0-9_-]{1,128}")

log = logger.named(__name__)


@dataclass(frozen=True, slots=True)
class Ownership:
    """A session that this bridge owns. `epoch` fences reports; `taken_over`: the owner before had not released it."""

    session: str
    epoch: int
    taken_over: bool
    lapse: int


@dataclass(frozen=True, slots=True)
class OwnedBy:
    """A session that another bridge owns, which lives."""

    bridge: str


def new_bridge_name(kind: str) -> str:
    """Return a name for a bridge process, which no other one has."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


class Lease:
    """The heartbeat of this bridge. `term` says when writes are allowed. Not thread-safe."""

    def __init__(
        self,
        js: JetStream,
        kind: str,
        bridge: str | None = None,
        record: Callable[[], BridgeRecord] = BridgeRecord,
    ) -> None:
        """`bridge` is the name of this process; None: a new one. `record` returns what each heartbeat says."""
        self._js = js
        self._record = record
        self.bridge = bridge or new_bridge_name(kind)
        self.term = LeaseTerm(HEARTBEAT_LIFE_S)

    async def beat(self) -> None:
        """Store one heartbeat. Raises NodeUnavailable, PublishRefused."""
        clock = asyncio.get_running_loop().time
        sent_at = clock()
        await self._js.store(self._js.names.heartbeat_key(self.bridge), self._record().encode(), patience_s=1.0)
        if self.term.renewed(sent_at, clock()):
            log.warning("the lease had run out; ownership is checked again", bridge=self.bridge)

    async def run(self) -> None:
        """Store a heartbeat every HEARTBEAT_EVERY_S seconds until cancelled. Logs errors and goes on."""
        warned = False
        while True:
            try:
                await self.beat()
                warned = False
            except (NodeUnavailable, PublishRefused) as exc:
                if not warned:  # log once until a heartbeat is stored again
                    log.warning("the heartbeat was not stored", error=str(exc))
                warned = True
            await asyncio.sleep(HEARTBEAT_EVERY_S)

    async def end(self) -> None:
        """Delete the heartbeat, so that other bridges can take the sessions at once. Raises NodeUnavailable."""
        self.term.end()
        record = await self._js.last(self._js.names.heartbeats_stream, self._js.names.heartbeat_key(self.bridge))
        if record is not None:
            await self._js.delete(self._js.names.heartbeats_stream, record.sequence)


class Owners:
    """Takes, checks and releases sessions for one bridge. Not thread-safe."""

    def __init__(self, js: JetStream, kind: str, lease: Lease) -> None:
        self._js = js
        self._kind = kind
        self._lease = lease
        self._alive_until: dict[str, float] = {}
        self._unreleased: set[int] = set()
        self._gone: dict[str, int] = {}
        """For bridges that are gone: the sequence of their last heartbeat. A later heartbeat counts again."""

    async def gone(self, bridge: str) -> None:
        """The process of `bridge` does not run any more: the heartbeat that is stored now counts no longer.

        Raises NodeUnavailable.
        """
        heartbeat = await self._js.last(self._js.names.heartbeats_stream, self._js.names.heartbeat_key(bridge))
        if heartbeat is not None:
            self._gone[bridge] = heartbeat.sequence
        self._alive_until.pop(bridge, None)

    async def sessions_of(self, bridge: str) -> AsyncIterator[str]:
        """Yield the sessions of this kind that `bridge` owns. Raises NodeUnavailable."""
        prefix = self._js.names.owner_key(self._kind, "")
        after = 0
        while page := await self._js.read(
            self._js.names.owners_stream, self._js.names.owner_key(self._kind, "*"), after, batch=PAGE
        ):
            after = page[-1].sequence
            for record in page:
                if owner_of(record.data) == bridge:
                    yield record.subject.removeprefix(prefix)

    async def take(self, session: str) -> Ownership | OwnedBy | None:
        """Take the session. Return None if other bridges take it first. Raises NodeUnavailable."""
        lapse = self._lease.term.lapses
        key = self._js.names.owner_key(self._kind, session)
        body = json.dumps({"owner": self._lease.bridge}).encode()
        taken_over = False
        for _ in range(TRIES):
            record = await self._js.last(self._js.names.owners_stream, key)
            if record is not None and (owner := owner_of(record.data)) is not None and await self.alive(owner):
                return OwnedBy(owner)
            taken_over = taken_over or record is not None
            with contextlib.suppress(SequenceConflict):  # another bridge took it, or `OwnerSweep` deleted a dead record
                ack = await self._js.store(key, body, expect_last=record.sequence if record else 0)
                return Ownership(session, ack.sequence, taken_over, lapse)
        return None

    async def owner(self, session: str) -> OwnedBy | None:
        """The living bridge that owns the session, but for this one; None if there is none. Raises NodeUnavailable."""
        owner = await self._living_owner(self._kind, session)
        return OwnedBy(owner) if owner is not None else None

    async def still_ours(self, ownership: Ownership) -> bool:
        """Whether the stored record is still the one that `take` wrote. Raises NodeUnavailable."""
        record = await self._js.last(
            self._js.names.owners_stream, self._js.names.owner_key(self._kind, ownership.session)
        )
        return record is not None and record.sequence == ownership.epoch

    async def check(self, ownership: Ownership, lapse: int) -> OwnershipRead:
        """Read the record after the lapse `lapse`. The outcome is for `WritePermission.answered`."""
        try:
            return OwnershipRead(lapse, await self.still_ours(ownership))
        except NodeUnavailable:
            return OwnershipRead(lapse, None)

    async def release(self, ownership: Ownership) -> None:
        """Release the session. Deletes only the record of this ownership, not that of a later owner.

        Raises NodeUnavailable; `release_late` tries again later.
        """
        self._unreleased.add(ownership.epoch)
        await self._js.delete(self._js.names.owners_stream, ownership.epoch)
        self._unreleased.discard(ownership.epoch)

    @property
    def unreleased(self) -> int:
        """Number of sessions for which `release` failed."""
        return len(self._unreleased)

    async def release_late(self) -> None:
        """Release the sessions for which `release` failed. Raises NodeUnavailable."""
        for epoch in list(self._unreleased):
            await self._js.delete(self._js.names.owners_stream, epoch)
            self._unreleased.discard(epoch)

    async def lives(self, transport: Transport, session: str) -> bool:
        """Whether a living bridge of that transport owns the session. Raises NodeUnavailable."""
        kind = BRIDGE_OF.get(transport)
        return kind is not None and await self._living_owner(kind, session) is not None

    async def _living_owner(self, kind: str, session: str) -> str | None:
        record = await self._js.last(self._js.names.owners_stream, self._js.names.owner_key(kind, session))
        owner = owner_of(record.data) if record is not None else None
        return owner if owner is not None and await self.alive(owner) else None

    async def alive(self, bridge: str) -> bool:
        """Whether `bridge` may still own sessions: its heartbeat is stored. Raises NodeUnavailable."""
        now = asyncio.get_running_loop().time()
        if bridge == self._lease.bridge:
            return False  # no task here runs this session: take it again
        if now < self._alive_until.get(bridge, 0.0):
            return True
        heartbeat = await self._js.last(self._js.names.heartbeats_stream, self._js.names.heartbeat_key(bridge))
        if heartbeat is not None and heartbeat.sequence == self._gone.get(bridge):
            return False
        self._gone.pop(bridge, None)
        if heartbeat is not None:
            self._alive_until[bridge] = now + KNOWN_ALIVE_S
        else:
            self._alive_until.pop(bridge, None)
        return heartbeat is not None


def owner_of(record: bytes) -> str | None:
    """The bridge that a record names, or None if the record is invalid: any publisher can have one stored."""
    try:
        owner = json.loads(record)["owner"]
        return owner if isinstance(owner, str) and _BRIDGE.fullmatch(owner) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
