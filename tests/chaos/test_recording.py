"""What the chaos suite records: the stored audio of a request, and the answers of the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.jetstream.api import Stored
from tests.chaos.composed.callers import record
from tests.chaos.composed.example_run import an_honest_run
from tests.chaos.composed.history import Request, StoredAudio, digest
from tests.chaos.composed.recorder import assembled
from tests.chaos.composed.run import Plan, load, save

pytestmark = pytest.mark.unit

CHUNKS = [(3, digest(b"abc")), (2, digest(b"de"))]


def stored(*messages: AudioStart | AudioChunk | AudioEnd) -> list[Stored]:
    """The messages in a stream, from sequence 1 on."""
    return [
        Stored("tts.audio.s.r", sequence, "2026-01-01T00:00:00Z", message.pack())
        for sequence, message in enumerate(messages, 1)
    ]


def start(request_seq: int) -> AudioStart:
    return AudioStart(request_seq, "wav", 8000, 1, "espeak", "en-US")


def chunk(attempt: int, index: int, audio: bytes) -> AudioChunk:
    return AudioChunk(attempt, index, 0, 0, audio)


def end(attempt: int) -> AudioEnd:
    return AudioEnd(attempt, "complete", 2, 5, 1.0)


def test_a_saved_run_is_read_back(tmp_path: Path) -> None:
    history = an_honest_run().history
    save(tmp_path, Plan(1, 20), [], history, [])
    assert load(tmp_path) == history


def test_the_audio_of_two_attempts_is_put_together() -> None:
    messages = stored(start(7), chunk(1, 0, b"abc"), start(7), chunk(1, 1, b"xx"), chunk(3, 1, b"de"), end(3))
    assert assembled(messages, 7) == StoredAudio(CHUNKS, "complete", starts=2)


def test_an_attempt_of_another_request_with_the_same_id_is_counted_also_after_the_end() -> None:
    messages = stored(start(7), chunk(1, 0, b"abc"), chunk(1, 1, b"de"), end(1), start(9), chunk(5, 0, b"abc"), end(5))
    assert assembled(messages, 7) == StoredAudio(CHUNKS, "complete", starts=1, other_attempts=1)
    assert assembled(stored(start(9), start(7)), 7) == StoredAudio([], None, starts=1)


FINAL = {"status": "failed", "requestSeq": 5, "error": {"code": "engine_error"}}
REFUSED = {"status": "failed", "requestSeq": 0, "error": {"code": "overloaded"}}
UNAVAILABLE = {"status": "failed", "requestSeq": 0, "error": {"code": "internal"}}
QUEUED = {"status": "queued", "requestSeq": 5}
HTTP_REFUSED = {"error": {"code": "overloaded"}}
HTTP_TIMEOUT = {"error": {"code": "wait_timeout"}, "report": "/api/reports/s/r"}


@pytest.mark.parametrize(
    ("status", "body", "seq", "answered", "refused", "gave_up"),
    [
        (200, FINAL, 5, True, False, False),
        (502, FINAL, 5, True, False, False),
        (503, REFUSED, None, False, True, False),
        (503, HTTP_REFUSED, None, False, True, False),
        (503, UNAVAILABLE, None, False, False, False),
        (400, UNAVAILABLE, None, False, True, False),
        (500, UNAVAILABLE, None, False, False, False),
        (504, QUEUED, 5, False, False, True),
        (504, HTTP_TIMEOUT, None, False, False, True),
    ],
)
def test_an_answer_of_the_gateway_is_recorded(
    status: int, body: dict[str, object], seq: int | None, answered: bool, refused: bool, gave_up: bool
) -> None:
    request = Request("s", "r", "websocket", "wav", "x", 0.0)
    record(request, status, body)
    assert (request.seq, request.answer is not None) == (seq, answered)
    assert (request.refused_at is not None, request.gave_up_at is not None) == (refused, gave_up)
