"""Waiting times between tries: doubled each time, bounded, with jitter. Pure except for the random source."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

_RNG = random.Random()  # shared: seeding a generator for each Backoff would cost more than the rest of its work
os.register_at_fork(after_in_child=_RNG.seed)  # else forked processes would try again at the same times


@dataclass(slots=True)
class Backoff:
    """`next_s()` returns first_s, 2·first_s, 4·first_s … up to max_s seconds, each changed by up to ±jitter of it."""

    first_s: float
    max_s: float
    jitter: float = 0.2
    rng: random.Random = field(default=_RNG, repr=False)
    tries: int = 0

    def next_s(self) -> float:
        """Return the wait before the next try, in seconds, and count the try."""
        base = min(self.max_s, self.first_s * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return base * (1 + self.jitter * (2 * self.rng.random() - 1))

    def reset(self) -> None:
        """Start again from `first_s`, after a success."""
        self.tries = 0
