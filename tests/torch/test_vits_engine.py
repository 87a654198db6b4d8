"""The engine with small random models loaded from disk: voices, texts, speed, stop, errors in a directory."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from services.synth.engines.base import EngineError, UnknownVoice, Voice
from services.synth.engines.vits.engine import VitsEngine
from services.synth.engines.vits.pieces import FIRST
from services.synth.engines.vits.sample import write_voice
from tests.torch.speaking import ENGLISH, KOREAN, RATE, loaded, pieces, spoken, spoken_words

pytestmark = [pytest.mark.torch, pytest.mark.timeout(240)]

FRAME_BYTES = 256 * 2


def test_engine_reports_its_properties_and_voices(engine: VitsEngine) -> None:
    assert (engine.name, engine.deterministic, engine.at_once, engine.scales) == ("vits", True, 4, True)
    assert engine.version.startswith("1-") and len(engine.version) == 14
    assert engine.voices() == [Voice("sample-kor", "ko", RATE), Voice("sample-eng", "en", RATE)]
    assert engine.sample_rate_hz(None) == engine.sample_rate_hz("sample-eng") == RATE


@pytest.mark.parametrize(("sentence", "language"), [(KOREAN, "ko-KR"), (ENGLISH, "en-US")])
def test_speech_comes_in_growing_pieces_and_is_audible(engine: VitsEngine, sentence: str, language: str) -> None:
    given = [pcm for pcm in pieces(engine, sentence, language=language) if pcm]
    assert len(given[0]) == FIRST * FRAME_BYTES < len(given[1]) < len(given[2])
    samples = np.frombuffer(b"".join(given), "<i2").astype(float)
    assert 0.04 < len(samples) / RATE / len(sentence) < 0.45
    assert 1_000 < samples.std() < 15_000


def test_voice_is_chosen_by_name_or_by_language(engine: VitsEngine) -> None:
    assert spoken(engine, "hello", language="en-GB") == spoken(engine, "hello", voice="sample-eng", language="ko")
    assert spoken(engine, "hello", language="ko-KR") == spoken(engine, "hello", voice="sample-kor", language="en")
    assert spoken(engine, "hello", language="fr") == spoken(engine, "hello", language="ko")
    assert spoken(engine, "hello", language="en") != spoken(engine, "hello", language="ko"), (
        "two voices gave the same audio"
    )
    for ask in (lambda: spoken(engine, "hello", voice="mina"), lambda: engine.sample_rate_hz("mina")):
        with pytest.raises(UnknownVoice, match="voice: TTS_MODEL_DIR has no 'mina'; there is: sample-kor, sample-eng"):
            ask()


def test_characters_that_the_model_cannot_read_are_left_out(engine: VitsEngine) -> None:
    assert spoken(engine, "Hello “1” 안녕 wörld…", language="en") == spoken(engine, "hello world", language="en")
    assert spoken(engine, "1, 2.", language="en") == spoken(engine, "…", language="ko") == b""


def test_speed_changes_the_length_of_the_audio(engine: VitsEngine) -> None:
    slow, normal, fast = (len(spoken(engine, KOREAN, speed=speed)) for speed in (0.5, 1.0, 2.0))
    assert slow > 1.4 * normal > 1.4 * 1.2 * fast, "the length does not follow the speed"


@pytest.mark.parametrize(("sentence", "language"), [(KOREAN, "ko-KR"), (ENGLISH, "en-US")])
def test_words_are_spoken_one_after_the_other(engine: VitsEngine, sentence: str, language: str) -> None:
    pcm, words = spoken_words(engine, sentence, language=language)
    assert pcm == spoken(engine, sentence, language=language)
    assert [sentence[word.first : word.end] for word in words] == [part.strip(",.?") for part in sentence.split()]
    assert all(word.end_sample < following.begin_sample for word, following in itertools.pairwise(words)), "no space"
    assert 0 < words[0].begin_sample and 0.9 * len(pcm) / 2 < words[-1].end_sample <= len(pcm) / 2
    slow = spoken_words(engine, sentence, language=language, speed=0.5)[1]
    assert [word[:2] for word in slow] == [word[:2] for word in words]
    assert slow[-1].end_sample > 1.3 * words[-1].end_sample


def test_stop_is_checked_at_every_piece(engine: VitsEngine) -> None:
    whole = [pcm for pcm in pieces(engine, KOREAN) if pcm]
    assert len(whole) > 3
    assert pieces(engine, KOREAN, stop=lambda: True) == []
    got: list[bytes] = []
    for pcm in engine.synthesize(KOREAN, voice=None, language="ko", speed=1.0, stop=lambda: len(got) >= 2):
        got.extend([pcm] if pcm else [])
    assert got == whole[:2]
    checks = count()
    pieces(engine, KOREAN, stop=lambda: bool(next(checks) * 0))
    assert next(checks) > len(whole)


def test_engine_speaks_the_next_sentence_after_one_that_was_closed_early(engine: VitsEngine) -> None:
    whole = spoken(engine, ENGLISH)
    speaking = engine.synthesize(KOREAN, voice=None, language="ko", speed=1.0, stop=lambda: False)
    assert isinstance(speaking, Iterator)
    next(speaking)
    speaking.close()  # type: ignore[attr-defined]
    assert spoken(engine, ENGLISH) == whole


def test_long_sentence_is_spoken_completely_in_bounded_pieces(engine: VitsEngine) -> None:
    """`sentence_splitter` cuts at 300 characters: such a sentence is spoken completely, in bounded pieces."""
    given = [pcm for pcm in pieces(engine, "가" * 300) if pcm]
    assert 15 < sum(map(len, given)) / 2 / RATE < 60
    assert max(map(len, given)) < 90 * FRAME_BYTES


def test_audio_has_the_declared_rate(tmp_path: Path) -> None:
    """Without a voice the audio has the default voice's rate; with a name, that voice's own rate."""
    write_voice(tmp_path / "low-kor", language="kor", romanised=True)
    write_voice(tmp_path / "high-eng", language="eng", romanised=False, sampling_rate=22_050)
    engine = loaded(tmp_path)
    try:
        assert engine.sample_rate_hz(None) == 16_000 and engine.sample_rate_hz("high-eng") == 22_050
        own, declared = (len(spoken(engine, ENGLISH, voice=voice, language="en")) for voice in ("high-eng", None))
        assert declared / own == pytest.approx(16_000 / 22_050, abs=0.001)
        own_words = spoken_words(engine, ENGLISH, voice="high-eng")[1]
        resampled = spoken_words(engine, ENGLISH, language="en")[1]
        for word, of_own in zip(resampled, own_words, strict=True):
            assert word.end_sample == of_own.end_sample * 16_000 // 22_050
    finally:
        engine.close()


def test_engine_supports_several_speakers_and_a_plain_duration_predictor(tmp_path: Path) -> None:
    """Models of another shape: several speakers, of which voice.json names one; durations without noise."""
    several = {"num_speakers": 3, "speaker_embedding_size": 8}
    write_voice(tmp_path / "zero", language="eng", romanised=False, use_stochastic_duration_prediction=False, **several)
    shutil.copytree(tmp_path / "zero", tmp_path / "two")
    (tmp_path / "two" / "voice.json").write_text(json.dumps({"speaker": 2}))
    engine = loaded(tmp_path)
    try:
        zero, two = (spoken(engine, ENGLISH, voice=voice) for voice in ("zero", "two"))
        assert len(zero) == len(two) and zero != two
        assert len(spoken_words(engine, ENGLISH, voice="two")[1]) == len(ENGLISH.split())
    finally:
        engine.close()


def test_weights_with_older_names_are_loaded(tmp_path: Path, voices: Path, engine: VitsEngine) -> None:
    """The MMS models on the hub have `weight_g` and `weight_v`, as torch called them before."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(voices / "sample-kor", tmp_path / "sample-kor")
    path = tmp_path / "sample-kor" / "model.safetensors"
    weights = load_file(path)
    renamed = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in weights.items()
    }
    assert set(renamed) != set(weights)
    save_file(renamed, path, metadata={"format": "pt"})
    older = loaded(tmp_path)
    try:
        assert len(spoken(older, KOREAN)) == pytest.approx(len(spoken(engine, KOREAN)), rel=0.2)
    finally:
        older.close()


