"""How a process divides the time between the signal that ends it and its exit. Pure."""

from __future__ import annotations

from dataclasses import dataclass

HAND_BACK_S = 2.0
"""For the last checkpoints, releases and naks."""
LEAVE_S = 1.0
"""To end the tasks, the connections and the process."""
MIN_DRAIN_S = HAND_BACK_S + LEAVE_S + 1.0
"""The shortest drain: one second for running work."""


@dataclass(frozen=True, slots=True)
class Drain:
    """`seconds`: from the signal to the exit, MIN_DRAIN_S or more."""

    seconds: float

    @property
    def work_s(self) -> float:
        """How long after the signal running work may go on."""
        return self.seconds - HAND_BACK_S - LEAVE_S

    @property
    def calls_s(self) -> float:
        """How long after the signal a call to NATS may wait for its answer."""
        return self.seconds - LEAVE_S
