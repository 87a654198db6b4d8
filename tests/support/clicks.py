"""Finds what a listener hears as a click at a join: a step, or samples that are missing, repeated or silent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]
_NEAR_S = 0.001
_LOUD = 1_000


def samples_of(pcm: bytes) -> Samples:
    """Returns the samples of PCM16 little-endian."""
    return np.frombuffer(pcm, dtype="<i2")


def steps(samples: Samples) -> npt.NDArray[np.int64]:
    """Returns the size of each step from one sample to the next."""
    return np.abs(np.diff(samples.astype(np.int64)))


def largest_step(samples: Samples, joins: Iterable[int]) -> int:
    """Returns the largest step inside the speech: not at a join."""
    inside = steps(samples)
    places = [join - 1 for join in joins if 0 < join < len(samples)]
    inside[places] = 0
    return int(inside.max())


def clicks(samples: Samples, joins: Sequence[int], most: int, rate_hz: int) -> list[str]:
    """Returns what is wrong at each join, the index of its first sample: a step above `most`, or a hole in speech.

    A hole is a run of zeros of 1 to 10 ms that begins and ends at a loud sample, within 1 ms of a join. Longer ones are
    in eSpeak's own speech, as stops.
    """
    found = []
    near = int(_NEAR_S * rate_hz)
    for join in joins:
        if not 0 < join < len(samples):
            continue
        step = abs(int(samples[join]) - int(samples[join - 1]))
        if step > most:
            found.append(f"a step of {step} at sample {join}, and at most {most} inside the speech")
        for begin, end in _silences(samples, max(join - near, 0), min(join + near, len(samples))):
            edges = (int(samples[at]) if 0 <= at < len(samples) else 0 for at in (begin - 1, end))
            if near <= end - begin <= 10 * near and all(abs(sample) >= _LOUD for sample in edges):
                found.append(f"a hole of {end - begin} samples at sample {begin}")
    return found


def _silences(samples: Samples, first: int, last: int) -> set[tuple[int, int]]:
    """Returns the runs of zeros, each to both of its ends, that touch this range."""
    runs = set()
    for at in np.flatnonzero(samples[first:last] == 0) + first:
        begin, end = int(at), int(at) + 1
        while begin and not samples[begin - 1]:
            begin -= 1
        while end < len(samples) and not samples[end]:
            end += 1
        runs.add((begin, end))
    return runs
