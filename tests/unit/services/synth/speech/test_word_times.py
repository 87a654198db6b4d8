"""When the words of an utterance are spoken: once each, with the same times in every format, for any resume."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import seconds_of
from orastream.contract.word_time import WordTime
from services.synth.audio.fade import fade_after
from services.synth.audio.pcm_chunker import AudioPiece, Cutting
from services.synth.engines.base import SpokenWord
from services.synth.job.synthesis import resume_of
from services.synth.speech.kept_phrase import KeptPhrase
from services.synth.speech.phrase_cache import CachingSpeaker
from services.synth.speech.sentence_starts import SentenceStarts
from services.synth.speech.speak import SpokenUtterance
from services.synth.text.script import line_of, script_of
from services.synth.text.script_line import ScriptLine
from tests.unit.services.synth.speech.test_sentence_starts import (
    CUTTINGS,
    HZ,
    LETTER_S,
    UTTERANCES,
    LetterSpeaker,
    Memory,
    letters_of,
    name_of,
    pieces_of,
    progress_after,
    spec_of,
    starts_of,
    utterance,
)

pytestmark = pytest.mark.unit

TEXT = "하나 둘셋, 넷다섯. 여섯!  일곱.\n\n가. 나. 다. 라. 마지막 문장입니다"
SPEAKER = LetterSpeaker(words=True)


def words_of(pieces: list[AudioPiece]) -> list[WordTime]:
    return [word for piece in pieces for word in piece.words]


async def expected_words() -> list[WordTime]:
    """Each letter of the text, one after the other."""
    found, at = list[WordTime](), 0.0
    number = 0
    async for line in script_of(TEXT, "ko-KR", 1.0):
        assert line.source is not None and line.spoken == line.text
        for word in letters_of(line.spoken):
            first, end = line.source[0] + word.first, line.source[0] + word.end
            found.append(WordTime(number, first, end, round(at * 1000), round((at + LETTER_S) * 1000)))
            at += LETTER_S
        at += line.pause_s
        number += 1
    return found


def check_places(of: SpokenUtterance, pieces: list[AudioPiece]) -> None:
    """Each word is in the piece whose time has its last sample."""
    ends_ms = [*(piece.pts_ms for piece in pieces[1:]), 10**9]
    for piece, end_ms in zip(pieces, ends_ms, strict=False):
        for word in piece.words:
            assert piece.pts_ms < word.end_ms + 1 and word.end_ms <= end_ms + 1, (piece.pts_ms, word, end_ms)
            end_s = seconds_of(of.format, spec_of(of), piece.offset + len(piece.audio))
            if of.format in ("wav", "pcm16"):
                assert end_s is not None and word.end_ms <= end_s * 1000 + 1


@pytest.mark.parametrize("of", UTTERANCES, ids=name_of)
@pytest.mark.parametrize("cutting", CUTTINGS, ids=name_of)
async def test_words_are_the_same_in_every_format_rate_and_cutting(of: SpokenUtterance, cutting: Cutting) -> None:
    pieces = await pieces_of(of, cutting, speaker=SPEAKER, text=TEXT)
    assert words_of(pieces) == await expected_words()
    check_places(of, pieces)
    ends_with_sentence = cutting.by_sentence and of.format in ("wav", "pcm16") and of.sample_rate_hz is None
    for piece in pieces if ends_with_sentence else []:
        assert {word.sentence for word in piece.words} <= {piece.sentence}, "a word has come with a later sentence"
    begins = {start.number: start for start in starts_of(pieces)}
    for word in words_of(pieces):
        start = begins[word.sentence]
        assert start.first is not None and start.end is not None
        assert start.first <= word.first and word.end <= start.end and start.ms <= word.begin_ms + 1


WHOLE: dict[tuple[SpokenUtterance, Cutting], list[AudioPiece]] = {}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(UTTERANCES), st.sampled_from(CUTTINGS), st.sampled_from(CUTTINGS), st.data())
def test_an_exact_resume_at_any_chunk_gives_each_word_once(
    of: SpokenUtterance, cutting: Cutting, later: Cutting, data: st.DataObject
) -> None:
    """Several attempts one after the other, each with its own size of chunks."""

    async def run() -> None:
        if (of, cutting) not in WHOLE:
            WHOLE[of, cutting] = await pieces_of(of, cutting, speaker=SPEAKER, text=TEXT)
        stored = WHOLE[of, cutting][: data.draw(st.integers(0, len(WHOLE[of, cutting])))]
        for attempt in range(2):
            progress = await progress_after(of, stored)
            rest = await pieces_of(of, later, resume_of(progress, SPEAKER.info), speaker=SPEAKER, text=TEXT)
            keep = len(rest) if attempt else data.draw(st.integers(0, len(rest)))
            stored = stored + rest[:keep]
        assert words_of(stored) == words_of(WHOLE[of, cutting])
        if of.format in ("wav", "pcm16"):
            check_places(of, stored)

    asyncio.run(run())


@pytest.mark.parametrize(
    "of", [utterance("wav"), utterance("pcm16", 22_050), utterance("mulaw"), utterance("alaw")], ids=name_of
)
async def test_the_words_of_a_repeated_sentence_come_again_at_new_times(of: SpokenUtterance) -> None:
    speaker, cutting = LetterSpeaker(deterministic=False, words=True), Cutting(1_000)
    whole = await pieces_of(of, cutting, speaker=speaker, text=TEXT)
    for stored in range(1, len(whole)):
        progress = await progress_after(of, whole[:stored])
        resume = resume_of(progress, speaker.info)
        rest = await pieces_of(of, cutting, resume, speaker=speaker, text=TEXT)
        check_places(of, rest)
        again = words_of(rest)
        assert [word[:3] for word in again] == [
            word[:3] for word in words_of(whole) if word.sentence >= resume.sentence
        ]
        stored_s = seconds_of(of.format, spec_of(of), progress.bytes)
        assert stored_s is not None
        fade = fade_after(of.format, progress.tail, spec_of(of).sample_rate_hz)
        begin_s = stored_s + spec_of(of).seconds(len(fade))
        assert abs(again[0].begin_ms - begin_s * 1000) < 1.01


@pytest.mark.parametrize("of", [utterance("wav"), utterance("wav", 22_050), utterance("opus")], ids=name_of)
async def test_after_a_synth_without_words_come_those_that_end_later(of: SpokenUtterance) -> None:
    """At most those of the last stored chunk come late."""
    cutting = Cutting(2_048, ramp=False)
    whole = await pieces_of(of, cutting, speaker=SPEAKER, text=TEXT)
    without = await pieces_of(of, cutting, text=TEXT)
    for stored in range(1, len(whole)):
        progress = await progress_after(of, without[:stored])
        rest = await pieces_of(of, cutting, resume_of(progress, SPEAKER.info), speaker=SPEAKER, text=TEXT)
        assert words_of(rest) == [word for word in words_of(whole) if word.end_ms >= whole[stored - 1].pts_ms]


@pytest.mark.parametrize("of", [utterance("wav"), utterance("wav", 22_050), utterance("opus")], ids=name_of)
async def test_cached_sentences_have_the_same_words(of: SpokenUtterance) -> None:
    """Also when an attempt continues in the middle of one."""
    cutting, memory, seconds = Cutting(800, ramp=False), Memory(), itertools.count()
    expected = await pieces_of(of, cutting, speaker=SPEAKER, text=TEXT)
    async with CachingSpeaker(SPEAKER, memory, memory, clock=lambda: float(next(seconds))) as speaker:
        assert await pieces_of(of, cutting, speaker=speaker, text=TEXT) == expected
        async with asyncio.timeout(10):
            while len(memory.objects) < len({start.text for start in starts_of(expected)}):
                await asyncio.sleep(0)  # each is stored in a task
        again = await pieces_of(of, cutting, speaker=speaker, text=TEXT)
        assert [(piece.audio, piece.words) for piece in again if of.format != "opus"] == [
            (piece.audio, piece.words) for piece in expected if of.format != "opus"
        ]
        assert words_of(again) == words_of(expected) and memory.hits
        for stored in range(1, len(expected)):
            resume = resume_of(await progress_after(of, expected[:stored]), speaker.info)
            rest = await pieces_of(of, cutting, resume, speaker=speaker, text=TEXT)
            assert words_of(rest) == words_of(expected[stored:])


WORD = st.builds(SpokenWord, *[st.integers(0, 2**32 - 1)] * 4)


@given(st.binary(max_size=50), st.lists(WORD, max_size=5).map(tuple))
def test_a_kept_phrase_is_the_same_when_it_is_read(pcm: bytes, words: tuple[SpokenWord, ...]) -> None:
    assert KeptPhrase.unpack(KeptPhrase(pcm, words).pack()) == KeptPhrase(pcm, words)


def test_damaged_bytes_of_a_phrase_are_none() -> None:
    packed = KeptPhrase(b"", (SpokenWord(0, 1, 2, 3),)).pack()
    assert all(KeptPhrase.unpack(packed[:size]) is None for size in range(len(packed)))


def test_a_word_whose_place_is_not_known_is_left_out() -> None:
    starts = SentenceStarts(HZ, HZ, first_sample=0, begun=-1)
    starts.expect(0, ScriptLine("3", "삼", "ko", source=None))
    assert starts.words([SpokenWord(0, 1, 0, 80)]) == []


def test_times_are_counted_at_the_rate_of_the_engine() -> None:
    """The last sample of the file is the one before the first that follows the word."""
    starts = SentenceStarts(3, 2, first_sample=100, begun=-1)
    starts.made(2 * 5)
    starts.expect(4, line_of("가나", "ko", 1.0, source=(7, 9), text="앞의 글이다 가나"))
    words = [SpokenWord(0, 1, 0, 4)]
    assert starts.words(words) == [(105, WordTime(4, 7, 8, 51_666, 53_000))]
    words.append(SpokenWord(1, 2, 4, 6))
    assert starts.words(words) == [(107, WordTime(4, 8, 9, 53_000, 53_666))], "the first one was returned"
