"""When lost bytes of a stream may be sent again. Pure; monotonic seconds.

What is lost for the first time is sent again at once. An OraServer that reads it and stores nothing or nearly nothing,
for example because its disk is full, would otherwise get the same bytes with each `ack`, as fast as the connection
carries them.
"""

from __future__ import annotations

FIRST_WAIT_S = 0.1
"""How long to wait after bytes that were sent again have brought too little; twice as long after each further time."""
MAX_WAIT_S = 2.0
SHARE = 8
"""For each byte that OraServer stores, so many bytes may be sent again without waiting."""


class ResendPace:
    """The pace of one stream. `not_before`: when lost bytes may be sent again."""

    __slots__ = ("_frame", "_in_vain", "_wait_s", "not_before")

    def __init__(self) -> None:
        self.not_before = 0.0
        self._frame: int | None = None
        """The first frame with bytes that were sent again and that no `ack` has answered; None: there is none."""
        self._in_vain = 0
        """Bytes that were sent again, less those that OraServer has stored times SHARE."""
        self._wait_s = FIRST_WAIT_S

    def sent(self, frame: int, size: int) -> None:
        """So many lost bytes are sent again in this frame."""
        self._in_vain += size
        if self._frame is None:
            self._frame = frame

    def acked(self, seen: int, now: float, *, new: int, lost: bool) -> None:
        """OraServer has read the frames up to `seen`. `new`: bytes more that it has stored. `lost`: some are lost."""
        if new:
            self._in_vain = max(self._in_vain - SHARE * new, 0)
            if not self._in_vain:
                self.not_before, self._frame, self._wait_s = 0.0, None, FIRST_WAIT_S
                return
        if lost and self._frame is not None and seen >= self._frame:
            self.not_before, self._frame = now + self._wait_s, None
            self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)