def test_load_refuses_damaged_weights(tmp_path: Path, voices: Path) -> None:
    shutil.copytree(voices / "sample-eng", tmp_path / "sample-eng")
    path = tmp_path / "sample-eng" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(EngineError, match="sample-eng: it cannot be loaded .*copy the model again"):
        loaded(tmp_path)


def test_load_refuses_missing_weights(tmp_path: Path, voices: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(voices / "sample-eng", tmp_path / "sample-eng")
    path = tmp_path / "sample-eng" / "model.safetensors"
    weights = {name: value for name, value in load_file(path).items() if not name.startswith("flow.")}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(EngineError, match="model.safetensors lacks .* weights, such as flow"):
        loaded(tmp_path)


def test_speech_fails_when_weights_are_not_finite(tmp_path: Path, voices: Path) -> None:
    from safetensors.torch import load_file, save_file

    shutil.copytree(voices / "sample-eng", tmp_path / "sample-eng")
    path = tmp_path / "sample-eng" / "model.safetensors"
    weights = load_file(path)
    weights["decoder.conv_post.weight"] *= float("nan")
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(EngineError, match="is not finite"):
        loaded(tmp_path)


def test_settings_are_checked_before_a_model_is_loaded(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(EngineError, match="TTS_MODEL_DIR is not set"):
        loaded(None)
    with pytest.raises(EngineError, match="TTS_MODEL_DIR: there is no directory"):
        loaded(tmp_path / "none")
    with pytest.raises(EngineError, match="TTS_DEVICE: "):
        loaded(tmp_path, tts_device="tpu")
    assert time.monotonic() - began < 5


def test_load_refuses_a_missing_device(voices: Path) -> None:
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device that the test expects to be missing")
    with pytest.raises(EngineError, match="TTS_DEVICE: torch .* finds no mps here; set auto or cpu"):
        loaded(voices, tts_device="mps")
