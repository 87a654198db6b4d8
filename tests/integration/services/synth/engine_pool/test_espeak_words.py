"""When espeak speaks each word, from its real process: the times of its own events, and the same for any skip."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import unicodedata
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from services.synth.engine_pool.pool import EnginePool
from services.synth.engine_pool.slot import Slot
from services.synth.engines.base import SpokenWord
from tests.support.engines import LOG, RATE

pytestmark = pytest.mark.integration

TOLERANCE_MS = 20
SENTENCES = [
    ("ko", "안녕하세요, 반갑습니다. 오늘은 날씨가 좋습니다"),
    ("ko", "오늘은 weather 가 아주 좋다: 그 사람이 말했다 (정말로)."),
    ("ko", "삼만 오천 원입니다 😊! 다음에 또 오세요…"),
    ("en-us", "The weather was fine, and Dr. Smith's dogs don't bark today!"),
    ("en-us", "The price is three dollars (approx. five kilometers, e.g. miles)."),
    ("en-us", 'Is "quoted" text - in brackets (like this) - spoken? Yes; it is.'),
]
READER = """
import ctypes, json, os, sys
import espeakng_loader

class Event(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in ("type", "uid", "position", "length", "ms", "sample")] + [
        ("user", ctypes.c_void_p), ("id", ctypes.c_char * 8)]

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
voice, text, wpm = sys.argv[1], sys.argv[2], int(sys.argv[3])
library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Initialize(2, 20, os.fsencode(espeakng_loader.get_data_path()), 0x8000)
library.espeak_ng_SetRandSeed(ctypes.c_long(1))
library.espeak_SetVoiceByName(voice.encode())
pcm, found = bytearray(), []

def receive(samples, count, events):
    if count > 0:
        pcm.extend(ctypes.string_at(samples, 2 * count))
    at = 0
    while events[at].type:
        found.append((events[at].type, events[at].position, events[at].ms))
        at += 1
    return 0

callback = Callback(receive)
library.espeak_SetSynthCallback(callback)
library.espeak_SetParameter(1, wpm, 0)
data = text.encode() + bytes(1)
library.espeak_Synth(data, len(data), 0, 1, 0, 0x1001, None, None)
print(json.dumps({"pcm": pcm.hex(), "events": found}))
"""


@pytest.fixture
async def engine() -> AsyncIterator[Slot]:
    async with EnginePool("espeak", 1, log=LOG) as pool, pool.acquire() as slot:
        yield slot


async def spoken_words(engine: Slot, sentence: str, **options: Any) -> tuple[bytes, list[SpokenWord]]:
    """The audio and the words of a sentence. Each word is there with the audio in which it ends."""
    pcm, known = bytearray(), list[tuple[int, int]]()
    skipped = 0 if options.get("keep_skipped") else options.get("skip_bytes", 0)
    async with aclosing(engine.speak(sentence, language="ko-KR", **options)) as speech:
        async for piece in speech:
            pcm += piece
            known.append((len(speech.words), skipped + len(pcm)))
        for count, until in known:
            assert all(2 * word.end_sample > until for word in speech.words[count:]), "a word has come after its audio"
        return bytes(pcm), list(speech.words)


def read_by_itself(voice: str, text: str, speed: float) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The PCM and the events (type, position, ms) of eSpeak, read in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", READER, voice, text, str(round(175 * speed))],
        capture_output=True,
        check=True,
        timeout=60,
    )
    value = json.loads(run.stdout)
    return bytes.fromhex(value["pcm"]), [tuple(event) for event in value["events"]]


def place_of_word(text: str, position: int) -> int:
    """The place from 0 of a word event. After `approx.` the position is that of the white space before the word."""
    return position if text[position - 1].isspace() else position - 1


def written_words(text: str) -> set[int]:
    """The places of all letters and digits."""
    return {at for at, char in enumerate(text) if char.isalnum()}


@pytest.mark.parametrize(("voice", "sentence"), SENTENCES)
@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
async def test_words_have_the_times_of_the_events_and_cover_the_text(
    engine: Slot, voice: str, sentence: str, speed: float
) -> None:
    pcm, words = await spoken_words(engine, sentence, voice=voice, speed=speed)
    expected, events = read_by_itself(voice, sentence, speed)
    assert pcm == expected, "the audio is not what eSpeak makes without the words"
    begins = {place_of_word(sentence, position): ms for kind, position, ms in reversed(events) if kind == 1}
    clause_ends = [ms for kind, _, ms in events if kind == 5]
    assert written_words(sentence) <= {at for word in words for at in range(word.first, word.end)}
    for word in words:
        assert abs(word.begin_sample * 1000 / RATE - begins[word.first]) <= TOLERANCE_MS
        assert sentence[word.first : word.end].strip() == sentence[word.first : word.end]
    for word, following in itertools.pairwise(words):
        assert word.first < word.end <= following.first and word.begin_sample < word.end_sample
        pause = next((ms for ms in clause_ends if abs(following.begin_sample * 1000 / RATE - ms) <= 1), None)
        if pause is None:
            assert word.end_sample == following.begin_sample
        else:
            check_silence(pcm, word.end_sample, following.begin_sample)
    check_silence(pcm, words[-1].end_sample, len(pcm) // 2)


def check_silence(pcm: bytes, first: int, end: int) -> None:
    """There is sound up to the sample `first`, and none up to `end`."""
    samples = memoryview(pcm).cast("h")
    assert any(samples[max(first - RATE // 50, 0) : first]), "the word does not end with sound"
    assert not any(samples[first:end]), "there is sound after the word"


async def test_words_are_the_same_for_any_skipped_audio(engine: Slot) -> None:
    _, sentence = SENTENCES[0]
    whole, words = await spoken_words(engine, sentence, voice="ko")
    for skip in (2, len(whole) // 3, len(whole) - 2, len(whole)):
        for keep in (False, True):
            pcm, again = await spoken_words(engine, sentence, voice="ko", skip_bytes=skip, keep_skipped=keep)
            assert (pcm, again) == (whole if keep else whole[skip:], words)


async def test_words_of_decomposed_text_are_in_it(engine: Slot) -> None:
    sentence = "안녕하세요, 여러분 café"
    decomposed = unicodedata.normalize("NFD", sentence)
    whole, words = await spoken_words(engine, sentence, voice="ko")
    pcm, again = await spoken_words(engine, decomposed, voice="ko")
    assert pcm == whole and [word[2:] for word in again] == [word[2:] for word in words]
    assert [unicodedata.normalize("NFC", decomposed[word.first : word.end]) for word in again] == [
        sentence[word.first : word.end] for word in words
    ]
    assert len(words) == 3


async def test_other_languages_and_odd_texts_have_words_in_order(engine: Slot) -> None:
    for voice, sentence in [
        ("ja", "今日は、いい天気です。"),
        ("cmn", "你好世界今天天气"),
        ("ko", "1234567원 2025년 3.14 A.B.C and/or 1,234.56"),
        ("en-us+f2", "hello there, you"),
        ("ko", "앞\0뒤 끝"),
        ("en-us", "word " * 400),
    ]:
        _, words = await spoken_words(engine, sentence, voice=voice)
        assert words
        for word, following in itertools.pairwise(words):
            assert word.first < word.end <= following.first
            assert word.begin_sample < word.end_sample <= following.begin_sample
