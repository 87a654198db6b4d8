"""Whether this owner may write now: its lease holds, and it has not run out since the ownership was last looked at."""

from __future__ import annotations

from orastream.contract.errors import NodeUnavailable
from orastream.delivery.runtime.host import Host
from orastream.delivery.runtime.ownership import Lease, Owners, Ownership


class WriteGate:
    """The lease of one session. It has the host leave the session when another owner has it."""

    def __init__(self, lease: Lease, owners: Owners, ownership: Ownership, host: Host) -> None:
        self._host = host
        self._lease = lease
        self._owners = owners
        self._ownership = ownership
        self._lapse = ownership.lapse
        self._rechecking = False

    def open(self, now: float) -> bool:
        """Whether writes are allowed at monotonic time `now`; after a lapse the ownership is looked at first."""
        if self._lease.lapses != self._lapse and not self._rechecking:
            self._rechecking = True
            self._host.spawn(self._recheck(self._lease.lapses))
        return self._lease.lapses == self._lapse and self._lease.valid(now)

    async def _recheck(self, lapses: int) -> None:
        try:
            if await self._owners.still_ours(self._ownership):
                self._lapse = lapses
            else:
                self._host.leave("another owner has taken the session while the lease had run out")
        except NodeUnavailable:
            pass  # asked again when the gate is
        self._rechecking = False
        self._host.wake()
