"""Which sentences begin in which chunk of an utterance, and the chunks' offsets: in every format, for any resume."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from orastream.contract.assembly import Assembly
from orastream.contract.audio import FORMATS, Format, PcmSpec, header_bytes, rate_for, seconds_of
from orastream.contract.audio_messages import AudioStart
from orastream.contract.sentence_start import SentenceStart
from services.synth.audio.encoder import file_mark
from services.synth.audio.fade import fade_after
from services.synth.audio.pcm_chunker import AudioPiece, Cutting
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import SpokenWord, Voice
from services.synth.job.synthesis import as_chunk, resume_of
from services.synth.speech.metered_speaker import MeteredSpeaker
from services.synth.speech.pausing_speaker import PausingSpeaker
from services.synth.speech.phrase_cache import CachingSpeaker, LookUp
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.sentence_starts import SentenceStarts
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import Speaker, Spoken
from services.synth.text.script import script_of
from services.synth.text.script_line import ScriptLine

pytestmark = pytest.mark.unit

HZ = 8_000
LETTER_S = 0.05
"""Seconds of audio for each letter of a sentence."""
PIECE = 2 * 320
TEXT = (
    "<speak><break time='300ms'/>하나둘셋넷다섯. 여섯. 일곱. <break time='1s'/>???<sub alias='zzz'>쉿</sub>."
    "<p>여덟아홉열.</p>가. 나. 다. 라. 마지막 문장입니다.</speak>"
)
"""Sentence 3 has no audio. Some sentences are shorter than the first chunk, some pauses are longer."""
SILENT = 3


class LetterSpeech:
    """One sentence, in pieces. A word comes with the piece in which it ends."""

    def __init__(self, pcm: bytes, skip_bytes: int, words: list[SpokenWord]) -> None:
        self.total_bytes: int | None = None
        self.words: list[SpokenWord] = []
        self._whole, self._first, self._all_words = pcm, skip_bytes, words

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(self._first, len(self._whole), PIECE):
            self.words += [word for word in self._all_words[len(self.words) :] if 2 * word.end_sample <= at + PIECE]
            yield self._whole[at : at + PIECE]
        self.total_bytes, self.words = len(self._whole), self._all_words


def letters_of(spoken: str) -> list[SpokenWord]:
    """Each letter as a word, for `LetterSpeaker`."""
    places = [at for at, char in enumerate(spoken) if char.isalpha() and char != "z"]
    samples = [int(number * LETTER_S * HZ) for number in range(len(places) + 1)]
    return [SpokenWord(at, at + 1, *samples[number : number + 2]) for number, at in enumerate(places)]


class LetterSpeaker:
    """A speaker whose sentences last LETTER_S for each letter; none for a `z`."""

    def __init__(self, *, deterministic: bool = True, words: bool = False) -> None:
        self.words = words
        """Whether it reports each letter as a word."""
        self.info = EngineInfo("letters", "1", deterministic, 1, True, HZ, {"v": Voice("v", "ko-KR", HZ)})

    @asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        samples = int(sum(char.isalpha() and char != "z" for char in line.spoken) * LETTER_S * HZ)
        pcm = b"".join((1_000 + at % 97 * 100).to_bytes(2, "little") for at in range(samples))
        yield LetterSpeech(pcm, 0 if keep_skipped else skip_bytes, letters_of(line.spoken) if self.words else [])


def utterance(fmt: Format, rate_hz: int | None = None) -> SpokenUtterance:
    return SpokenUtterance(voice=None, language="ko-KR", speed=1.0, format=fmt, sample_rate_hz=rate_hz)


async def pieces_of(
    of: SpokenUtterance,
    cutting: Cutting,
    resume: Resume = FIRST_ATTEMPT,
    *,
    speaker: Speaker | None = None,
    text: str = TEXT,
) -> list[AudioPiece]:
    lines = script_of(text, "ko-KR", 1.0, ssml=text.startswith("<"))
    speaking = speak_utterance(speaker or LetterSpeaker(), of, lines, cutting, resume=resume)
    return [piece async for piece in speaking]


def spec_of(of: SpokenUtterance) -> PcmSpec:
    return PcmSpec(of.sample_rate_hz or rate_for(of.format, HZ))


def starts_of(pieces: list[AudioPiece]) -> list[SentenceStart]:
    return [start for piece in pieces for start in piece.sentences]


def check_offsets(pieces: list[AudioPiece], first: int = 0) -> None:
    sizes = itertools.accumulate((len(piece.audio) for piece in pieces), initial=first)
    assert [piece.offset for piece in pieces] == list(sizes)[:-1]


def check_places(of: SpokenUtterance, pieces: list[AudioPiece]) -> None:
    """Each sentence is in the chunk whose time has its first sample."""
    ends_ms = [*(piece.pts_ms for piece in pieces[1:]), 10**9]
    for piece, end_ms in zip(pieces, ends_ms, strict=False):
        for start in piece.sentences:
            assert piece.pts_ms <= start.ms <= end_ms, (piece.pts_ms, start, end_ms)
            if of.format in ("wav", "pcm16"):
                end = seconds_of(of.format, spec_of(of), piece.offset + len(piece.audio))
                assert end is not None and start.ms < end * 1000


async def progress_after(of: SpokenUtterance, pieces: list[AudioPiece], *, old: bool = False) -> Assembly:
    """What a synth reads that takes over after these chunks."""
    progress = Assembly(3)
    version = "1" + file_mark(of.format)
    progress.receive(1, AudioStart(3, of.format, spec_of(of).sample_rate_hz, 1, "letters", "ko-KR", version))
    for sequence, piece in enumerate(pieces, 2):
        chunk = as_chunk(piece, 1, None)
        if old:
            chunk.offset, chunk.sentences = None, ()
        assert progress.receive(sequence, chunk) == [chunk]
    return progress


UTTERANCES = [utterance(fmt) for fmt in FORMATS] + [
    utterance("wav", 22_050),
    utterance("pcm16", 6_000),
    utterance("mulaw", 16_000),
    utterance("alaw", 16_000),
    utterance("opus", 24_000),
    utterance("mp3", 22_050),
]
CUTTINGS = [Cutting(4_096), Cutting(800, ramp=False), Cutting(65_536, ramp=False), Cutting(4_096, by_sentence=True)]


def name_of(value: Any) -> str:
    if isinstance(value, Cutting):
        return f"{value.chunk_bytes}-{'ramp' if value.ramp else 'flat'}-{'sentence' if value.by_sentence else ''}"
    return f"{value.format}-{value.sample_rate_hz}"


@pytest.mark.parametrize("of", UTTERANCES, ids=name_of)
@pytest.mark.parametrize("cutting", CUTTINGS, ids=name_of)
async def test_each_sentence_with_audio_begins_once_in_the_chunk_of_its_first_sample(
    of: SpokenUtterance, cutting: Cutting
) -> None:
    pieces = await pieces_of(of, cutting)
    starts = starts_of(pieces)
    check_offsets(pieces)
    check_places(of, pieces)
    lines = [line async for line in script_of(TEXT, "ko-KR", 1.0, ssml=True)]
    assert [start.number for start in starts] == [number for number in range(len(lines)) if number != SILENT]
    at_s = 0.0
    expected = []
    for number, line in enumerate(lines):
        at_s += line.before_s
        if number != SILENT:
            expected.append((number, at_s * 1000, line.text, line.source))
        at_s += sum(char.isalpha() and char != "z" for char in line.spoken) * LETTER_S + line.pause_s
    for start, (number, ms, text, source) in zip(starts, expected, strict=True):
        assert (start.number, start.text, (start.first, start.end)) == (number, text, source)
        assert ms - 1.01 < start.ms <= ms + 1
    assert starts[0].ms == 300, "the silence before the first sentence is not part of it"


@pytest.mark.parametrize("of", UTTERANCES, ids=name_of)
@pytest.mark.parametrize("cutting", CUTTINGS, ids=name_of)
async def test_an_exact_resume_at_any_chunk_gives_the_same_sentences_and_offsets(
    of: SpokenUtterance, cutting: Cutting
) -> None:
    whole = await pieces_of(of, cutting)
    info = LetterSpeaker().info
    for stored in range(1, len(whole) + 1):
        resume = resume_of(await progress_after(of, whole[:stored]), info)
        rest = await pieces_of(of, cutting, resume)
        check_offsets(rest, sum(len(piece.audio) for piece in whole[:stored]))
        assert starts_of(whole[:stored]) + starts_of(rest) == starts_of(whole)
        if not cutting.ramp and not cutting.by_sentence:
            assert [(piece.index, piece.offset) for piece in rest] == [
                (piece.index, piece.offset) for piece in whole[stored:]
            ]
        if of.format in ("wav", "pcm16"):
            check_places(of, rest)


@pytest.mark.parametrize(
    "of", [utterance("wav"), utterance("pcm16", 22_050), utterance("mulaw"), utterance("alaw")], ids=name_of
)
async def test_a_repeated_sentence_begins_again_at_a_new_time(of: SpokenUtterance) -> None:
    """Readers identify it by its number, and the last one counts."""
    speaker, cutting = LetterSpeaker(deterministic=False), Cutting(4_096)
    whole = await pieces_of(of, cutting, speaker=speaker)
    for stored in range(1, len(whole)):
        progress = await progress_after(of, whole[:stored])
        resume = resume_of(progress, speaker.info)
        rest = await pieces_of(of, cutting, resume, speaker=speaker)
        check_offsets(rest, progress.bytes)
        check_places(of, rest)
        again = starts_of(rest)
        assert [start.number for start in again] == [
            start.number for start in starts_of(whole) if start.number >= resume.sentence
        ]
        stored_s = seconds_of(of.format, spec_of(of), progress.bytes)
        assert stored_s is not None
        before_s = 0.3 if resume.sentence == 0 else 0.0
        fade = fade_after(of.format, progress.tail, spec_of(of).sample_rate_hz)
        before_s += spec_of(of).seconds(len(fade))
        if again and again[0].number == resume.sentence:
            assert abs(again[0].ms - (stored_s + before_s) * 1000) < 1.01


@pytest.mark.parametrize("of", [utterance("wav"), utterance("opus")], ids=name_of)
async def test_after_an_older_synth_a_sentence_is_reported_at_most_one_chunk_late(of: SpokenUtterance) -> None:
    """The stored chunks say only which sentence their first sample belongs to."""
    cutting = Cutting(2_048, ramp=False)
    whole = await pieces_of(of, cutting)
    for stored in range(1, len(whole) + 1):
        progress = await progress_after(of, whole[:stored], old=True)
        rest = await pieces_of(of, cutting, resume_of(progress, LetterSpeaker().info))
        check_offsets(rest, progress.bytes)
        numbers = [start.number for start in starts_of(rest)]
        later = [start.number for start in starts_of(whole[stored:])]
        assert numbers == sorted(set(numbers)) and set(later) - set(range(progress.next_sentence + 1)) <= set(numbers)
        for piece in rest:
            for start in piece.sentences:
                assert start.number > progress.next_sentence
                assert start.ms >= whole[stored - 1].pts_ms


class Memory:
    """A phrase store and its counts."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.hits = 0

    async def get(self, name: str) -> bytes | None:
        """See PhraseStore."""
        return self.objects.get(name)

    async def put(self, name: str, data: bytes) -> None:
        """See PhraseStore."""
        self.objects[name] = data

    def phrase_looked_up(self, result: LookUp) -> None:
        """See PhraseCounts."""
        self.hits += result == "hit"

    def phrase_kept(self, size_bytes: int) -> None:
        """See PhraseCounts."""


