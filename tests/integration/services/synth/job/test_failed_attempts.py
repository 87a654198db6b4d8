"""An engine that always fails: the request fails after three attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream import Acceptance, Client
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from services.synth.job.outcome import MAX_FAILED_ATTEMPTS
from tests.support.engines import install_choir_engine, install_strange_engine
from tests.support.services import Stack

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_choir_engine(tmp_path)
    install_strange_engine(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")


@pytest.mark.parametrize(("engine", "voice", "chunks"), [("choir", "raises", 0), ("strange", "raises", 1)])
async def test_a_request_fails_after_three_attempts(
    client: Client, stack: Stack, engine: str, voice: str, chunks: int
) -> None:
    """Also if each attempt stores a new chunk of the same sentence: strange speaks the sentence again."""
    await stack.start("synth", TTS_ENGINE=engine, SYNTH_SLOTS=1)
    said = {"phone_id": "p", "transport": "none", "voice": voice, "language": "ko-KR", "format": "pcm16"}
    accepted = await client.say("Apples are here.", session_id="s", **said)
    assert isinstance(accepted, Acceptance)
    heard = [message async for message in client.audio("s", accepted.request_id, accepted.request_seq)]
    end = heard[-1]
    assert isinstance(end, AudioEnd) and end.status == "failed" and end.error is not None
    assert (end.error.code, end.error.message) == ("engine_error", "out of breath")
    assert await stack.only("synth").metric("orastream_synth_engine_failures_total") == MAX_FAILED_ATTEMPTS
    stored = [message for message in heard if isinstance(message, AudioChunk)]
    assert len(stored) == chunks * MAX_FAILED_ATTEMPTS
    starts = [message for message in heard if isinstance(message, AudioStart)]
    assert len(starts) <= MAX_FAILED_ATTEMPTS + 1, "the last one only for the end"
