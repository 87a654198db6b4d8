"""Whole utterances with an engine of known audio: pauses, engines without audio, resuming."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from orastream.contract.assembly import Assembly
from orastream.contract.audio import FORMATS, Format
from orastream.contract.audio_messages import AudioChunk, AudioStart
from services.synth.audio import encoder
from services.synth.audio.pcm_chunker import Cutting
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import CannotResume, NoAudio, SpokenWord, Voice
from services.synth.job.attempt import start_after
from services.synth.job.synthesis import resume_of
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import Spoken
from services.synth.text.script import script_of
from services.synth.text.script_line import ScriptLine

pytestmark = pytest.mark.unit

RATE = 8_000
SOUND = b"\1\1" * 800
"""0.1 s of audio."""


class FakeSpeech:
    """One complete sentence, as an engine process sends it."""

    def __init__(self, pcm: bytes, skip_bytes: int) -> None:
        self.total_bytes: int | None = None
        self.words: list[SpokenWord] = []
        self._whole, self._rest = pcm, pcm[skip_bytes:]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._rest:
            yield self._rest
        self.total_bytes = len(self._whole)


class FakeSpeaker:
    """A speaker that yields SOUND for text with the word "sound", and nothing for other text."""

    def __init__(self, *, deterministic: bool = True) -> None:
        voice = Voice("calm", "en-US", RATE)
        self.info = EngineInfo("mouth", "1", deterministic, 1, True, RATE, {"calm": voice})

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        yield FakeSpeech(SOUND if "sound" in line.spoken else b"", 0 if keep_skipped else skip_bytes)


async def pieces_of(
    markup: str, *, resume: Resume = FIRST_ATTEMPT, mouth: FakeSpeaker | None = None, **changes: Any
) -> list[tuple[int, int, bytes]]:
    """Returns index, sentence and bytes of each piece."""
    utterance = SpokenUtterance(**{"voice": None, "language": "en-US", "speed": 1.0, "format": "pcm16", **changes})
    lines = script_of(f"<speak>{markup}</speak>", "en-US", 1.0, ssml=True)
    speaking = speak_utterance(mouth or FakeSpeaker(), utterance, lines, Cutting(4_096), resume=resume)
    return [(piece.index, piece.sentence, piece.audio) async for piece in speaking]


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "markup", ["Nothing.", "Nothing.<break time='1s'/>", "<break time='1s'/>Nothing.", "No.<break time='1s'/>Nothing."]
)
async def test_utterance_of_pauses_alone_raises_no_audio(fmt: Format, markup: str) -> None:
    received: list[bytes] = []
    utterance = SpokenUtterance(None, "en-US", 1.0, fmt)
    lines = script_of(f"<speak>{markup}</speak>", "en-US", 1.0, ssml=True)
    with pytest.raises(NoAudio, match="'mouth' gave no audio"):
        async for piece in speak_utterance(FakeSpeaker(), utterance, lines, Cutting(4_096)):
            received.append(piece.audio)
    assert received == [], "audio was passed on, although no engine made any"


@pytest.mark.parametrize("rate_hz", [None, 16_000])
async def test_pauses_before_the_first_sound_are_part_of_the_audio(rate_hz: int | None) -> None:
    """Also pauses around a sentence without audio; and a resumed file has the same bytes."""
    markup = "<break time='333.3ms'/>Nothing.<break time='333.3ms'/>A sound.<break time='250ms'/>A sound."
    pieces = await pieces_of(markup, sample_rate_hz=rate_hz)
    file = b"".join(audio for _, _, audio in pieces)
    if rate_hz is None:
        pause = bytes(2 * 2_666)
        assert file == pause + pause + SOUND + bytes(2 * 2_000) + SOUND
    assert [index for index, _, _ in pieces] == list(range(len(pieces)))
    for stored in range(1, len(pieces)):
        head = b"".join(audio for _, _, audio in pieces[:stored])
        rest = await pieces_of(markup, sample_rate_hz=rate_hz, resume=Resume(stored, len(head), pieces[stored - 1][1]))
        assert head + b"".join(audio for _, _, audio in rest) == file


class DueSpeaker(FakeSpeaker):
    """Notes for each sentence how long the listener still has audio, in seconds: from now on, and from the start on."""

    def __init__(self) -> None:
        super().__init__()
        self.began_at = asyncio.get_running_loop().time()
        self.leads_s: list[float] = []
        self.due_s: list[float] = []

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        self.leads_s.append(due_s - asyncio.get_running_loop().time())
        self.due_s.append(due_s - self.began_at)
        yield FakeSpeech(SOUND if "sound" in line.spoken else b"", 0 if keep_skipped else skip_bytes)


@pytest.mark.parametrize("fmt", ["wav", "opus", "mulaw", "alaw"])
async def test_audio_that_is_made_again_is_not_ahead_of_the_listener(fmt: Format) -> None:
    """A synth that takes over makes stored audio again; the listener has heard it, so there is no time to pause."""
    markup = "A sound.<break time='9s'/>A sound.<break time='1s'/>A sound."
    first = DueSpeaker()
    pieces = await pieces_of(markup, mouth=first, format=fmt)
    assert first.due_s[1] > 8.9, "the pause is ahead of the listener"
    stored = sum(sentence == 0 for _, sentence, _ in pieces)
    again = DueSpeaker()
    size = sum(len(audio) for _, _, audio in pieces[:stored])
    await pieces_of(markup, mouth=again, format=fmt, resume=Resume(stored, size, 0))
    assert again.leads_s[1] < 1.0


# ---- the event loop


class Watched:
    """An encoder that notes its calls, and their threads. The step `waits_at` waits for `free`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.threads: set[int] = set()
        self.waits_at = ""
        self.free = threading.Event()

    def push(self, pcm: bytes) -> bytes:
        """See Encoder."""
        return self._called("silence" if not any(pcm) else "speech", pcm)

    def finish(self) -> bytes:
        """See Encoder."""
        return self._called("end", b"end.")

    def _called(self, what: str, out: bytes) -> bytes:
        self.calls.append((what, len(out)))
        self.threads.add(threading.get_ident())
        if what == self.waits_at:
            assert self.free.wait(10)
        return out


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Takes the place of every encoder."""
    made = Watched()
    monkeypatch.setattr(encoder, "encoder_of", lambda _fmt, _rate_hz, _tags: made)
    return made


MARKUP = "<break time='2s'/>A sound.<break time='3s'/>A sound."
PAUSE_S = 2 * RATE
"""Bytes of a pause of 1 s."""


async def test_pauses_and_the_end_are_encoded_in_a_thread(watched: Watched) -> None:
    pieces = await pieces_of(MARKUP, format="mulaw")
    sound, end = ("speech", len(SOUND)), ("end", 4)
    assert watched.calls == [("silence", 2 * PAUSE_S), sound, ("silence", 3 * PAUSE_S), sound, end]
    assert threading.get_ident() not in watched.threads
    assert b"".join(audio for _, _, audio in pieces).endswith(SOUND + b"end.")


@pytest.mark.parametrize("step", ["silence", "end"])
async def test_while_an_encoder_works_the_loop_runs_and_a_cancel_acts_at_once(watched: Watched, step: str) -> None:
    watched.waits_at = step
    speaking = asyncio.create_task(pieces_of(MARKUP, format="mulaw"))
    try:
        async with asyncio.timeout(5):
            while step not in [what for what, _ in watched.calls]:
                await asyncio.sleep(0.001)
            speaking.cancel()
            await asyncio.wait([speaking])
        assert speaking.cancelled()
    finally:
        watched.free.set()


# ---- resuming


def start(engine: str, version: str | None, rate_hz: int = RATE) -> AudioStart:
    return AudioStart(3, "pcm16", rate_hz, 1, engine, "en-US", version)


@pytest.mark.parametrize(
    ("before", "same"),
    [
        ([("mouth", "1")], True),
        ([("mouth", "1"), ("mouth", "1")], True),
        ([("mouth", "2")], False),
        ([("mouth", None)], False),
        ([("ear", "1")], False),
        ([("mouth", "1"), ("mouth", "2")], False),
    ],
)
def test_resume_is_of_the_same_engine_only_when_all_chunks_are_from_it(
    before: list[tuple[str, str | None]], same: bool
) -> None:
    progress = Assembly(3)
    for index, maker in enumerate(before):
        progress.receive(10 * index + 1, start(*maker))
        progress.receive(10 * index + 2, AudioChunk(10 * index + 1, index, 0, index, SOUND))
    progress.receive(99, start("mouth", "1"))
    last = len(before) - 1
    expected = Resume(len(before), len(before) * len(SOUND), last, last, tail=SOUND[-2:], same_engine=same)
    assert resume_of(progress, FakeSpeaker().info) == expected


def test_resume_begins_at_the_first_chunk_when_nothing_is_stored() -> None:
    progress = Assembly(3)
    progress.receive(1, start("ear", "7"))
    assert resume_of(progress, FakeSpeaker().info) == FIRST_ATTEMPT


def test_resumed_file_keeps_its_format_and_rate() -> None:
    progress, ours = Assembly(3), replace(start("mouth", "1"), format="opus")
    assert start_after(progress, ours) == ours
    progress.receive(1, start("mouth", "0", 16_000))
    assert start_after(progress, ours) == start("mouth", "1", 16_000), "the format of an earlier attempt is kept"
    assert start_after(progress, ours, copied=True) == start("mouth", "0", 16_000)


@pytest.mark.parametrize("fmt", FORMATS)
async def test_resume_begins_at_a_sentence_when_another_engine_version_made_the_audio(fmt: Format) -> None:
    markup = "A sound. Another sound."
    rest = {"markup": markup, "format": fmt, "resume": Resume(1, 1_000, 0, same_engine=False)}
    if fmt not in ("wav", "pcm16", "mulaw", "alaw"):
        with pytest.raises(CannotResume, match=f"{fmt} of mouth cannot be resumed"):
            await pieces_of(**rest)
        return
    made = b"".join(audio for _, _, audio in await pieces_of(**rest))
    assert len(made) == 2 * len(SOUND) // (2 if fmt in ("mulaw", "alaw") else 1), (
        "the audio is not that of both sentences"
    )
