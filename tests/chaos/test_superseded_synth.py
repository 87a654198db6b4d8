"""A synth is frozen in mid-utterance, another synth opens a new attempt, and the first one is thawed.

Readers ignore what the first one stores from then on. So it must not ack the request or write its report.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from orastream import Client, TextStream
from orastream.contract import subjects
from orastream.contract.assembly import Assembly
from orastream.contract.audio import with_true_sizes
from orastream.contract.audio_messages import AudioChunk, AudioMessage, AudioStart, unpack
from orastream.jetstream.api import JetStream
from tests.support.names import NAMES
from tests.support.processes import until
from tests.support.scenes import TEXT, Scene, reference
from tests.support.services import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

TRANSPORTS = ("websocket", "none")
"""Each test requests one utterance of each transport. For `none`, synth writes the final report."""
DICTATED = "dictated"
"""The request with a streamed text, over WebSocket."""
WRITTEN = TEXT.index("오늘은") + 3
SLOW = {"TTS_ENGINE_RTF": 0.15, "SYNTH_SLOTS": 3}


@dataclass
class Audio:
    """The stored audio of one request."""

    messages: list[tuple[int, AudioMessage]]

    @property
    def starts(self) -> int:
        return sum(isinstance(message, AudioStart) for _, message in self.messages)

    def chunks_of(self, number: int) -> int:
        """The number of chunks of that attempt (counted from 1)."""
        attempt = [sequence for sequence, message in self.messages if isinstance(message, AudioStart)][number - 1]
        return sum(isinstance(message, AudioChunk) and message.attempt == attempt for _, message in self.messages)

    def file(self, request_seq: int) -> bytes | None:
        """The WAV of a reader, or None before the audio's end."""
        assembly, audio = Assembly(request_seq), bytearray()
        for sequence, message in self.messages:
            for chunk in assembly.receive(sequence, message):
                audio += chunk.audio
        if assembly.finished is None or assembly.finished.status != "complete":
            return None
        return bytes(with_true_sizes(audio))


async def stored_audio(js: JetStream, scene: Scene, name: str) -> Audio:
    subject = NAMES.audio(subjects.token(scene.id(name)), subjects.token(scene.id(name)))
    messages: list[tuple[int, AudioMessage]] = []
    while page := await js.read(NAMES.audio_stream, subject, messages[-1][0] if messages else 0):
        messages += [(message.sequence, unpack(message.data)) for message in page]
    return Audio(messages)


@pytest.fixture
async def scene(js: JetStream, client: Client, stack: Stack) -> AsyncIterator[Scene]:
    """A scene with one synth, to be frozen, a bridge and OraServer. Each utterance takes about three seconds."""
    await stack.start("oraserver")
    await asyncio.gather(stack.start("ws_bridge"), stack.start("synth", **SLOW))
    yield Scene(stack, client, "s")


@contextlib.asynccontextmanager
async def taken_over(js: JetStream, scene: Scene, chunks: int) -> AsyncIterator[TextStream]:
    """Freeze the synth in mid-utterance and wait until another one has stored `chunks` of each utterance.

    Yields the streamed text that is still open; it is ended at the end of the context.
    """
    for transport in TRANSPORTS:
        await scene.ask(transport, transport, transport=transport)
    ids = {"session_id": scene.id(DICTATED), "request_id": scene.id(DICTATED), "phone_id": "phone-1"}
    async with scene.client.utterance(**ids, idleSeconds=40) as dictation:
        await dictation.write(TEXT[:WRITTEN])

        async def begun(attempt: int, chunks: int) -> bool:
            audios = [await stored_audio(js, scene, name) for name in (*TRANSPORTS, DICTATED)]
            return all(audio.starts >= attempt for audio in audios) and all(
                audio.chunks_of(attempt) >= chunks for audio in audios[: len(TRANSPORTS)]
            )

        await until(lambda: begun(1, 2), "all are being spoken")
        (first,) = scene.stack["synth"]
        first.freeze()
        await scene.stack.start("synth", **SLOW)
        await until(lambda: begun(2, chunks), f"the other synth has begun all, {chunks} chunks", timeout_s=30)
        yield dictation


async def delivered(js: JetStream, scene: Scene) -> None:
    """Each request is reported as delivered, only when it is complete, and its audio equals the engine's."""
    whole = await reference(TEXT)

    async def none() -> None:
        report = await scene.final("none", "none")
        assert report.status == "delivered", report
        assert (await stored_audio(js, scene, "none")).file(report.request_seq) == whole

    await asyncio.gather(none(), *(scene.delivered(name, name) for name in ("websocket", DICTATED)))


@pytest.mark.parametrize("chunks", [0, 3], ids=["as soon as it has begun", "after some chunks"])
async def test_the_one_that_took_over_is_killed(js: JetStream, scene: Scene, chunks: int) -> None:
    """The thawed synth gets the requests again and finishes them."""
    async with taken_over(js, scene, chunks) as dictation:
        first, second = scene.stack["synth"]
        first.thaw()
        second.kill()
        await dictation.write(TEXT[WRITTEN:])
    await delivered(js, scene)


async def test_both_live(js: JetStream, scene: Scene) -> None:
    """The synth that took over finishes; the thawed one writes no report and opens no attempt."""
    async with taken_over(js, scene, 1) as dictation:
        first, _ = scene.stack["synth"]
        first.thaw()
        await dictation.write(TEXT[WRITTEN:])
    await delivered(js, scene)
    for name in (*TRANSPORTS, DICTATED):
        assert (await stored_audio(js, scene, name)).starts == 2
    assert await first.metric("orastream_synth_requests_total", outcome="superseded") == 3
