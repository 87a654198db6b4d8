"""In which pieces the frames of a sentence become sound. Pure.

The decoder is convolutional: a sample depends on the frames around it, and on none further away. So a piece decoded
with that many frames of context on each side, which are then cut off, is what it would be within the whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONTEXT = 16
"""Frames on each side of a piece, in models of the usual shape (whose decoders reach 14 frames far)."""

FIRST = 14
"""Frames of the first piece, a fifth of a second in MMS models: heard soon, at a quarter of the cost of the whole."""

MOST = 80
"""Frames of a later piece: how long a stop or another sentence waits at most, against the cost of the context."""


@dataclass(frozen=True, slots=True)
class DecoderPiece:
    """Frames `begin` to `end` of a sentence are decoded; of that, `first` to `last` (frames, too) is kept."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def frames(self) -> int:
        """How many are decoded."""
        return self.end - self.begin


def pieces_of(frames: int, context: int = CONTEXT) -> list[DecoderPiece]:
    """The pieces of a sentence of that many frames, in order; each is half again as long as the one before, to MOST.

    The same number gives the same pieces: on them depends how the last bits of the samples are rounded.
    """
    pieces, first, size = [], 0, FIRST
    while first < frames:
        last = min(first + size, frames)
        if frames - last < FIRST // 2:  # a crumb would cost as much as a piece
            last = frames
        pieces.append(DecoderPiece(max(first - context, 0), min(last + context, frames), first, last))
        first, size = last, min(size + size // 2, MOST)
    return pieces


def context_of(
    rates: Sequence[int], kernels: Sequence[int], block_kernels: Sequence[int], dilations: Sequence[Sequence[int]]
) -> int:
    """Frames that a HiFi-GAN decoder of this shape reaches to each side; CONTEXT where it reaches less far.

    By its configuration in transformers: `upsample_rates`, `upsample_kernel_sizes`, `resblock_kernel_sizes`,
    `resblock_dilation_sizes`. Its first and last convolutions have seven taps.
    """
    reach, samples = 3.0, 1
    for rate, kernel in zip(rates, kernels, strict=True):
        reach += math.ceil(kernel / rate / 2) / samples
        samples *= rate
        # Each block has, for each dilation, a dilated convolution and a plain one; the blocks stand side by side.
        reach += (
            max(
                sum((taps - 1) // 2 * (dilation + 1) for dilation in dilated)
                for taps, dilated in zip(block_kernels, dilations, strict=True)
            )
            / samples
        )
    return max(math.ceil(reach + 3 / samples), CONTEXT)
