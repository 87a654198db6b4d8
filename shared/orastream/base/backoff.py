"""Waiting times between tries: doubling, bounded, with jitter. Pure but for the random source."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

_RNG = random.Random()  # one for all: seeding one for each wait costs more than the rest of it


@dataclass(slots=True)
class Backoff:
    """`next_s()` gives first_s, 2·first_s, 4·first_s … at most max_s, each spread by ±jitter of itself."""

    first_s: float
    max_s: float
    jitter: float = 0.2
    rng: random.Random = field(default=_RNG, repr=False)
    tries: int = 0

    def next_s(self) -> float:
        """The wait before the next try, in seconds."""
        base = min(self.max_s, self.first_s * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return base * (1 + self.jitter * (2 * self.rng.random() - 1))

    def reset(self) -> None:
        """Begin anew after a success."""
        self.tries = 0
