"""AudioReader counts the attempts in a row that stored nothing."""

from __future__ import annotations

from typing import Any

import pytest

from orastream.contract import codec
from orastream.contract.audio_messages import AudioChunk, AudioMessage, AudioStart, AudioWaiting
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream.api import Stored
from services.synth.job.audio_reader import AudioReader
from tests.support.names import NAMES

pytestmark = pytest.mark.unit


class Subject:
    """The stored messages, with the sequences 1, 2, …, in place of JetStream."""

    names = NAMES

    def __init__(self, *messages: AudioMessage) -> None:
        self._stored = [Stored("a", at, "", message.pack()) for at, message in enumerate(messages, 1)]

    async def read(self, _stream: str, _subject: str, after: int) -> list[Stored]:
        """See JetStream."""
        return self._stored[after : after + 2]

    async def after(self, _stream: str, _subject: str, _sequence: int) -> None:
        """See JetStream."""


def chunk(attempt: int, index: int) -> AudioChunk:
    return AudioChunk(attempt, index, 0, 0, b"\1\1")


START = AudioStart(3, "pcm16", 16_000, 1, "choir", "en-US")


@pytest.mark.parametrize(
    ("messages", "without_progress"),
    [
        ([START], 0),
        ([START, START], 1),
        ([START, START, START], 2),
        ([START, START, START, chunk(3, 0)], 0),
        ([START, START, chunk(2, 0), START], 0),
        ([START, START, chunk(2, 0), START, START], 1),
        ([START, START, chunk(1, 0), START], 2),
        ([START, START, AudioWaiting(2), START, START], 1),
        ([START, START, START, AudioWaiting(3), START], 0),
        ([START, chunk(1, 0), START, chunk(2, 0), START], 1),
    ],
    ids=range(10),
)
async def test_attempts_in_a_row_without_a_new_chunk(messages: list[AudioMessage], without_progress: int) -> None:
    """The latest attempt does not count: it may still store a chunk. Nor does one that waited for text."""
    body = codec.encode({"text": "a", "sessionId": "s", "phoneId": "p", "requestId": "r"}, "json")
    stored = read_stored(NAMES, NAMES.session_request("s"), 3, 0.0, body, max_text_chars=10)
    assert isinstance(stored, StoredRequest)
    js: Any = Subject(*messages)
    reader = AudioReader(js, stored)
    await reader.read()
    assert reader.without_progress == without_progress
