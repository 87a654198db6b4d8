"""How busy the synths are, as they say on `tts.load`, and how long a new request would wait. Pure.

Seconds of work are seconds in which a slot is busy. The caller passes times of one clock, in seconds.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orastream.contract import codec
from orastream.contract.errors import Undecodable

EVERY_S = 0.5
"""A synth publishes its load at least this often, and soon after each change."""
LIFE_S = 2.0
"""A synth of which nothing was heard for this long does not count any more."""
UNSEEN_S = 0.1
"""A load may miss requests that were stored less than this before it came."""
LEAST_WAIT_S = 0.001
"""The estimate when no slot is free and nothing is known about the work."""
MAX_SYNTHS, MAX_SLOTS, MAX_WORK_S = 1024, 4096, 1e6
_MAX_OWN = 4096


class _Load(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    synth: str = Field(min_length=1, max_length=256)
    slots: int = Field(ge=0, le=MAX_SLOTS)
    free: int = Field(ge=0, le=MAX_SLOTS)
    work_s: float = Field(alias="workSeconds", ge=0, le=MAX_WORK_S)
    mean_work_s: float = Field(alias="meanWorkSeconds", ge=0, le=MAX_WORK_S)


@dataclass(frozen=True, slots=True)
class SynthLoad:
    """What one synth has to do."""

    synth: str
    """The name of the process, unique in the node."""
    slots: int
    """Number of requests that it speaks at the same time; 0: it ends, or none of its engine processes can speak."""
    free: int
    """Number of free slots."""
    work_s: float
    """Estimated seconds of work until the slots of all requests that it has queued or speaks are free."""
    mean_work_s: float
    """Mean seconds of work for a request; 0: not known yet."""

    def encode(self) -> bytes:
        """Encode the message, as JSON."""
        fields = {
            "synth": self.synth,
            "slots": self.slots,
            "free": self.free,
            "workSeconds": round(self.work_s, 3),
            "meanWorkSeconds": round(self.mean_work_s, 3),
        }
        return codec.encode(fields, "json")

    @classmethod
    def decode(cls, payload: bytes) -> SynthLoad:
        """Decode a message. Raises Undecodable."""
        try:
            load = _Load.model_validate(codec.decode(payload))
        except ValidationError:
            raise Undecodable("is not the load of a synth") from None
        return cls(load.synth, load.slots, load.free, load.work_s, load.mean_work_s)


class NodeLoad:
    """The latest load of each synth, and the requests that were stored since. Not thread-safe."""

    def __init__(self) -> None:
        self._loads: dict[str, tuple[float, SynthLoad]] = {}
        self._stored_at: deque[float] = deque(maxlen=_MAX_OWN)

    def receive(self, load: SynthLoad, now: float) -> None:
        """Record a load. One without slots removes the synth."""
        self._loads.pop(load.synth, None)
        if load.slots and len(self._loads) < MAX_SYNTHS:
            self._loads[load.synth] = (now, load)
        while self._loads and next(iter(self._loads.values()))[0] < now - LIFE_S:
            del self._loads[next(iter(self._loads))]

    def stored(self, now: float) -> None:
        """Record that this process has stored a request."""
        self._stored_at.append(now)

    def not_stored(self, at: float) -> None:
        """The request that was recorded at that time was not stored."""
        with contextlib.suppress(ValueError):
            self._stored_at.remove(at)

    def known(self, now: float, *, without: str = "") -> list[SynthLoad]:
        """Returns the loads that count, without that of the synth `without`."""
        return [load for at, load in self._loads.values() if at >= now - LIFE_S and load.synth != without]

    def wait_s(self, now: float) -> float | None:
        """Returns the estimated seconds until a slot is free for a request stored now. None: no synth is known.

        0 if a slot is free now, else LEAST_WAIT_S or more.
        """
        loads = self.known(now)
        if not loads:
            return None
        newest = max(at for at, _ in self._loads.values())
        while self._stored_at and self._stored_at[0] < newest - UNSEEN_S:
            self._stored_at.popleft()
        own = len(self._stored_at)
        if own < sum(load.free for load in loads):
            return 0.0
        mean_s = sum(load.mean_work_s for load in loads) / len(loads)
        work_s = sum(load.work_s for load in loads) + own * mean_s
        return max(work_s / sum(load.slots for load in loads), LEAST_WAIT_S)
