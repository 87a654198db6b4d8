"""Coded files, decoded again with FFmpeg: their duration, their samples, and the first chunk."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orastream.contract.audio import FORMATS, RATES_HZ, Format, PcmSpec, rate_for, seconds_of
from orastream.contract.sentence_start import MAX_STARTS_BYTES, SentenceStart
from services.synth.audio.coded_chunker import CodedChunker
from services.synth.audio.encoder import encoder_of
from services.synth.audio.file_tags import speech_tags
from services.synth.audio.pcm_chunker import AudioPiece, Cutting

pytestmark = pytest.mark.unit

WHOLE = Cutting(32_768)
CODED = [fmt for fmt in FORMATS if fmt not in ("wav", "pcm16")]
HEADERS: dict[Format, bytes] = {"opus": b"OpusHead", "flac": b"fLaC", "mp3": b"ID3\x04"}
"""The header of a file: only the first chunk has it."""
BEGINNINGS: dict[Format, tuple[bytes, ...]] = {
    "opus": (b"OggS",),
    "flac": (b"fLaC",),
    "mp3": (b"ID3\x04",),  # the tag; the frames follow it
    "aac": (b"\xff\xf1", b"\xff\xf0"),  # the sync word of ADTS
    "mulaw": (b"",),
    "alaw": (b"",),
}


TAGS = speech_tags("espeak", "0.2.4", trained=False)


def voice(seconds: float, rate_hz: int) -> bytes:
    """Returns a sound like a vowel: harmonics of a gliding tone of changing loudness, with a little noise."""
    t = np.arange(int(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate_hz
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    noise = np.random.default_rng(1).normal(0, 0.01, len(t))
    samples = (tone * (0.6 + 0.3 * np.sin(2 * np.pi * 2 * t)) / 2.5 + noise) * 12_000
    return bytes(samples.astype("<i2").tobytes())


def decoded(fmt: Format, file: bytes, rate_hz: int) -> Any:
    """Returns the samples as int16, at the rate of the file."""
    if fmt in ("mulaw", "alaw"):
        container = av.open(io.BytesIO(file), format=fmt, options={"sample_rate": str(rate_hz)})
    else:
        container = av.open(io.BytesIO(file))
    with container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate_hz)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


def coded(
    fmt: Format, pcm: bytes, rate_hz: int, step: int | None = None, cutting: Cutting = WHOLE, **options: Any
) -> list[AudioPiece]:
    step = step or rate_hz // 16 * 2  # about 60 ms, as engines yield it
    chunker = CodedChunker(PcmSpec(rate_hz), encoder_of(fmt, rate_hz, TAGS), cutting, **options)
    pieces = [piece for at in range(0, len(pcm), step) for piece in chunker.push(pcm[at : at + step], 0)]
    return [*pieces, *chunker.flush()]


def snr_db(signal: Any, decoded_samples: Any) -> float:
    signal, decoded_samples = signal.astype(float), decoded_samples.astype(float)
    return float(10 * np.log10((signal**2).sum() / ((signal - decoded_samples) ** 2).sum()))


@pytest.mark.parametrize(
    ("fmt", "rate_hz", "least_db"),
    [
        ("flac", 22_050, float("inf")),
        ("mulaw", 8_000, 33),
        ("mulaw", 22_050, 33),
        ("alaw", 8_000, 33),
        ("alaw", 22_050, 33),
        ("opus", 24_000, 15),
        ("opus", 16_000, 15),
        ("mp3", 22_050, 15),
        ("aac", 24_000, 15),
    ],
)
def test_decoded_audio_is_the_spoken_audio(fmt: Format, rate_hz: int, least_db: float) -> None:
    pcm = voice(3.0, rate_hz)
    decoded_samples = decoded(fmt, b"".join(piece.audio for piece in coded(fmt, pcm, rate_hz)), rate_hz)
    spoken_samples = np.frombuffer(pcm, "<i2")
    if fmt == "flac":
        assert np.array_equal(decoded_samples, spoken_samples)
        return
    if fmt in ("mp3", "aac"):  # their streams do not say where the coder's own padding ends
        assert 0 <= len(decoded_samples) - len(spoken_samples) < 0.15 * rate_hz
        lags = range(3_000)
        part = spoken_samples[4_000:20_000]
        lag = max(lags, key=lambda lag: float(np.dot(decoded_samples[4_000 + lag : 20_000 + lag].astype(float), part)))
        decoded_samples = decoded_samples[lag : lag + len(spoken_samples)]
        spoken_samples = spoken_samples[: len(decoded_samples)]
    assert len(decoded_samples) == len(spoken_samples), "the duration is not exact"
    assert snr_db(spoken_samples, decoded_samples) >= least_db


@pytest.mark.parametrize(
    ("fmt", "rate_hz", "lead_s", "more_s"),
    [(fmt, rate_hz, 0.0, 0.0) for fmt in ("opus", "flac", "mulaw", "alaw") for rate_hz in (8_000, 24_000)]
    + [(fmt, 8_000, 0.14, 0.26) for fmt in ("mp3", "aac")]
    + [(fmt, rate_hz, 0.051, 0.1) for fmt in ("mp3", "aac") for rate_hz in (22_050, 48_000)],
)
def test_speech_is_heard_at_its_time_or_behind_the_silence_of_the_coder(
    fmt: Format, rate_hz: int, lead_s: float, more_s: float
) -> None:
    """The times of sentences and chunks do not count that silence: docs/reference/audio-and-reports.md, “Formats”."""
    for extra in range(0, 2_300, 230):
        pcm = bytes(2 * rate_hz) + voice(0.5, rate_hz) + bytes(2 * extra)
        heard = decoded(fmt, b"".join(piece.audio for piece in coded(fmt, pcm, rate_hz)), rate_hz).astype(int)
        loud_s = float(np.argmax(np.abs(heard) > 3_000)) / rate_hz
        spoken_s = float(np.argmax(np.abs(np.frombuffer(pcm, "<i2").astype(int)) > 3_000)) / rate_hz
        assert lead_s / 4 - 0.005 < loud_s - spoken_s < lead_s + 0.005
        assert 0 <= len(heard) / rate_hz - len(pcm) / 2 / rate_hz <= more_s


@pytest.mark.parametrize("fmt", CODED)
def test_first_chunk_is_short_and_contains_the_only_header(fmt: Format) -> None:
    rate_hz = rate_for(fmt, 22_050)
    pieces = coded(fmt, voice(3.0, rate_hz), rate_hz)
    file = b"".join(piece.audio for piece in pieces)
    assert [piece.index for piece in pieces] == list(range(len(pieces)))
    assert [piece.pts_ms for piece in pieces] == sorted(piece.pts_ms for piece in pieces)
    assert pieces[0].pts_ms == 0
    assert pieces[1].pts_ms <= (250 if fmt == "flac" else 140), (
        "the first chunk is longer than 80 ms and than one block of the coder"
    )
    for of, header in HEADERS.items():
        assert (header in pieces[0].audio, file.count(header)) == ((True, 1) if of == fmt else (False, 0))
    assert file.startswith(BEGINNINGS[fmt])


@pytest.mark.parametrize("fmt", CODED)
@settings(max_examples=8)
@given(step=st.integers(1, 4_000), at=st.floats(0, 1), ramp=st.booleans())
def test_resumed_file_has_the_same_bytes(fmt: Format, step: int, at: float, ramp: bool) -> None:
    """For any split of the samples, and any end of the attempt before."""
    rate_hz = rate_for(fmt, 22_050)
    pcm = voice(0.7, rate_hz)
    pieces = coded(fmt, pcm, rate_hz, cutting=Cutting(1_024, ramp=ramp))
    file = b"".join(piece.audio for piece in pieces)
    stored = round(at * len(pieces))
    head = b"".join(piece.audio for piece in pieces[:stored])
    rest = coded(fmt, pcm, rate_hz, 2 * step, Cutting(1_024, ramp=ramp), first_index=stored, offset_bytes=len(head))
    assert head + b"".join(piece.audio for piece in rest) == file
    assert all(len(piece.audio) <= 1_024 for piece in pieces) or ramp
    assert [piece.pts_ms for piece in rest] == sorted(piece.pts_ms for piece in rest)


@pytest.mark.parametrize("fmt", CODED)
@settings(max_examples=12)
@example([(8_499, 1), (1, 1), (159, 3_000)], 54, Cutting(300, ramp=True, by_sentence=False))
@given(
    sentences=st.lists(st.tuples(st.integers(1, 9_000), st.sampled_from([1, 900, 3_000])), min_size=1, max_size=9),
    step=st.integers(50, 4_000),
    cutting=st.builds(Cutting, st.integers(300, 4_000), ramp=st.booleans(), by_sentence=st.booleans()),
)
def test_a_sentence_is_in_the_piece_whose_time_has_its_first_sample(
    fmt: Format, sentences: list[tuple[int, int]], step: int, cutting: Cutting
) -> None:
    """Each has so many samples, and its text so many characters: also with more text than a message can have.

    Of two sentences that begin within one byte and do not fit into one message, the second one is in the next piece.
    """
    rate_hz = rate_for(fmt, 22_050)
    sound = voice(1.2, rate_hz)
    chunker = CodedChunker(PcmSpec(rate_hz), encoder_of(fmt, rate_hz), cutting)
    begins, at, pieces = list[int](), 0, list[AudioPiece]()
    for number, (length, chars) in enumerate(sentences):
        begins.append(at)
        chunker.begin(at, SentenceStart(number, 0, "가" * chars))
        for first in range(0, length, step):
            pieces += chunker.push(sound[2 * first : 2 * min(first + step, length)], number)
        pieces += chunker.end_sentence()
        at += length
    pieces += chunker.flush()
    assert [piece.offset for piece in pieces] == [sum(len(p.audio) for p in pieces[:i]) for i in range(len(pieces))]
    assert [start.number for piece in pieces for start in piece.sentences] == list(range(len(sentences)))
    assert all(len(p.sentences) < 2 or sum(3 * len(x.text) for x in p.sentences) < MAX_STARTS_BYTES for p in pieces)
    ends_ms = [piece.pts_ms for piece in pieces[1:]] + [10**9]
    least = [False, *(len(piece.audio) == 1 for piece in pieces)]  # whether the piece before could not be smaller
    for piece, end_ms, after_least in zip(pieces, ends_ms, least[:-1], strict=True):
        for start in piece.sentences:
            begin_ms = begins[start.number] * 1000 / rate_hz
            assert begin_ms < end_ms + 1
            assert piece.pts_ms <= begin_ms or after_least


@pytest.mark.parametrize("fmt", CODED)
@pytest.mark.parametrize("chunk_bytes", [200, 32_768])
def test_more_sentences_than_a_message_can_have_are_in_the_next_pieces(fmt: Format, chunk_bytes: int) -> None:
    """Also at the end of the file, where the last piece is cut for them."""
    rate_hz = rate_for(fmt, 22_050)
    chunker = CodedChunker(PcmSpec(rate_hz), encoder_of(fmt, rate_hz), Cutting(chunk_bytes, ramp=False))
    pieces: list[AudioPiece] = []
    for number in range(20):
        chunker.begin(100 * number, SentenceStart(number, 0, "가" * 600))
        pieces += chunker.push(voice(1.0, rate_hz)[:200], number)
    pieces += chunker.flush()
    assert [start.number for piece in pieces for start in piece.sentences] == list(range(20))
    assert max(len(piece.sentences) for piece in pieces) <= 4
    assert [piece.offset for piece in pieces] == [sum(len(p.audio) for p in pieces[:i]) for i in range(len(pieces))]


def test_chunker_counts_the_seconds_of_audio() -> None:
    chunker = CodedChunker(PcmSpec(8_000), encoder_of("mulaw", 8_000), Cutting(4_096, ramp=True), offset_s=1.5)
    pieces = [*chunker.push(bytes(16_000), 3), *chunker.end_sentence(), *chunker.flush()]
    assert chunker.seconds == 2.5
    assert (pieces[0].pts_ms, pieces[0].sentence) == (1_500, 3)
    assert seconds_of("mulaw", PcmSpec(8_000), 8_000) == seconds_of("alaw", PcmSpec(8_000), 8_000) == 1.0
    assert seconds_of("opus", PcmSpec(24_000), 8_000) is None


@pytest.mark.parametrize("fmt", FORMATS)
def test_rate_for_returns_a_rate_that_the_format_supports(fmt: Format) -> None:
    for engine_hz in (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000):
        rate = rate_for(fmt, engine_hz)
        assert rate in RATES_HZ.get(fmt, (rate,))
        assert rate == 8_000 if fmt in ("mulaw", "alaw") else rate >= engine_hz
