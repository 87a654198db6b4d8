"""The idle timeout through a real nats-server: it counts only while synth waits for text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from orastream import Client
from orastream.contract.text_pieces import TextPiece
from orastream.jetstream.api import JetStream
from services.synth.job.attempt import Attempt
from services.synth.job.audio_reader import AudioReader
from services.synth.settings import SynthSettings
from services.synth.text.script import ScriptLine
from services.synth.text.streamed_text import StreamedText
from tests.support.ending import stored_request
from tests.support.names import NAMES
from tests.support.processes import until

pytestmark = pytest.mark.integration


async def put(js: JetStream, piece: TextPiece) -> None:
    await js.store(NAMES.text("s1", "r"), piece.encode())


async def texts(lines: AsyncGenerator[ScriptLine, None]) -> list[str]:
    return [line.text async for line in lines]


async def test_idle_timeout_does_not_count_time_in_which_synth_speaks(js: JetStream, client: Client) -> None:
    """The reader of the lines is slower than idleSeconds; the writer continues soon after the wait for text begins."""
    fields = {"sessionId": "s1", "phoneId": "p", "requestId": "r", "textStream": True, "idleSeconds": 1}
    await client.submit(fields)
    await put(js, TextPiece(0, "하나, 둘. 셋"))
    waited: list[bool] = []
    request = await stored_request(js, "s1", "r")
    show_waiting = Attempt(js, request, AudioReader(js, request), 7, 600.0).show_waiting
    async with (
        StreamedText(js, request, show_waiting, SynthSettings(), waited.append) as streamed_text,
        aclosing(streamed_text.lines()) as lines,
    ):
        assert (await anext(lines)).text == "하나, 둘."
        await asyncio.sleep(1.2)  # the line is being spoken
        waited.clear()
        rest = asyncio.create_task(texts(lines))

        async def waits() -> bool:
            return waited == [True]

        await until(waits, "the reader waits for text")
        await asyncio.sleep(0.3)
        await put(js, TextPiece(1, " 넷.", end=True))
        assert await rest == ["셋 넷."]
        assert streamed_text.problem is None
