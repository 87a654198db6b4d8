"""The words of a text that comes in pieces through a real nats-server have places in all pieces joined."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from orastream import Client
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.api import JetStream
from services.synth.job.attempt import Attempt
from services.synth.job.audio_reader import AudioReader
from services.synth.settings import SynthSettings
from services.synth.text.script import lines_of
from services.synth.text.streamed_text import StreamedText
from tests.support.ending import stored_request
from tests.support.names import NAMES

pytestmark = pytest.mark.integration

PIECES = ("하나, ", "😊 3", "명이 왔다. 그리고 [링", "크](http://a.b)는  20", "25년입니다.\n끝")


async def test_words_of_a_streamed_text_have_their_places_in_all_pieces_joined(js: JetStream, client: Client) -> None:
    fields = {"sessionId": "s1", "phoneId": "p", "requestId": "r", "textStream": True, "text": PIECES[0]}
    await client.submit(fields | {"language": "ko-KR"})
    for index, piece in enumerate(PIECES[1:]):
        await js.store(NAMES.text("s1", "r"), TextPiece(index, piece, end=piece is PIECES[-1]).encode())
    request = await stored_request(js, "s1", "r")
    show_waiting = Attempt(js, request, AudioReader(js, request), 7, 600.0).show_waiting
    text = "".join(PIECES)
    async with (
        StreamedText(js, request, show_waiting, SynthSettings(), lambda _: None) as streamed_text,
        aclosing(streamed_text.lines()) as lines,
    ):
        found = [line async for line in lines]
    first = found[0].spoken.index("세")
    place = found[0].place(first, first + 1)
    assert place is not None and text[slice(*place)] == "3명"
    for line, complete in zip(found, lines_of(text, "ko-KR", 1.0), strict=True):
        ranges = [(at, at + 1) for at in range(len(line.spoken))]
        assert line == complete and [line.place(*r) for r in ranges] == [complete.place(*r) for r in ranges]
