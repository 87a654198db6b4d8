"""A streaming time stretch for mono PCM16 that keeps the pitch. For engines whose model has no speed parameter.

It uses FFmpeg's filter `atempo` (WSOLA). av is imported at first use.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

_BYTES = 2
_BLOCK_BYTES = 480 * _BYTES


class Stretcher:
    """Makes mono PCM16 little-endian faster or slower by `speed`, 0.5…2.0; 1.0 passes through. Not thread-safe.

    The output depends on the input only, not on how the calls split it: the filter gets blocks of a fixed size. It is
    up to 0.2 s behind the input until `flush`. Raises ValueError for another speed.
    """

    def __init__(self, rate_hz: int, speed: float) -> None:
        if not 0.5 <= speed <= 2.0:
            raise ValueError(f"speed is {speed:g}; it must be from 0.5 to 2.0")
        self._rate_hz = rate_hz
        self._pending = b""
        self._pushed = 0
        self._graph: Any = None
        if speed != 1.0:
            self._graph, self._source, self._sink = _graph(rate_hz, speed)

    def push(self, pcm: bytes) -> bytes:
        """Returns the output that these samples complete; possibly none."""
        if self._graph is None:
            return pcm
        self._pending += pcm
        whole = len(self._pending) - len(self._pending) % _BLOCK_BYTES
        ready, self._pending = self._pending[:whole], self._pending[whole:]
        return b"".join(self._run(ready[at : at + _BLOCK_BYTES]) for at in range(0, whole, _BLOCK_BYTES))

    def flush(self) -> bytes:
        """Returns the rest; the stretcher cannot be used afterwards. Raises ValueError inside a sample."""
        if self._graph is None:
            return b""
        if len(self._pending) % _BYTES:
            raise ValueError("the audio ends inside a sample")
        rest = self._run(self._pending) if self._pending else b""
        if not self._pushed:
            return b""
        self._source.push(None)
        return rest + self._pulled()

    def _run(self, block: bytes) -> bytes:
        import av
        import numpy as np

        frame = av.AudioFrame.from_ndarray(
            np.frombuffer(block, dtype="<i2").reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = self._rate_hz
        frame.pts = self._pushed
        self._pushed += frame.samples
        self._source.push(frame)
        return self._pulled()

    def _pulled(self) -> bytes:
        """Returns the output that the filter has ready."""
        import av

        out = b""
        while True:
            try:
                frame = self._sink.pull()
            except (av.BlockingIOError, av.EOFError):
                return out
            out += frame.to_ndarray().astype("<i2").tobytes()


def _graph(rate_hz: int, speed: float) -> tuple[Any, Any, Any]:
    """Returns a filter graph, its source and its sink."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate_hz, format="s16", layout="mono", time_base=Fraction(1, rate_hz))
    tempo, sink = graph.add("atempo", f"{speed:.6f}"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    return graph, source, sink
