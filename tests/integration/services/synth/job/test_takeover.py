"""Another synth continues an utterance, with another version of the engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from orastream import Acceptance, Client
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart
from orastream.jetstream.api import JetStream
from services.synth.audio.fade import FADE_MS
from tests.support.engines import install_choir_engine
from tests.support.names import NAMES
from tests.support.services import Stack

pytestmark = pytest.mark.integration

TEXT = "Apples are here. Bread is here."
STORED = b"AA" * 400
"""The stored first chunk: half of the first sentence at 16 kHz."""
FADE = 2 * 16_000 * FADE_MS // 1000
"""Bytes from the last stored sample to silence."""
SENTENCES = b"AA" * 400 + b"BB" * 400


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_choir_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


async def taken_over(
    js: JetStream, client: Client, stack: Stack, fmt: str, version: str | None
) -> tuple[Acceptance, list[AudioMessage]]:
    """The acceptance and the audio messages of a request whose first chunk was made by `version` of the engine."""
    options = {"phone_id": "p", "transport": "none", "voice": "calm", "language": "en-US", "format": fmt}
    accepted = await client.say(TEXT, session_id="s", **options)
    assert isinstance(accepted, Acceptance)
    subject = NAMES.put_audio("s", subjects.token(accepted.request_id))
    start = AudioStart(accepted.request_seq, fmt, 16_000, 1, "choir", "en-US", version)
    attempt = (await js.store(subject, start.pack())).sequence
    await js.store(subject, AudioChunk(attempt, 0, 0, 0, STORED).pack())
    await stack.start("synth", TTS_ENGINE="choir", CHOIR_VERSION="2", SYNTH_SLOTS=1)
    audio = client.audio("s", accepted.request_id, accepted.request_seq)
    return accepted, [message async for message in audio]


async def test_next_synth_continues_pcm_after_the_stored_audio(js: JetStream, client: Client, stack: Stack) -> None:
    """The new synth keeps the sample rate of the stored audio, which is twice the engine's rate."""
    _, received = await taken_over(js, client, stack, "pcm16", "1")
    starts = [message for message in received if isinstance(message, AudioStart)]
    assert [(start.engine_version, start.sample_rate_hz) for start in starts][-1] == ("2", 16_000)
    audio = b"".join(message.audio for message in received if isinstance(message, AudioChunk))
    assert audio.startswith(STORED)
    assert len(audio) == len(STORED) + FADE + 2 * len(SENTENCES), (
        "the rest is not both sentences, resampled to the stored rate"
    )
    last, fade = STORED[-2:], np.frombuffer(audio[len(STORED) : len(STORED) + FADE], "<i2").astype(int)
    steps = np.diff([int.from_bytes(last, "little"), *fade, 0])
    assert (steps <= 0).all() and (abs(steps) <= 0.025 * 0x4141).all(), "the end of the stored part clicks"
    end = received[-1]
    assert isinstance(end, AudioEnd) and (end.status, end.total_bytes) == ("complete", len(audio))


@pytest.mark.parametrize("version", ["1", None])
async def test_request_fails_when_a_coded_file_cannot_be_continued(
    js: JetStream, client: Client, stack: Stack, version: str | None
) -> None:
    accepted, received = await taken_over(js, client, stack, "flac", version)
    assert [message.audio for message in received if isinstance(message, AudioChunk)] == [STORED]
    end = received[-1]
    assert isinstance(end, AudioEnd) and end.status == "failed" and end.error is not None
    assert end.error.code == "engine_error" and "flac of choir cannot be resumed" in end.error.message
    report = await client.wait("s", accepted.request_id, 10)
    assert report.status == "failed" and report.error is not None and report.error.retryable
