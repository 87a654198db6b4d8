"""A streaming resampler for mono PCM16. The only file that imports soxr.

soxr and numpy are imported at first use: most utterances keep the engine's rate.
"""

from __future__ import annotations

from typing import Any

_BYTES = 2


def load() -> None:
    """Imports soxr and numpy. The first call blocks for about 0.2 s: not on an event loop."""
    import numpy
    import soxr

    del numpy, soxr


class Resampler:
    """Converts mono PCM16 little-endian from `src_hz` to `dst_hz`; equal rates pass through. Not thread-safe.

    The output depends on the input only, not on how the calls split it, and not on the process. soxr runs on float32
    for that: its int16 output is dithered with a random seed. The output is about 50 ms behind the input until `flush`;
    then both have the same duration, to a sample.
    """

    def __init__(self, src_hz: int, dst_hz: int) -> None:
        self.passthrough = src_hz == dst_hz
        self._stream: Any = None
        self._half = b""  # first byte of a sample whose second byte has not come yet
        if not self.passthrough:
            import soxr

            self._stream = soxr.ResampleStream(src_hz, dst_hz, 1, dtype="float32", quality="HQ")

    def push(self, pcm: bytes) -> bytes:
        """Returns the output that these samples complete; possibly none."""
        if self.passthrough:
            return pcm
        pcm = self._half + pcm
        whole = len(pcm) - len(pcm) % _BYTES
        self._half = pcm[whole:]
        return self._run(pcm[:whole], last=False) if whole else b""

    def flush(self) -> bytes:
        """Returns the rest; the resampler cannot be used afterwards. Raises ValueError inside a sample."""
        if self._half:
            raise ValueError("the audio ends inside a sample")
        return b"" if self.passthrough else self._run(b"", last=True)

    def _run(self, pcm: bytes, *, last: bool) -> bytes:
        import numpy as np

        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
        output = self._stream.resample_chunk(samples, last=last)
        clipped = np.rint(output).clip(-32768, 32767).astype("<i2")
        data: bytes = clipped.tobytes()
        return data
