"""TTS_EDGE_SILENCE_MS with real eSpeak, which gives 0.3 s of silence at the end of each sentence."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np
import pytest

from services.synth.audio.edge_silence import SILENT, EdgeTrim
from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.process import ProcessLimits
from services.synth.engines.base import SpokenWord
from services.synth.speech.resume import Resume
from services.synth.speech.speak import SpokenUtterance
from tests.support.engines import LOG, RATE
from tests.support.speech import spoken

pytestmark = pytest.mark.integration

BOUND_MS = 60
LIMITS = ProcessLimits(edge_silence_ms=BOUND_MS)
SENTENCES = {
    "en-us": "Hello, this is a sentence about sheep.",
    "de": "Erste Zeile, und weiter.",
    "ko": "안녕하세요, 여러분.",
}
TEXT = "안녕하세요. 오늘은 비가 옵니다. 반갑습니다!"


async def said(pool: EnginePool, language: str) -> tuple[bytes, list[SpokenWord]]:
    async with pool.acquire() as slot:
        async with aclosing(slot.speak(SENTENCES[language], voice=None, language=language)) as speech:
            pcm = b"".join([piece async for piece in speech])
            assert speech.total_bytes == len(pcm)
            return pcm, speech.words


async def test_edges_are_cut_and_words_move_with_the_audio() -> None:
    async with EnginePool("espeak", 1, log=LOG) as plain, EnginePool("espeak", 1, log=LOG, limits=LIMITS) as cut:
        assert cut.info.version == plain.info.version + f"+edge{BOUND_MS}"
        for language in SENTENCES:
            (whole, words), (short, moved) = await said(plain, language), await said(cut, language)
            trim = EdgeTrim(RATE, BOUND_MS)
            assert short == trim.push(whole) + trim.finish()
            assert 0.2 < (len(whole) - len(short)) / (2 * RATE) < 0.3
            loud = np.flatnonzero(abs(np.frombuffer(short, "<i2").astype(int)) > SILENT)
            assert len(short) // 2 - loud[-1] - 1 == RATE * BOUND_MS // 1000
            assert [(word.first, word.end) for word in moved] == [(word.first, word.end) for word in words]
            assert [word.begin_sample + trim.cut for word in moved] == [word.begin_sample for word in words]
            assert all(word.end_sample <= len(short) // 2 for word in moved) and len(moved) > 1


async def test_an_attempt_continues_a_cut_sentence_exactly() -> None:
    async with EnginePool("espeak", 1, log=LOG, limits=LIMITS) as pool:
        for rate_hz in (RATE, 16_000):
            utterance = SpokenUtterance(None, "ko-KR", 1.0, "wav", rate_hz)
            whole = [piece async for piece in spoken(pool, TEXT, utterance, chunk_bytes=8_192)]
            file = b"".join(piece.audio for piece in whole)
            for stored in range(1, len(whole), 2):
                head = b"".join(piece.audio for piece in whole[:stored])
                resume = Resume(stored, len(head), whole[stored - 1].sentence, tail=head[-2:])
                rest = [piece async for piece in spoken(pool, TEXT, utterance, chunk_bytes=8_192, resume=resume)]
                assert head + b"".join(piece.audio for piece in rest) == file
