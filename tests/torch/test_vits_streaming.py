"""Pieces compared to the whole; the same bytes in every call and process; several sentences at the same time."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import VitsModel

from services.synth.engines.vits.engine import VitsEngine
from services.synth.engines.vits.folders import find
from services.synth.engines.vits.network import Network
from services.synth.engines.vits.pieces import DecoderPiece
from services.synth.engines.vits.sample import write_voice
from services.synth.engines.vits.worker import Worker, result_of
from tests.torch.speaking import ENGLISH, KOREAN, loaded, pieces, spoken, spoken_at_once

pytestmark = [pytest.mark.torch, pytest.mark.timeout(240)]

REPOSITORY = Path(__file__).resolve().parents[2]
SENTENCES = [KOREAN, ENGLISH, "가나다라 마바사 아자차카 타파하", KOREAN, "오늘은 날씨가 참 좋습니다", ENGLISH[:20]]
MAX_DIFFERENCE = 1e-4


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(int)


@pytest.mark.parametrize("shape", [{}, {"upsample_initial_channel": 256, "flow_size": 96, "hidden_size": 96}])
def test_pieces_equal_the_output_of_the_library(tmp_path: Path, shape: dict[str, int]) -> None:
    """Compared to the library's own forward pass with the same noise, sample by sample."""
    write_voice(tmp_path / "sample-kor", language="kor", romanised=True, **shape)
    (folder,) = find(tmp_path)
    network = Network(folder, "cpu")
    spelled = folder.alphabet.spelled(KOREAN)
    latents = network.prepared(spelled, speed=1.0, seed=7)
    assert len(latents.pieces) > 3
    pcm = b"".join(network.decoded([(latents, piece)])[0] for piece in latents.pieces)

    model = VitsModel.from_pretrained(folder.path).eval()
    torch.manual_seed(7)
    with torch.inference_mode():
        wave = model(**network._tokenizer(spelled, return_tensors="pt")).waveform[0].numpy()
    assert len(pcm) == 2 * len(wave)
    difference = np.abs(samples(pcm) / 32_767 - wave)
    assert difference.max() <= MAX_DIFFERENCE
    wrong = [DecoderPiece(max(p.first - 4, 0), p.last, p.first, p.last) for p in latents.pieces]
    short = b"".join(network.decoded([(latents, piece)])[0] for piece in wrong)
    assert np.abs(samples(short) / 32_767 - wave).max() > 10 * MAX_DIFFERENCE, (
        "the samples are the same without context, so this test proves nothing"
    )


def test_audio_is_the_same_in_every_call(engine: VitsEngine) -> None:
    first = [spoken(engine, sentence) for sentence in SENTENCES]
    assert [spoken(engine, sentence) for sentence in reversed(SENTENCES)] == first[::-1]
    assert first[0] == first[3]


SPEAK = """
import hashlib, sys
from services.synth.engines.vits.engine import VitsEngine
engine = VitsEngine()
engine.load()
for sentence in sys.argv[1:]:
    speech = engine.synthesize(sentence, voice=None, language="ko-KR", speed=1.0, stop=lambda: False)
    print(hashlib.sha256(b"".join(speech)).hexdigest())
print(engine.version)
"""


def test_audio_is_the_same_in_every_process(engine: VitsEngine, voices: Path) -> None:
    command = [sys.executable, "-c", SPEAK, *SENTENCES[:3]]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "TTS_MODEL_DIR": str(voices), "TTS_THREADS": "1"}
    run = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=110, check=True)
    lines = [line for line in run.stdout.splitlines() if " " not in line]
    assert lines == [hashlib.sha256(spoken(engine, text)).hexdigest() for text in SENTENCES[:3]] + [engine.version]


def test_version_changes_with_voices_and_threads(engine: VitsEngine, tmp_path: Path) -> None:
    write_voice(tmp_path / "sample-kor", language="kor", romanised=True, seed=1)
    versions = {engine.version}
    for threads in (1, 2):
        other = loaded(tmp_path, tts_threads=threads)
        other.close()
        versions.add(other.version)
    assert len(versions) == 3


def test_sentences_spoken_at_the_same_time_have_the_same_audio_as_alone(engine: VitsEngine) -> None:
    alone = [spoken(engine, sentence) for sentence in SENTENCES[:4]]
    assert engine.deterministic
    assert spoken_at_once(engine, SENTENCES[:4]) == alone


@pytest.fixture(scope="module")
def batching(voices: Path) -> Iterator[VitsEngine]:
    engine = loaded(voices, tts_batch="on", tts_at_once=6, tts_batch_wait_ms=200)
    yield engine
    engine.close()


def test_batched_sentence_has_the_same_length_and_almost_the_same_samples(
    engine: VitsEngine, batching: VitsEngine
) -> None:
    """A batch changes the rounding of samples by at most one, and the engine then is not `deterministic`."""
    assert not batching.deterministic and batching.at_once == 6
    alone = [spoken(engine, sentence) for sentence in SENTENCES]
    assert batching._worker is not None
    batching._worker.groups.clear()
    together = spoken_at_once(batching, SENTENCES)
    assert max(batching._worker.groups) > 1, "no pieces were decoded together"
    assert [len(pcm) for pcm in together] == [len(pcm) for pcm in alone]
    for mine, other in zip(together, alone, strict=True):
        assert np.abs(samples(mine) - samples(other)).max() <= 1


def test_single_sentence_does_not_wait_for_a_batch(voices: Path) -> None:
    engine = loaded(voices, tts_batch="on", tts_at_once=4, tts_batch_wait_ms=1_000)
    try:
        began = time.monotonic()
        given = pieces(engine, KOREAN)
        assert time.monotonic() - began < len(given), "each piece waited a second for a batch"
    finally:
        engine.close()


def test_short_sentence_is_spoken_before_a_long_one_ends(engine: VitsEngine) -> None:
    """The audio of the long one is ahead of its playback by then."""
    long_ended, short_ended = threading.Event(), threading.Event()
    begun = threading.Event()

    def speak_long() -> None:
        for _ in engine.synthesize("가" * 250, voice=None, language="ko", speed=0.5, stop=short_ended.is_set):
            begun.set()
        long_ended.set()

    thread = threading.Thread(target=speak_long)
    thread.start()
    assert begun.wait(20)
    assert spoken(engine, "네")
    assert not long_ended.is_set()
    short_ended.set()
    thread.join()


def test_waiting_sentence_ends_at_once_when_it_is_stopped(engine: VitsEngine) -> None:
    """Also while the model computes for another sentence."""
    assert engine._worker is not None
    busy, free = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        free.wait(20)

    held = engine._worker.alone(hold, due_s=-1.0)
    assert busy.wait(20)
    try:
        signs = []
        for pcm in engine.synthesize(KOREAN, voice=None, language="ko", speed=1.0, stop=lambda: bool(signs)):
            signs.append(pcm)
        assert signs == [b""], "there must be one empty piece as a sign of life"
    finally:
        free.set()
    held.result(20)


def test_worker_raises_the_error_of_a_task_and_continues() -> None:
    worker = Worker(most=4, bound_s=0.0)

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(result_of(worker.alone(fail), lambda: False))
    assert list(result_of(worker.alone(lambda: "well"), lambda: False)) == ["well"]
    worker.close()
    worker.close()
    with pytest.raises(RuntimeError, match="closed"):
        worker.alone(fail)
