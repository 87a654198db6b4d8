"""Resampling, what is written out for espeak, frames, engine facts: without a process."""

import asyncio
import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.audio import PcmSpec
from services.synth import frames
from services.synth.engine_client import EngineInfo
from services.synth.engines import base
from services.synth.engines.espeak import written_out
from services.synth.resample import Resampler
from services.synth.speech import Utterance, audio_seconds, output_spec

pytestmark = pytest.mark.unit

TONE = b"".join(int(9000 * (i % 50 - 25) / 25).to_bytes(2, "little", signed=True) for i in range(22_050))


def resampled(dst_hz: int, sizes: list[int]) -> bytes:
    resampler, out, position = Resampler(22_050, dst_hz), [], 0
    for size in sizes:
        out.append(resampler.push(TONE[position : position + size]))
        position += size
    return b"".join([*out, resampler.push(TONE[position:]), resampler.flush()])


@pytest.mark.parametrize("dst_hz", [8_000, 16_000, 24_000, 48_000])
def test_resampling_keeps_the_duration(dst_hz: int) -> None:
    assert abs(len(resampled(dst_hz, [])) // 2 - dst_hz) <= 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 5_000), max_size=30))
def test_resampling_does_not_depend_on_the_split(sizes: list[int]) -> None:
    assert resampled(16_000, sizes) == resampled(16_000, [])


def test_equal_rates_pass_through() -> None:
    assert resampled(22_050, [3, 5]) == TONE


def test_loud_samples_are_clipped_not_wrapped() -> None:
    square = b"\xff\x7f" * 40 + b"\x00\x80" * 40
    resampler = Resampler(16_000, 48_000)
    samples = memoryview(resampler.push(square * 20) + resampler.flush()).cast("h")
    assert max(samples) == 32_767
    assert min(samples) == -32_768
    assert all(abs(a - b) < 40_000 for a, b in zip(samples, samples[1:], strict=False))


def test_half_a_sample_is_an_error() -> None:
    resampler = Resampler(16_000, 8_000)
    resampler.push(b"\0\0\0")
    with pytest.raises(ValueError, match="inside a sample"):
        resampler.flush()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("원주율은 3.14입니다.", "원주율은 3 점 일사입니다."),
        ("0.05초", "0 점 영오초"),
        ("1,234.56원", "1,234 점 오육원"),
        ("v2.1.0 판", "v2 점 1 점 0 판"),
        ("기온은 -3.5도", "기온은 마이너스 3 점 오도"),
        ("2024-05-03, 010-1234", "2024-05-03, 010-1234"),
        ("100% 확실", "100퍼센트 확실"),
        ("값은 3. 다음은 4.", "값은 3. 다음은 4."),
        ("a\0b", "a b"),
        (unicodedata.normalize("NFD", "안녕"), "안녕"),
    ],
)
def test_korean_is_written_out(text: str, said: str) -> None:
    assert written_out(text) == said


def test_frames_there_and_back() -> None:
    data = frames.pack("pcm", id=3, pcm=b"\0\1") + frames.pack("done", id=3, bytes=2)
    source = io.BytesIO(data)
    assert frames.read(source) == {"type": "pcm", "id": 3, "pcm": b"\0\1"}
    assert frames.read(source) == {"type": "done", "id": 3, "bytes": 2}
    assert frames.read(source) is None
    assert frames.read(io.BytesIO(data[:7])) is None, "an end inside a frame is an end"


@pytest.mark.parametrize("data", [b"Loading model...\n", b"\0\0\0\1\xc1", b"\0\0\0\1\x05"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frame|msgpack"):
        frames.read(io.BytesIO(data))


async def test_a_cancelled_receive_loses_nothing() -> None:
    data = frames.pack("done", id=1, bytes=7)
    stream = asyncio.StreamReader()
    receiver = frames.Receiver(stream)
    for cut in range(len(data)):
        waiting = asyncio.ensure_future(receiver.receive())
        stream.feed_data(data[cut : cut + 1])
        if cut + 1 < len(data):
            for _ in range(4):
                await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    assert await waiting == {"type": "done", "id": 1, "bytes": 7}


def test_an_unknown_engine_names_those_that_are_there() -> None:
    with pytest.raises(base.UnknownEngine, match="'parrot' is not installed; there is: .*espeak"):
        base.create("parrot")


def test_rates_and_durations() -> None:
    voices = {"a": base.Voice("a", "ko-KR", 16_000)}
    info = EngineInfo("x", True, 22_050, voices)
    utterance = Utterance("t", "a", "ko-KR", 1.0, "wav")
    assert output_spec(info, utterance) == PcmSpec(16_000)
    assert info.sample_rate_hz("a+variant") == info.sample_rate_hz(None) == 22_050
    assert output_spec(info, Utterance("t", "a", "ko-KR", 1.0, "wav", 8_000)) == PcmSpec(8_000)
    assert audio_seconds(PcmSpec(16_000), "wav", 44 + 32_000) == 1.0
    assert audio_seconds(PcmSpec(16_000), "wav", 0) == 0.0
