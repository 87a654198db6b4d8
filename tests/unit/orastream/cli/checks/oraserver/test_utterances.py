"""The speech of the checks: its parts differ, and the coded files are what their extensions say."""

from __future__ import annotations

import io

import av
import pytest

from orastream.cli.checks.oraserver.utterances import CODED_RATE_HZ, LOOP_S, RATE_HZ, cut, tone, utterance_in
from orastream.contract.audio import Format

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("seconds", [0.1, LOOP_S, 2 * LOOP_S + 0.5])
def test_a_tone_is_as_long_as_asked(seconds: float) -> None:
    assert len(tone(seconds)) == 2 * int(seconds * RATE_HZ)


def test_the_parts_of_a_tone_differ() -> None:
    """A chunk that is stored twice, or in the place of another, changes the file."""
    parts = cut(tone(LOOP_S), 4_096)
    assert len(set(parts)) == len(parts)


@pytest.mark.parametrize(("fmt", "codec"), [("opus", "opus"), ("flac", "flac"), ("mp3", "mp3"), ("aac", "aac")])
def test_a_coded_file_is_half_a_second_of_its_format(fmt: Format, codec: str) -> None:
    file = b"".join(utterance_in(fmt, "s", "p", "r", 1_024).parts)
    with av.open(io.BytesIO(file)) as container:
        stream = container.streams.audio[0]
        assert codec in stream.codec_context.name
        samples = sum(frame.samples / frame.sample_rate for frame in container.decode(stream))
        assert stream.codec_context.sample_rate in (CODED_RATE_HZ, 48_000)  # Opus is decoded at 48 kHz
    assert samples == pytest.approx(0.5, abs=0.11)