@pytest.mark.parametrize("of", [utterance("wav"), utterance("wav", 22_050), utterance("opus")], ids=name_of)
async def test_cached_and_paused_sentences_begin_where_the_engine_s_do(of: SpokenUtterance) -> None:
    """Also when an attempt continues in the middle of a cached sentence."""
    cutting, memory, seconds = Cutting(800, ramp=False), Memory(), itertools.count()
    expected = await pieces_of(of, cutting)

    async def pause(due_s: float) -> None:
        await asyncio.sleep(0)

    async with CachingSpeaker(LetterSpeaker(), memory, memory, clock=lambda: float(next(seconds))) as cached:
        speaker = MeteredSpeaker(PausingSpeaker(cached, pause))
        assert await pieces_of(of, cutting, speaker=speaker) == expected
        phrases = {start.text for start in starts_of(expected)}
        async with asyncio.timeout(10):
            while len(memory.objects) < len(phrases):  # each is stored in a task
                await asyncio.sleep(0)
        pieces = await pieces_of(of, cutting, speaker=speaker)
        check_places(of, pieces)
        assert starts_of(pieces) == starts_of(expected)
        assert [(piece.offset, piece.audio) for piece in pieces] == [(piece.offset, piece.audio) for piece in expected]
        assert memory.hits >= len(phrases)
        for stored in range(1, len(expected)):
            resume = resume_of(await progress_after(of, expected[:stored]), speaker.info)
            rest = await pieces_of(of, cutting, resume, speaker=speaker)
            assert starts_of(rest) == starts_of(expected[stored:])
            assert [piece.offset for piece in rest] == [piece.offset for piece in expected[stored:]]


