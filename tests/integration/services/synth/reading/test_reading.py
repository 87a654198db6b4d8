"""Text spoken by espeak's real process: numbers in words, and the pauses and speeds of SSML."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from services.synth.engine_pool.pool import EnginePool
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance
from tests.support.engines import LOG, RATE
from tests.support.speech import spoken

pytestmark = pytest.mark.integration

HEADER_BYTES = 44


@pytest.fixture
async def pool() -> AsyncIterator[EnginePool]:
    async with EnginePool("espeak", 1, log=LOG) as pool:
        yield pool


async def file_of(
    pool: EnginePool, text: str, *, resume: Resume = FIRST_ATTEMPT, language: str = "ko-KR", **options: Any
) -> bytes:
    utterance = SpokenUtterance(None, language, 1.0, options.pop("format", "wav"), options.pop("rate_hz", None))
    async with aclosing(spoken(pool, text, utterance, resume=resume, chunk_bytes=8_192, **options)) as pieces:
        return b"".join([piece.audio async for piece in pieces])


@pytest.mark.parametrize(
    ("written", "words", "language"),
    [
        ("3.14", "삼 점 일사", "ko-KR"),
        ("3명", "세 명", "ko-KR"),
        ("10월 3일 14:30에 20살이 되었다.", "시월 삼 일 십사 시 삼십 분에 스무 살이 되었다.", "ko-KR"),
        ("It costs $3.50.", "It costs three dollars and fifty cents.", "en-US"),
    ],
)
async def test_numbers_have_the_audio_of_their_words(pool: EnginePool, written: str, words: str, language: str) -> None:
    spoken_file = await file_of(pool, written, language=language)
    assert spoken_file == await file_of(pool, words, language=language)
    assert spoken_file != await file_of(pool, written, language=language, reads=False), (
        "the number has the same audio without reading, so this test proves nothing"
    )


async def test_break_adds_silence_of_its_length(pool: EnginePool) -> None:
    plain = await file_of(pool, "<speak>하나. 둘.</speak>", ssml=True)
    for where in ("하나. <break time='750ms'/>둘.", "<break time='750ms'/>하나. 둘.", "하나. 둘.<break time='750ms'/>"):
        paused = await file_of(pool, f"<speak>{where}</speak>", ssml=True)
        assert len(paused) - len(plain) == int(0.75 * RATE) * 2
    before = await file_of(pool, "<speak><break time='750ms'/>하나. 둘.</speak>", ssml=True)
    assert before[HEADER_BYTES:] == bytes(int(0.75 * RATE) * 2) + plain[HEADER_BYTES:]
    assert plain == await file_of(pool, "하나. 둘."), "a text without markup has another audio with SSML"


async def test_rate_and_substitute_change_the_audio(pool: EnginePool) -> None:
    normal = await file_of(pool, "오늘 날씨가 매우 좋습니다.")
    slow = await file_of(pool, "<speak><prosody rate='50%'>오늘 날씨가 매우 좋습니다.</prosody></speak>", ssml=True)
    assert 1.5 < len(slow) / len(normal) < 2.6
    assert await file_of(pool, "<speak><sub alias='오늘 날씨'>x</sub>가 매우 좋습니다.</speak>", ssml=True) == normal


@pytest.mark.parametrize("options", [{}, {"rate_hz": 16_000}, {"format": "flac"}], ids=["wav", "resampled", "flac"])
async def test_resumed_text_with_pauses_has_the_same_bytes(pool: EnginePool, options: dict[str, Any]) -> None:
    text = (
        "<speak><break time='1s'/>하나 3명.<break time='1s'/><prosody rate='slow'>둘.</prosody>"
        "<p>셋.</p><p>넷.</p></speak>"
    )
    utterance = SpokenUtterance(None, "ko-KR", 1.0, options.get("format", "wav"), options.get("rate_hz"))
    async with aclosing(spoken(pool, text, utterance, chunk_bytes=8_192, ssml=True)) as speech:
        pieces = [piece async for piece in speech]
    file = b"".join(piece.audio for piece in pieces)
    for stored in range(1, len(pieces) + 1):
        head = b"".join(piece.audio for piece in pieces[:stored])
        resume = Resume(stored, len(head), pieces[stored - 1].sentence)
        assert head + await file_of(pool, text, resume=resume, ssml=True, **options) == file
