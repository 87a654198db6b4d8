"""Resume points of events, counts of bridges, keys, and streamed answers whose reader stops reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.access.api_keys import ApiKeys
from services.gateway.http.streaming import BrokenOff, LiveResponse
from services.gateway.routes.events import MAX_MISSED, ResumePoint, event
from services.gateway.routes.node import bridges_of

pytestmark = pytest.mark.unit

SEQUENCES = st.integers(0, 10**18 - 1)


@given(SEQUENCES, SEQUENCES)
def test_resume_point_is_the_same_after_writing_and_reading(reports: int, requests: int) -> None:
    place = ResumePoint(reports, requests)
    assert ResumePoint.read(str(place)) == place


@given(st.text(max_size=20) | st.none())
def test_resume_point_is_read_or_refused_for_any_text(text: str | None) -> None:
    place = ResumePoint.read(text)
    assert place is None or str(ResumePoint(place.reports, place.requests)).isascii()


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-2-3-4", "1-2\n", " 1-2", "9" * 19 + "-1", "a-b"])
def test_resume_point_refuses_invalid_texts(text: str) -> None:
    assert ResumePoint.read(text) is None


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(-5, 2 * MAX_MISSED), st.integers(-5, 2 * MAX_MISSED))
def test_resume_point_reaches_only_events_within_the_limit(
    reports: int, requests: int, first: int, second: int
) -> None:
    """A resume point is refused when it is ahead of the stream (which was created anew), or too far behind."""
    newest = ResumePoint(reports + first, requests + second)
    assert ResumePoint(reports, requests).reaches(newest) == all(
        0 <= behind <= MAX_MISSED for behind in (first, second)
    )


def test_event_has_one_line_of_data() -> None:
    assert event("report", {"text": "a\nb\r세션"}, ResumePoint(3, 4)).split(b"\n") == [
        b"event: report",
        b"id: 3-4",
        'data: {"text":"a\\nb\\r세션"}'.encode(),
        b"",
        b"",
    ]


def test_bridges_are_counted_by_their_heartbeats() -> None:
    beats = [f"$KV.tts_heartbeats.{name}" for name in ("ws_bridge-0a", "ws_bridge-1b", "http_bridge-2c", "other-3d")]
    assert bridges_of(beats) == {"ws_bridge": 2, "http_bridge": 1}
    assert bridges_of(()) == {"ws_bridge": 0, "http_bridge": 0}


def test_key_may_end_in_any_letter() -> None:
    """The UTF-8 of 쇠 ends in 0xa0, which is a no-break space in Latin-1 and must not be stripped."""
    headers = {"authorization": "bearer  " + "열쇠".encode().decode("latin-1")}
    assert ApiKeys(["열쇠"]).caller(headers) == "key-1"


# ---- LiveResponse


async def pieces(*, breaks: bool = False) -> AsyncIterator[bytes]:
    yield b"one"
    if breaks:
        raise BrokenOff("it failed")
    yield b"two"


async def messages_sent_by(response: LiveResponse, *, takes: int) -> list[MutableMapping[str, Any]]:
    """The messages that a reader gets who takes `takes` messages and then stops reading."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        if len(sent) >= takes:
            await asyncio.Event().wait()
        sent.append(message)

    await response.stream_response(send)
    return sent


async def test_reader_gets_the_end_when_it_reads_everything() -> None:
    sent = await messages_sent_by(LiveResponse(pieces(), "audio/wav"), takes=10)
    assert b"".join(message.get("body", b"") for message in sent) == b"onetwo"
    assert sent[-1]["more_body"] is False


async def test_response_stops_when_the_reader_stops_reading() -> None:
    async with asyncio.timeout(5):
        sent = await messages_sent_by(LiveResponse(pieces(), "audio/wav", stall_s=0.05), takes=2)
    assert [message.get("body") for message in sent] == [None, b"one"]


async def test_response_has_no_end_when_the_source_fails() -> None:
    sent = await messages_sent_by(LiveResponse(pieces(breaks=True), "audio/wav"), takes=10)
    assert [(message.get("body"), message.get("more_body")) for message in sent] == [(None, None), (b"one", True)]
