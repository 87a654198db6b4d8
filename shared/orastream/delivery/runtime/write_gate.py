"""Whether this owner may write now. `rules/lease.py` decides; this file reads the owner's record after a lapse."""

from __future__ import annotations

from orastream.contract.errors import NodeUnavailable
from orastream.delivery.rules.lease import WritePermission
from orastream.delivery.runtime.host import Host
from orastream.delivery.runtime.ownership import Lease, Owners, Ownership


class WriteGate:
    """The write permission of one session. Calls `host.leave` if another owner has taken the session."""

    def __init__(self, lease: Lease, owners: Owners, ownership: Ownership, host: Host) -> None:
        self._host = host
        self._owners = owners
        self._ownership = ownership
        self._permission = WritePermission(lease.term, ownership.lapse)

    def open(self, now: float) -> bool:
        """Whether writes are allowed at `now` (monotonic seconds). After a lapse, starts to read the owner's record."""
        if (lapse := self._permission.must_ask()) is not None:
            self._host.spawn(self._ask(lapse))
        return self._permission.granted(now)

    async def _ask(self, lapse: int) -> None:
        ours: bool | None = None
        try:
            ours = await self._owners.still_ours(self._ownership)
        except NodeUnavailable:
            pass  # the next round asks again
        self._permission.answered(lapse, ours=ours)
        if ours is False:
            self._host.leave("another owner has taken the session while the lease had run out")
        self._host.wake()
