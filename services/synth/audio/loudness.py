"""Measures the loudness of speech: FFmpeg's filter `ebur128` (package av)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

_INTEGRATED = "lavfi.r128.I"
_TRUE_PEAK = "lavfi.r128.true_peak"
_ABSOLUTE_GATE_LUFS = -70.0


class Loudness(NamedTuple):
    """The loudness of a recording."""

    lufs: float
    """Integrated loudness (ITU-R BS.1770, EBU R 128), in LUFS: parts without speech do not count."""
    peak_dbfs: float
    """True peak (ITU-R BS.1770 annex 2), in dB relative to full scale. It can be above 0 dB."""


def load() -> None:
    """Imports av and numpy. The first call blocks for about 0.3 s: not on an event loop."""
    import av.filter
    import numpy

    del av, numpy


def loudness_of(pcm: bytes, rate_hz: int) -> Loudness | None:
    """Returns the loudness of mono PCM16 little-endian; None if it is silent, shorter than 0.4 s (one block), or
    of a rate that FFmpeg refuses.

    Takes about 3 ms for a second of audio. Thread-safe.
    """
    import av
    import numpy as np

    samples = np.frombuffer(pcm[: len(pcm) - len(pcm) % 2], dtype="<i2")
    if not len(samples):
        return None
    try:
        graph, source, sink = _graph(rate_hz)  # source and sink are invalid without the graph
    except av.FFmpegError:
        return None
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    frame.pts = 0
    source.push(frame)
    source.push(None)
    found: dict[str, str] = {}
    while True:
        try:
            found = dict(sink.pull().metadata) or found  # the last frame may be too short to have values
        except (av.BlockingIOError, av.EOFError):
            break
    del graph
    lufs, peak = float(found.get(_INTEGRATED, "nan")), float(found.get(_TRUE_PEAK, "0"))
    if not lufs > _ABSOLUTE_GATE_LUFS or not peak > 0:
        return None
    return Loudness(lufs, 20 * math.log10(peak))


def _graph(rate_hz: int) -> tuple[Any, Any, Any]:
    """Returns a filter graph that measures, its source and its sink."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate_hz, format="s16", layout="mono", time_base=Fraction(1, rate_hz))
    meter, sink = graph.add("ebur128", "metadata=1:peak=true"), graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    return graph, source, sink
