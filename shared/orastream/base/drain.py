"""How a process divides the time between the signal that ends it and its exit. Pure; all services use it."""

from __future__ import annotations

from dataclasses import dataclass

HAND_BACK_S = 1.0
"""For the last checkpoints, releases and naks, if NATS does not answer."""
END_TASKS_S = 1.0
"""To end the tasks, with the calls that have failed."""
LEAVE_S = 1.0
"""To close the connection to NATS and to end the process."""
MIN_DRAIN_S = HAND_BACK_S + END_TASKS_S + LEAVE_S + 1.0
"""The shortest drain: one second for running work."""


@dataclass(frozen=True, slots=True)
class Drain:
    """`seconds`: from the signal to the exit, MIN_DRAIN_S or more."""

    seconds: float

    @property
    def work_s(self) -> float:
        """How long after the signal running work may go on."""
        return self.calls_s - HAND_BACK_S

    @property
    def calls_s(self) -> float:
        """How long after the signal a call to NATS may wait for its answer."""
        return self.tasks_s - END_TASKS_S

    @property
    def tasks_s(self) -> float:
        """When after the signal all tasks that still run are cancelled."""
        return self.seconds - LEAVE_S
