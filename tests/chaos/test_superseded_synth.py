"""A synth is frozen in mid-utterance, another one begins the utterance anew, and the first one wakes up.

What the first one makes from then on counts for no reader. So it must not ack the request, nor write its report.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from orastream import Client, streams, subjects
from orastream.assembly import Assembly
from orastream.audio import with_true_sizes
from orastream.jetstream import JetStream
from orastream.packets import AudioChunk, AudioMessage, AudioStart, unpack
from tests.support.processes import until
from tests.support.scenes import TEXT, Scene, reference
from tests.support.services import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

TRANSPORTS = ("websocket", "none")
"""Each test asks for one utterance by each: of the latter, synth itself writes the final report."""


@dataclass
class Audio:
    """What is stored of the audio of one request."""

    messages: list[tuple[int, AudioMessage]]

    @property
    def starts(self) -> int:
        return sum(isinstance(message, AudioStart) for _, message in self.messages)

    def chunks_after_start(self, number: int) -> int:
        """Chunks of that attempt (from 1)."""
        attempt = [sequence for sequence, message in self.messages if isinstance(message, AudioStart)][number - 1]
        return sum(isinstance(message, AudioChunk) and message.attempt == attempt for _, message in self.messages)

    def file(self, request_seq: int) -> bytes | None:
        """The WAV that a reader has, or None before its end."""
        assembly, audio = Assembly(request_seq), bytearray()
        for sequence, message in self.messages:
            for chunk in assembly.receive(sequence, message):
                audio += chunk.audio
        if assembly.finished is None or assembly.finished.status != "complete":
            return None
        return bytes(with_true_sizes(audio))


async def stored_audio(js: JetStream, scene: Scene, name: str) -> Audio:
    subject = subjects.audio(subjects.token(scene.id(name)), subjects.token(scene.id(name)))
    messages: list[tuple[int, AudioMessage]] = []
    while page := await js.read(streams.AUDIO, subject, messages[-1][0] if messages else 0):
        messages += [(message.sequence, unpack(message.data)) for message in page]
    return Audio(messages)


@pytest.fixture
async def scene(js: JetStream, client: Client, stack: Stack) -> AsyncIterator[Scene]:
    """One synth, which is to be frozen, and what hears it; each utterance takes it some three seconds."""
    slow = {"TTS_ENGINE_RTF": 0.15, "SYNTH_SLOTS": 2}
    await stack.start("oraserver")
    await asyncio.gather(stack.start("ws_bridge"), stack.start("synth", **slow))
    yield Scene(stack, client, "s")


async def take_over(js: JetStream, scene: Scene, chunks: int) -> None:
    """Freeze the synth in mid-utterance, and let another one store `chunks` of its own of each utterance."""
    for transport in TRANSPORTS:
        await scene.ask(transport, transport, transport=transport)

    async def begun(number: int, chunks: int) -> bool:
        audios = [await stored_audio(js, scene, transport) for transport in TRANSPORTS]
        return all(audio.starts >= number and audio.chunks_after_start(number) >= chunks for audio in audios)

    await until(lambda: begun(1, 2), "both are being spoken")
    (first,) = scene.stack["synth"]
    first.freeze()
    await scene.stack.start("synth", TTS_ENGINE_RTF=0.15, SYNTH_SLOTS=2)
    await until(lambda: begun(2, chunks), f"the other synth has begun both and stored {chunks} chunks", timeout_s=30)


async def delivered(js: JetStream, scene: Scene) -> None:
    """Both are reported as delivered, which is true at that moment, and are what the engine makes undisturbed."""
    whole = await reference(TEXT)

    async def none() -> None:
        report = await scene.final("none", "none")
        assert report.status == "delivered", report
        assert (await stored_audio(js, scene, "none")).file(report.request_seq) == whole

    await asyncio.gather(none(), scene.delivered("websocket", "websocket"))


@pytest.mark.parametrize("chunks", [0, 3], ids=["as soon as it has begun", "after some chunks"])
async def test_the_one_that_took_over_is_killed(js: JetStream, scene: Scene, chunks: int) -> None:
    """Its work is taken up again, by the one that woke up."""
    await take_over(js, scene, chunks)
    first, second = scene.stack["synth"]
    first.thaw()
    second.kill()
    await delivered(js, scene)


async def test_both_live(js: JetStream, scene: Scene) -> None:
    """The one that took over finishes; the other one neither reports nor begins again."""
    await take_over(js, scene, 1)
    first, second = scene.stack["synth"]
    first.thaw()
    await delivered(js, scene)
    for transport in TRANSPORTS:
        assert (await stored_audio(js, scene, transport)).starts == 2
