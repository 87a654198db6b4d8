"""Which recordings are accepted and which are not."""

from __future__ import annotations

import array
import math

import pytest

from orastream.cli.checks.recording import BadRecording, Recording, check_speech, read_wav
from orastream.contract.audio import PcmSpec, wav_header

pytestmark = pytest.mark.unit

SPEC = PcmSpec(16_000)


def tone(seconds: float, peak: int = 8_000, spec: PcmSpec = SPEC) -> bytes:
    samples = (int(peak * math.sin(n / 5)) for n in range(int(seconds * spec.sample_rate_hz) * spec.channels))
    return array.array("h", samples).tobytes()


def wav(pcm: bytes, spec: PcmSpec = SPEC) -> bytes:
    return wav_header(spec, len(pcm)) + pcm


def test_read_wav_measures_rate_length_and_loudness() -> None:
    recording = read_wav(wav(tone(1.5)))
    assert recording.sample_rate_hz == 16_000
    assert recording.seconds == pytest.approx(1.5)
    assert 7_900 < recording.peak <= 8_000
    assert recording.loud_share == 1.0


def test_read_wav_measures_the_length_of_stereo_in_frames() -> None:
    spec = PcmSpec(8_000, channels=2)
    assert read_wav(wav(tone(2, spec=spec), spec)).seconds == pytest.approx(2)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"RIFF",
        wav(tone(0.1))[:-2],
        wav(tone(0.1)) + b"\0\0",
        wav_header(SPEC) + tone(0.1),
        b"RIFX" + wav(tone(0.1))[4:],
        wav(tone(0.1))[:24] + b"\0\0\0\0" + wav(tone(0.1))[28:],
    ],
    ids=["empty", "cut", "shorter than it says", "longer", "streamed header", "another kind", "rate of 0"],
)
def test_read_wav_refuses_a_header_with_wrong_sizes(broken: bytes) -> None:
    with pytest.raises(BadRecording):
        read_wav(broken)


def test_read_wav_accepts_a_file_without_samples() -> None:
    recording = read_wav(wav(b""))
    assert (recording.seconds, recording.peak, recording.loud_share) == (0, 0, 0)


@pytest.mark.parametrize(
    ("seconds", "loud_share", "says"),
    [(3.0, 0.6, None), (0.1, 0.6, "expected"), (60.0, 0.6, "expected"), (3.0, 0.05, "silent")],
)
def test_check_speech_refuses_audio_that_is_silent_or_too_short_or_too_long_for_its_text(
    seconds: float, loud_share: float, says: str | None
) -> None:
    recording = Recording(22_050, seconds, 20_000, loud_share)
    if says is None:
        check_speech(recording, "안녕하세요, 무엇을 도와드릴까요?", "ko-KR")
    else:
        with pytest.raises(BadRecording, match=says):
            check_speech(recording, "안녕하세요, 무엇을 도와드릴까요?", "ko-KR")


def test_check_speech_has_wide_bounds_for_other_languages() -> None:
    check_speech(Recording(22_050, 3.0, 20_000, 0.5), "Bonjour, comment allez-vous ?", "fr-FR")
