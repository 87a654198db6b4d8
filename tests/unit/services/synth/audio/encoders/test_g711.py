"""G.711 of all 65 536 samples, against the reference code of ITU-T G.191 and against FFmpeg."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
import pytest

from services.synth.audio.encoder import encoder_of

pytestmark = pytest.mark.unit

SAMPLES = np.arange(65_536, dtype=np.uint16).view(np.int16)


def alaw_of_itu(sample: int) -> int:
    """`alaw_compress` of ITU-T G.191, for one sample of 16 bits."""
    value = (~sample if sample < 0 else sample) >> 4
    if value > 15:
        exponent = 1
        while value > 16 + 15:
            value >>= 1
            exponent += 1
        value = value - 16 + (exponent << 4)
    return (value | (0x80 if sample >= 0 else 0)) ^ 0x55


def made(fmt: Any) -> Any:
    return np.frombuffer(encoder_of(fmt, 8_000).push(SAMPLES.astype("<i2").tobytes()), np.uint8)


def of_ffmpeg(codec: str) -> Any:
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = 8_000, "mono", "s16"  # type: ignore[attr-defined]
    packets = []
    for at in range(0, len(SAMPLES), 1_024):
        frame = av.AudioFrame.from_ndarray(SAMPLES[at : at + 1_024].reshape(1, -1).copy(), format="s16", layout="mono")
        frame.sample_rate = 8_000
        packets += context.encode(frame)  # type: ignore[attr-defined]
    return np.frombuffer(b"".join(bytes(packet) for packet in [*packets, *context.encode(None)]), np.uint8)  # type: ignore[attr-defined]


def decoded_by_ffmpeg(codec: str, data: bytes) -> Any:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8_000, "mono"  # type: ignore[attr-defined]
    frames = context.decode(av.Packet(data))  # type: ignore[attr-defined]
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(int)


def test_alaw_is_that_of_the_reference_code() -> None:
    assert [alaw_of_itu(int(sample)) for sample in SAMPLES] == made("alaw").tolist()


@pytest.mark.parametrize("fmt", ["alaw", "mulaw"])
def test_a_decoder_gives_every_byte_back(fmt: Any) -> None:
    """FFmpeg's decoder is exact: what it makes of each of the 256 bytes is encoded as that byte, or as another zero."""
    values = decoded_by_ffmpeg(f"pcm_{fmt}", bytes(range(256)))
    again = made(fmt)[values.astype(np.int16).view(np.uint16)]
    assert values[again].tolist() == values.tolist()


@pytest.mark.parametrize("fmt", ["alaw", "mulaw"])
def test_every_sample_is_that_of_ffmpeg_or_the_neighbouring_step_at_the_border(fmt: Any) -> None:
    """FFmpeg's encoder puts the borders in the middle between two decoded values, G.711 at its decision values.

    They differ where a segment begins, by a quarter of the smaller step.
    """
    ours, theirs = made(fmt), of_ffmpeg(f"pcm_{fmt}")
    assert len(theirs) == len(SAMPLES)
    values = decoded_by_ffmpeg(f"pcm_{fmt}", bytes(range(256)))
    steps = {value: number for number, value in enumerate(sorted(set(values.tolist())))}
    differ = np.nonzero(ours != theirs)[0]
    assert len(differ) < 1_000
    for at in differ:
        sample, our, their = int(SAMPLES[at]), int(values[ours[at]]), int(values[theirs[at]])
        assert abs(steps[our] - steps[their]) <= 1
        assert abs(abs(sample - our) - abs(sample - their)) <= max(abs(our - their) // 2 + 4, 8)
