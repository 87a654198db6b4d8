"""Resampling, frames, engine facts: without a process."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import PcmSpec
from services.synth.audio.resample import Resampler
from services.synth.engine_pool import frames
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines import base
from services.synth.speech.speak import SpokenUtterance, output_spec

pytestmark = pytest.mark.unit

TONE = b"".join(int(9000 * (i % 50 - 25) / 25).to_bytes(2, "little", signed=True) for i in range(22_050))


def resampled(dst_hz: int, sizes: list[int]) -> bytes:
    resampler, out, position = Resampler(22_050, dst_hz), [], 0
    for size in sizes:
        out.append(resampler.push(TONE[position : position + size]))
        position += size
    return b"".join([*out, resampler.push(TONE[position:]), resampler.flush()])


@pytest.mark.parametrize("dst_hz", [8_000, 16_000, 24_000, 48_000])
def test_resampler_keeps_the_duration(dst_hz: int) -> None:
    assert abs(len(resampled(dst_hz, [])) // 2 - dst_hz) <= 1


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5_000), max_size=30))
def test_resampler_output_does_not_depend_on_the_split_of_the_input(sizes: list[int]) -> None:
    assert resampled(16_000, sizes) == resampled(16_000, [])


def test_resampler_returns_the_input_for_equal_rates() -> None:
    assert resampled(22_050, [3, 5]) == TONE


def test_resampler_clips_loud_samples() -> None:
    square = b"\xff\x7f" * 40 + b"\x00\x80" * 40
    resampler = Resampler(16_000, 48_000)
    samples = memoryview(resampler.push(square * 20) + resampler.flush()).cast("h")
    assert max(samples) == 32_767
    assert min(samples) == -32_768
    assert all(abs(a - b) < 40_000 for a, b in zip(samples, samples[1:], strict=False))


def test_resampler_raises_for_half_a_sample_at_the_end() -> None:
    resampler = Resampler(16_000, 8_000)
    resampler.push(b"\0\0\0")
    with pytest.raises(ValueError, match="inside a sample"):
        resampler.flush()


def test_frames_are_the_same_after_packing_and_reading() -> None:
    data = frames.pack("pcm", id=3, pcm=b"\0\1") + frames.pack("done", id=3, bytes=2)
    source = io.BytesIO(data)
    assert frames.read(source) == {"type": "pcm", "id": 3, "pcm": b"\0\1"}
    assert frames.read(source) == {"type": "done", "id": 3, "bytes": 2}
    assert frames.read(source) is None
    assert frames.read(io.BytesIO(data[:7])) is None, "an end inside a frame was not taken as the end"


@pytest.mark.parametrize("data", [b"Loading model...\n", b"\0\0\0\1\xc1", b"\0\0\0\1\x05"])
def test_read_refuses_data_that_is_no_frame(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame|msgpack"):
        frames.read(io.BytesIO(data))


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 64))
def test_splitter_returns_the_frames_for_any_split_of_the_bytes(pieces: list[bytes], cut: int) -> None:
    data = b"".join(frames.pack("pcm", id=number, pcm=pcm) for number, pcm in enumerate(pieces))
    splitter = frames.FrameSplitter()
    found = [frame for at in range(0, len(data), cut) for frame in splitter.feed(data[at : at + cut])]
    assert [frame["pcm"] for frame in found] == pieces
    with pytest.raises(ValueError, match="a frame of"):
        splitter.feed(b"Loading model...\n")


def test_error_names_the_installed_engines_when_an_engine_is_unknown() -> None:
    with pytest.raises(base.UnknownEngine, match="'parrot' is not installed; there is: .*espeak"):
        base.create("parrot")


def test_output_spec_returns_the_rate_of_voice_request_and_format() -> None:
    voices = {"a": base.Voice("a", "ko-KR", 16_000)}
    info = EngineInfo("x", "1", True, 1, True, 22_050, voices)
    utterance = SpokenUtterance("a", "ko-KR", 1.0, "wav")
    assert output_spec(info, utterance) == PcmSpec(16_000)
    assert info.sample_rate_hz("a+variant") == info.sample_rate_hz(None) == 22_050
    assert output_spec(info, SpokenUtterance("a", "ko-KR", 1.0, "wav", 8_000)) == PcmSpec(8_000)
    assert output_spec(info, SpokenUtterance("a", "ko-KR", 1.0, "mulaw")) == PcmSpec(8_000)
    assert output_spec(info, SpokenUtterance(None, "ko-KR", 1.0, "opus")) == PcmSpec(24_000)
