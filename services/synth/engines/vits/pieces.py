"""The pieces in which the frames of a sentence are decoded. Pure.

The decoder is convolutional: a sample depends only on a limited number of frames around it. So a piece that is decoded
with that many frames of context on each side, which are then cut off, is the same as in the whole sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONTEXT = 16
"""Frames of context on each side of a piece, for models of the usual shape (whose decoders reach 14 frames)."""

FIRST = 14
"""Frames of the first piece, 0.2 s in MMS models: small, so that audio starts early."""

MOST = 80
"""Maximum frames of a piece. More would delay a stop and other sentences; fewer would spend more on context."""


@dataclass(frozen=True, slots=True)
class DecoderPiece:
    """Frames `begin` to `end` of a sentence are decoded; the audio of frames `first` to `last` is used."""

    begin: int
    end: int
    first: int
    last: int

    @property
    def frames(self) -> int:
        """Number of decoded frames."""
        return self.end - self.begin


def pieces_of(frames: int, context: int = CONTEXT) -> list[DecoderPiece]:
    """Returns the pieces of a sentence of that many frames, in order; each is 1.5 times the one before, up to MOST.

    The same number gives the same pieces, because the rounding of the samples depends on them.
    """
    pieces, first, size = [], 0, FIRST
    while first < frames:
        last = min(first + size, frames)
        if frames - last < FIRST // 2:  # a very short rest costs as much as a piece
            last = frames
        pieces.append(DecoderPiece(max(first - context, 0), min(last + context, frames), first, last))
        first, size = last, min(size + size // 2, MOST)
    return pieces


def context_of(
    rates: Sequence[int], kernels: Sequence[int], block_kernels: Sequence[int], dilations: Sequence[Sequence[int]]
) -> int:
    """Returns the frames that a HiFi-GAN decoder of this shape reaches to each side, at least CONTEXT.

    The arguments are from its configuration in transformers: `upsample_rates`, `upsample_kernel_sizes`,
    `resblock_kernel_sizes`, `resblock_dilation_sizes`. Its first and last convolutions have seven taps.
    """
    reach, samples = 3.0, 1
    for rate, kernel in zip(rates, kernels, strict=True):
        reach += math.ceil(kernel / rate / 2) / samples
        samples *= rate
        # Each block has, for each dilation, a dilated convolution and a plain one; the blocks run in parallel.
        reach += (
            max(
                sum((taps - 1) // 2 * (dilation + 1) for dilation in dilated)
                for taps, dilated in zip(block_kernels, dilations, strict=True)
            )
            / samples
        )
    return max(math.ceil(reach + 3 / samples), CONTEXT)
