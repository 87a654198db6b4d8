"""The limits of audio: the rule, and an utterance that exceeds it at any place."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.synth.audio.pcm_chunker import Cutting
from services.synth.engine_pool.engine_info import EngineInfo
from services.synth.engines.base import AudioTooLong, SpokenWord, Voice
from services.synth.job.outcome import worth_retrying
from services.synth.speech.audio_limits import UNLIMITED, AudioLimits
from services.synth.speech.resume import FIRST_ATTEMPT, Resume
from services.synth.speech.speak import SpokenUtterance, speak_utterance
from services.synth.speech.speaker import Spoken
from services.synth.text.script_line import ScriptLine

pytestmark = pytest.mark.unit

RATE = 8_000
TENTH = 2 * RATE // 10
"""Bytes of 0.1 s of audio."""
UTTERANCE = SpokenUtterance(None, "en-US", 1.0, "pcm16")


@given(limit_s=st.floats(1, 1e6), seconds=st.floats(0, 1e7), chars=st.integers(0, 100_000))
def test_the_limit_of_a_sentence_grows_with_its_length_beyond_300_characters(
    limit_s: float, seconds: float, chars: int
) -> None:
    limits = AudioLimits(sentence_s=limit_s)
    allowed_s = limits.sentence_limit_s(chars)
    assert allowed_s == (limit_s if chars <= 300 else pytest.approx(limit_s * chars / 300))
    with pytest.raises(AudioTooLong, match="TTS_MAX_SENTENCE_AUDIO_SECONDS") if seconds > allowed_s else _passes():
        limits.check_sentence(seconds, chars)
    UNLIMITED.check_sentence(seconds, chars)


@given(limit_s=st.floats(1, 1e6), seconds=st.floats(0, 1e7))
def test_an_utterance_may_have_its_limit_and_no_more(limit_s: float, seconds: float) -> None:
    with pytest.raises(AudioTooLong, match="TTS_MAX_UTTERANCE_AUDIO_SECONDS") if seconds > limit_s else _passes():
        AudioLimits(utterance_s=limit_s).check_utterance(seconds)
    UNLIMITED.check_utterance(seconds)


def test_another_attempt_is_not_made() -> None:
    error = AudioTooLong("the utterance is too long")
    assert (error.code, error.retryable, worth_retrying(error)) == ("audio_too_long", False, False)


def _passes() -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class CountingSpeaker:
    """Speaks each line in pieces of the given tenths of a second, and counts the bytes that were read."""

    def __init__(self, sentences: dict[str, list[int]], *, deterministic: bool) -> None:
        self.info = EngineInfo("mouth", "1", deterministic, 1, True, RATE, {"calm": Voice("calm", "en-US", RATE)})
        self.read_bytes = 0
        self._sentences = sentences

    @contextlib.asynccontextmanager
    async def speak(
        self, line: ScriptLine, *, voice: str | None, due_s: float, skip_bytes: int, keep_skipped: bool
    ) -> AsyncIterator[Spoken]:
        """See Speaker."""
        yield _Pieces(self, self._sentences[line.spoken], 0 if keep_skipped else skip_bytes)


class _Pieces:
    def __init__(self, speaker: CountingSpeaker, pieces: list[int], skip_bytes: int) -> None:
        self.total_bytes: int | None = None
        self.words: list[SpokenWord] = []
        self._speaker, self._pieces, self._skip = speaker, pieces, skip_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        skip = self._skip
        for tenths in self._pieces:
            piece = b"\1\1" * (tenths * TENTH // 2)
            skipped = min(skip, len(piece))
            skip -= skipped
            if piece[skipped:]:
                self._speaker.read_bytes += len(piece) - skipped
                yield piece[skipped:]
        self.total_bytes = sum(self._pieces) * TENTH


sentences = st.lists(
    st.tuples(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(0, 30)), min_size=1, max_size=5
)
"""Of each sentence its pieces, and the pause after it, in tenths of a second."""


@given(
    script=sentences,
    sentence_tenths=st.integers(1, 80),
    utterance_tenths=st.integers(1, 300),
    before_tenths=st.integers(0, 20),
    deterministic=st.booleans(),
    rate_hz=st.sampled_from([None, 16_000]),
    stored=st.integers(0, 40),
)
@example(  # the resampler holds 50 ms back
    script=[([1], 0)],
    sentence_tenths=1,
    utterance_tenths=1,
    before_tenths=1,
    deterministic=False,
    rate_hz=16_000,
    stored=0,
)
async def test_an_utterance_ends_at_the_first_piece_beyond_a_limit(
    script: list[tuple[list[int], int]],
    sentence_tenths: int,
    utterance_tenths: int,
    before_tenths: int,
    deterministic: bool,
    rate_hz: int | None,
    stored: int,
) -> None:
    """Also one that is resumed at any chunk. What comes before stays, and no further piece is read."""
    lines = [
        ScriptLine(str(n), str(n), "en-US", 1.0, pause / 10, before_tenths / 10 if n == 0 else 0.0)
        for n, (_, pause) in enumerate(script)
    ]
    pieces_of = {str(n): pieces for n, (pieces, _) in enumerate(script)}
    # Half a tenth more than the limit in tenths: no sum of floats comes near it.
    limits = AudioLimits((sentence_tenths + 0.5) / 10, (utterance_tenths + 0.5) / 10)
    limited = replace(UTTERANCE, limits=limits, sample_rate_hz=rate_hz)
    fits, needed = True, before_tenths
    for pieces, pause in script:
        needed += sum(pieces) + pause
        fits = fits and sum(pieces) <= sentence_tenths
    fits = fits and needed <= utterance_tenths

    whole, _, _ = await _spoken(pieces_of, lines, replace(limited, limits=UNLIMITED), FIRST_ATTEMPT, deterministic)
    made, error, read = await _spoken(pieces_of, lines, limited, FIRST_ATTEMPT, deterministic)
    assert (error is None) == fits
    made_bytes = sum(len(audio) for audio, _ in made)
    assert made_bytes <= (utterance_tenths + 1) * TENTH * (2 if rate_hz else 1)
    assert b"".join(audio for audio, _ in whole).startswith(b"".join(audio for audio, _ in made))
    assert read <= utterance_tenths * TENTH + 20 * TENTH, "it was read on behind the limit"

    head = made[: min(stored, len(made))]
    if not head or not deterministic:
        return
    resume = Resume(len(head), sum(len(audio) for audio, _ in head), head[-1][1])
    rest, error, _ = await _spoken(pieces_of, lines, limited, resume, deterministic)
    assert (error is None) == fits, "another attempt comes to another end"
    assert made == head + rest or not fits


async def _spoken(
    pieces_of: dict[str, list[int]],
    lines: list[ScriptLine],
    utterance: SpokenUtterance,
    resume: Resume,
    deterministic: bool,
) -> tuple[list[tuple[bytes, int]], AudioTooLong | None, int]:
    """The chunks with their sentences, the error, and the bytes that were read from the engine."""
    speaker, made = CountingSpeaker(pieces_of, deterministic=deterministic), []

    async def script() -> AsyncIterator[ScriptLine]:
        for line in lines:
            yield line

    try:
        async for piece in speak_utterance(speaker, utterance, script(), Cutting(1_600, ramp=False), resume=resume):
            made.append((piece.audio, piece.sentence))
    except AudioTooLong as exc:
        return made, exc, speaker.read_bytes
    return made, None, speaker.read_bytes
