"""Voices with a gain: the samples, the keys of the phrase cache, and what two synths with different gains do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import numpy as np
import pytest

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk
from orastream.contract.messages import SpeakRequest
from services.synth.audio.levels import Levels
from services.synth.audio.pcm_chunker import AudioPiece, Cutting
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import SpokenWord, Voice
from services.synth.job.synthesis import resume_of, start_of
from services.synth.speech.levelled_speaker import LevelledSpeaker
from services.synth.speech.phrase_key import phrase_key
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import Speaker, Spoken
from services.synth.text.script import script_of
from services.synth.text.script_line import ScriptLine

pytestmark = pytest.mark.unit

HZ = 8_000
TEXT = "One here. Two is here. Three."
SENTENCE = np.arange(-4_000, 4_000, 1, dtype="<i2").tobytes()
"""A second of a rising slope."""
WORD = SpokenWord(0, 3, 0, 100)


class Slope:
    """One sentence in pieces of 1 000 samples."""

    def __init__(self, skip_bytes: int) -> None:
        self.total_bytes: int | None = None
        self.words = [WORD]
        self._skip_bytes = skip_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(self._skip_bytes, len(SENTENCE), 2_000):
            yield SENTENCE[at : at + 2_000]
        self.total_bytes = len(SENTENCE)


class Slopes:
    """A speaker whose sentences all sound alike."""

    def __init__(self) -> None:
        voices = {name: Voice(name, "en-US", HZ) for name in ("loud", "calm")}
        self.info = EngineInfo("slopes", "1", True, 1, True, HZ, voices)

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        yield Slope(0 if keep_skipped else skip_bytes)


def levelled(**gains: float) -> LevelledSpeaker:
    return LevelledSpeaker(Slopes(), Levels(gains, {"en-us": gains.get("loud", 0.0)}, "en-us"))


async def pieces_of(speaker: Speaker, voice: str, resume: Resume = FIRST_ATTEMPT) -> list[AudioPiece]:
    utterance = SpokenUtterance(voice, "en-US", 1.0, "pcm16")
    speaking = speak_utterance(speaker, utterance, script_of(TEXT, "en-US", 1.0), Cutting(4_000), resume=resume)
    return [piece async for piece in speaking]


def file(pieces: list[AudioPiece]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


async def test_a_gain_changes_the_samples_and_neither_their_number_nor_the_words() -> None:
    plain, louder = await pieces_of(Slopes(), "loud"), await pieces_of(levelled(loud=6.0), "loud")
    before, after = (np.frombuffer(file(pieces), "<i2").astype(float) for pieces in (plain, louder))
    assert np.all(abs(after - before * 10 ** (6 / 20)) <= 1)
    assert [(len(p.audio), p.words, p.pts_ms) for p in louder] == [(len(p.audio), p.words, p.pts_ms) for p in plain]
    assert file(await pieces_of(levelled(loud=6.0), "calm")) == file(plain), "the other voice has no gain"


@pytest.mark.parametrize("stored", [1, 5, 9])
async def test_a_resume_at_the_same_gain_is_exact(stored: int) -> None:
    whole = await pieces_of(levelled(loud=6.0), "loud")
    head = whole[:stored]
    resume = Resume(stored, len(file(head)), head[-1].sentence)
    assert file(head) + file(await pieces_of(levelled(loud=6.0), "loud", resume)) == file(whole)


def progress_of(engine: EngineInfo, voice: str | None, piece: AudioPiece) -> Assembly:
    """The stored audio of an attempt that stored one piece."""
    utterance = SpokenUtterance(voice, "en-US", 1.0, "pcm16")
    start = start_of(SpeakRequest(session_id="s", phone_id="p", text=TEXT), 1, engine, utterance)
    progress = Assembly(1)
    progress.receive(2, start)
    progress.receive(3, AudioChunk(2, 0, 0, piece.sentence, piece.audio, offset=0))
    return progress


@pytest.mark.parametrize(("version", "same"), [(None, True), ("1", False), ("1+av1.0", False)])
async def test_a_coded_file_of_another_encoder_is_not_continued(version: str | None, same: bool) -> None:
    """Its header or its frames have other bytes, also of the same samples."""
    speaker, utterance = Slopes(), SpokenUtterance("calm", "en-US", 1.0, "opus")
    request = SpeakRequest(session_id="s", phone_id="p", text=TEXT)
    start = start_of(request, 1, speaker.info, utterance)
    progress = Assembly(1)
    progress.receive(2, start if version is None else replace(start, engine_version=version))
    progress.receive(3, AudioChunk(2, 0, 0, 0, b"OggS", offset=0))
    assert resume_of(progress, speaker.info, "calm").same_engine is same


@pytest.mark.parametrize(
    ("voice", "before", "now", "same"),
    [
        ("loud", {"loud": 6.0}, {"loud": 6.0}, True),
        ("loud", {"loud": 6.0}, {"loud": 5.5}, False),
        ("loud", {"loud": 6.0}, {}, False),
        ("loud", {}, {"loud": 6.0}, False),
        ("loud", {"calm": 6.0}, {"calm": 2.0}, True),  # the gain of another voice has no effect
        (None, {"loud": 6.0}, {"loud": 6.0}, True),
        (None, {"loud": 6.0}, {"loud": 5.5}, False),
        ("calm", {"loud": 6.0}, {}, True),
    ],
)
async def test_two_synths_with_different_gains_do_not_mix_in_a_sentence(
    voice: str | None, before: dict[str, float], now: dict[str, float], same: bool
) -> None:
    one, other = levelled(**before), levelled(**now)
    first = (await pieces_of(one, voice or "loud"))[0]
    assert resume_of(progress_of(one.info, voice, first), other.info, voice).same_engine is same
    assert one.info.version == Slopes().info.version, "what the engine says of itself stays"


async def test_the_phrase_cache_has_another_key_for_another_gain_only() -> None:
    (line,) = [line async for line in script_of("One.", "en-US", 1.0)]
    plain = Slopes().info
    keys = {phrase_key(levelled(loud=gain).info, line, "loud") for gain in (0.0, 0.5, 6.0)}
    assert len(keys) == 3
    assert phrase_key(plain, line, "loud") in keys, "a sentence at 0 dB is that of a synth without levels"
    assert phrase_key(levelled(loud=6.0).info, line, "calm") == phrase_key(plain, line, "calm")
    assert phrase_key(levelled(loud=6.0).info, line, None) != phrase_key(plain, line, None)
    german = replace(line, language="de-DE")
    levels = Levels({}, {"en-us": 1.0, "de-de": 2.0}, "en-us")
    assert phrase_key(replace(plain, levels=levels), german, None) != phrase_key(plain, german, None)