async def test_sentences_of_plain_text_are_their_parts_of_it() -> None:
    text = "  안녕하세요, 😊 여러분.\n\n다음입니다!  끝"
    starts = starts_of(await pieces_of(utterance("wav"), Cutting(32_768), text=text))
    assert [text[start.first : start.end] for start in starts] == [start.text for start in starts]
    assert [start.text for start in starts] == ["안녕하세요, 😊 여러분.", "다음입니다!", "끝"]


async def test_the_header_is_part_of_the_first_chunk_and_of_offsets() -> None:
    pieces = await pieces_of(utterance("wav"), Cutting(4_096))
    plain = await pieces_of(utterance("pcm16"), Cutting(4_096))
    assert pieces[0].audio[:4] == b"RIFF" and pieces[0].offset == 0
    assert pieces[1].offset == plain[1].offset + header_bytes("wav")


def test_the_first_sample_is_the_next_one_at_the_rate_of_the_file() -> None:
    line = ScriptLine("가", "가", "ko", source=(4, 5))
    starts = SentenceStarts(3, 2, first_sample=100, begun=4)
    starts.made(2 * 5)
    starts.expect(4, line)
    assert starts.spoken() is None, "a stored chunk reports it"
    starts.expect(5, line)
    assert starts.spoken() == (104, SentenceStart(5, 52_000, "가", 4, 5)), "5 samples of 1/3 s end in sample 3.33"
    assert starts.spoken() is None
