"""A Pipecat pipeline with one text-to-speech service, as its real worker runs it, and every frame that it pushes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from orastream.integrations.pipecat import OrastreamTTSService

F = TypeVar("F", bound=Frame)
PATIENCE_S = 30.0
RATE = 22_050  # that of espeak: what it makes comes as it is
WAV_HEADER = 44


class Recorder(FrameProcessor):
    """Passes every frame on and keeps those of one direction, with the order of their arrival."""

    def __init__(self, direction: FrameDirection) -> None:
        super().__init__()
        self._kept = direction
        self._changed = asyncio.Condition()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._kept:
            async with self._changed:
                self.frames.append(frame)
                self._changed.notify_all()
        await self.push_frame(frame, direction)

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(ready)


class Loudspeaker(BaseOutputTransport):
    """An output transport that plays in real time, to nobody."""

    def __init__(self) -> None:
        super().__init__(TransportParams(audio_out_enabled=True))

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        await asyncio.sleep(len(frame.audio) / (2 * frame.sample_rate))
        return True


class Talk:
    """What a test says to the pipeline, and what has come out of it."""

    def __init__(self, worker: PipelineWorker, down: Recorder, up: Recorder) -> None:
        self._worker = worker
        self.down = down
        self.up = up

    async def send(self, *frames: Frame) -> None:
        await self._worker.queue_frames(frames)

    async def begin(self, *tokens: str) -> None:
        """The LLM begins a response, and has written these tokens."""
        await self.send(LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens))

    async def cancel(self) -> None:
        """Cancel the pipeline, as when the user has gone."""
        await self._worker.cancel()

    async def say(self, *tokens: str) -> str:
        """The LLM writes a whole response. Returns the id of its audio context once it has been spoken."""
        before = len(self.of(TTSStoppedFrame))
        await self.begin(*tokens)
        await self.send(LLMFullResponseEndFrame())
        return await self.stopped(before + 1)

    async def stopped(self, count: int) -> str:
        """Waits for so many ends of contexts; returns the id of the last one."""
        await self.down.until(lambda: len(self.of(TTSStoppedFrame)) >= count)
        context_id = self.of(TTSStoppedFrame)[count - 1].context_id
        assert context_id is not None
        return context_id

    def of(self, kind: type[F], context_id: str | None = None) -> list[F]:
        """The frames of a kind, of one context or of all."""
        found = [frame for frame in self.down.frames if isinstance(frame, kind)]
        return found if context_id is None else [f for f in found if getattr(f, "context_id", None) == context_id]

    def audio(self, context_id: str | None = None) -> bytes:
        return b"".join(frame.audio for frame in self.of(TTSAudioRawFrame, context_id))

    def words(self, context_id: str | None = None) -> list[str]:
        return [frame.text for frame in self.of(TTSTextFrame, context_id)]

    def metrics(self, kind: type) -> list:
        return [data for frame in self.of(MetricsFrame) for data in frame.data if isinstance(data, kind)]

    @property
    def errors(self) -> list[ErrorFrame]:
        return [frame for frame in self.up.frames if isinstance(frame, ErrorFrame)]

    async def until_errors(self, count: int = 1) -> list[ErrorFrame]:
        await self.up.until(lambda: len(self.errors) >= count)
        return self.errors


@contextlib.asynccontextmanager
async def talk(tts: TTSService, sample_rate: int = 24_000, *behind: FrameProcessor) -> AsyncIterator[Talk]:
    """A running pipeline, with processors `behind` the service; ends it by an EndFrame, when all has been spoken."""
    up, down = Recorder(FrameDirection.UPSTREAM), Recorder(FrameDirection.DOWNSTREAM)
    worker = PipelineWorker(
        Pipeline([up, tts, *behind, down]),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
        params=PipelineParams(
            audio_out_sample_rate=sample_rate,
            enable_metrics=True,
            enable_usage_metrics=True,
            send_initial_empty_metrics=False,
        ),
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(_worker: object, _frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        yield Talk(worker, down, up)
        await worker.queue_frame(EndFrame())
        async with asyncio.timeout(PATIENCE_S):
            await running
    finally:
        if not running.done():
            await worker.cancel()
            running.cancel()
            await asyncio.wait([running], timeout=10)


async def final(client: Client, tts: OrastreamTTSService, count: int = 1) -> list[Report]:
    """The final reports of a service's requests, in their order; waits until there are so many."""
    found: list[Report] = []
    async with asyncio.timeout(20), contextlib.aclosing(client.reports(tts.session_id, history=True)) as reports:
        async for report in reports:
            if report.final:
                found.append(report)
            if len(found) == count:
                break
    return sorted(found, key=lambda report: report.request_seq)
