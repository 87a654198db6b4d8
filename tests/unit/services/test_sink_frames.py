"""What a text does to the frames and the body that go to OraServer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.delivery.post.body import END, Body
from orastream.delivery.sink import Speech, SpeechEnd
from orastream.delivery.websocket.link import WebSocketLink

pytestmark = pytest.mark.unit

START = AudioStart(1, "pcm16", 8000, 1, "espeak", "ko-KR")
WHOLE = Speech("s", "p", "r", "r", "Hello. How are you?")
OPEN = Speech("s", "p", "r", "r", "")


class Wire:
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []

    def send_text(self, *parts: bytes) -> None:
        self.frames.append(json.loads(b"".join(parts)))


def link(speech: Speech) -> tuple[WebSocketLink, Wire]:
    wire = Wire()
    link = WebSocketLink(wire)  # type: ignore[arg-type]  # a port: only `send_text` is called
    link.begin(speech)
    return link, wire


def texts_of(wire: Wire) -> list[str]:
    return [frame["metadata"]["text"] for frame in wire.frames]


def test_every_frame_contains_the_complete_text() -> None:
    to, wire = link(WHOLE)
    for index in range(2):
        to.write(START, AudioChunk(1, index, 0, index, b"12"))
    to.complete(START, AudioEnd(1, "complete", 2, 0, 0.0))
    assert texts_of(wire) == [WHOLE.text] * 3


def test_frames_of_a_streamed_text_contain_sentences_and_complete_contains_the_whole_text() -> None:
    to, wire = link(OPEN)
    for index, text in enumerate(["Hello.", "Hello.", "How are you?"]):
        to.write(START, AudioChunk(1, index, 0, index // 2, b"12", text))
    to.complete(START, AudioEnd(1, "complete", 3, 0, 0.0, text="Hello. How are you?"))
    assert texts_of(wire) == ["Hello.", "Hello.", "How are you?", "Hello. How are you?"]
    assert [frame.keys() for frame in wire.frames[:3]] == [wire.frames[0].keys()] * 3
    assert len({json.dumps({**frame["metadata"], "text": ""}) for frame in wire.frames}) == 1
    to.begin(WHOLE)  # the next utterance on the same connection
    to.write(START, AudioChunk(1, 0, 0, 0, b"12"))
    assert texts_of(wire)[-1] == WHOLE.text


def test_template_is_made_once_for_an_utterance() -> None:
    """Made once, not for each chunk: the hot path."""
    to, _ = link(WHOLE)
    made = set()
    for index in range(10):
        to.write(START, AudioChunk(1, index, 0, index, b"12"))
        made.add(to._template)
    to.complete(START, AudioEnd(1, "complete", 10, 0, 0.0))
    assert made == {to._template}


def test_an_end_frame_has_the_metadata_of_the_chunks() -> None:
    to, wire = link(replace(WHOLE, with_rate=True))
    to.write(START, AudioChunk(1, 0, 0, 0, b"12"))
    to.ended(SpeechEnd(replace(WHOLE, with_rate=True), START, "failed"))
    assert wire.frames[1] == {"status": "failed", "metadata": wire.frames[0]["metadata"]}
    assert wire.frames[1]["metadata"]["sampleRate"] == 8000
    to.ended(SpeechEnd(OPEN, START, "cancelled", "Hello."))
    assert wire.frames[2]["status"] == "cancelled" and wire.frames[2]["metadata"]["text"] == "Hello."
    to.write(START, AudioChunk(1, 1, 0, 0, b"12"))
    assert wire.frames[3]["metadata"] == wire.frames[0]["metadata"], "the present utterance goes on"


@pytest.mark.parametrize(("speech", "text"), [(WHOLE, None), (OPEN, WHOLE.text)])
def test_post_contains_the_whole_text(speech: Speech, text: str | None) -> None:
    body = Body(speech, START)
    for index in range(3):
        body.add(AudioChunk(1, index, 0, 0, b"12", None if text is None else "Hello."))
    body.finish(text)
    payload = b"".join([*body.pieces(), END])
    assert len(payload) == body.content_length
    assert json.loads(payload)["metadata"]["text"] == WHOLE.text
