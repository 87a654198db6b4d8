"""What is kept of a session of protocol v2: fence, cancels and streams. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.oraserver.v2.stream import ReceivingStream, StreamPhase
from services.oraserver.v2.utterance import StreamedUtterance

StreamFence = tuple[int, int]
"""`epoch` and `try`."""


@dataclass(slots=True)
class StreamSession:
    """One session of a node."""

    fence: StreamFence | None = None
    """The highest that was seen; a cancel counts as try 0."""
    before: int = 0
    """All utterances below are cancelled."""
    cancelled: set[int] = field(default_factory=set)
    """Sequences that were cancelled one by one."""
    utterances: dict[int, StreamedUtterance] = field(default_factory=dict)
    """By sequence."""
    streams: list[ReceivingStream] = field(default_factory=list)
    """Those that are open now, on any connection. In memory alone."""

    def admits(self, fence: StreamFence) -> bool:
        """Whether an `open` with this fence is accepted."""
        return self.fence is None or fence > self.fence

    def admits_cancel(self, epoch: int) -> bool:
        """Whether a `cancel` of this epoch is accepted."""
        return self.fence is None or epoch >= self.fence[0]

    def covers(self, seq: int) -> bool:
        """Whether a cancel covers this sequence."""
        return seq < self.before or seq in self.cancelled

    @property
    def highest(self) -> int:
        """The highest sequence that was opened; 0 without one."""
        return max(self.utterances, default=0)

    def supersede(self) -> None:
        """End all open streams, because a later one was opened."""
        for stream in self.streams:
            stream.phase = StreamPhase.SUPERSEDED
        self.streams.clear()

    def end_cancelled(self) -> list[ReceivingStream]:
        """End the open streams that a cancel covers, and return them."""
        ended = [stream for stream in self.streams if self.covers(stream.utterance.seq)]
        for stream in ended:
            stream.phase = StreamPhase.CANCELLED
            self.streams.remove(stream)
        return ended
