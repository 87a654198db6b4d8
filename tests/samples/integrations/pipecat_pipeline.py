"""docs/guide/voice-agents.md: `pipeline = Pipeline([`"""

import asyncio

from pipecat.frames.frames import EndFrame, Frame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner


class Passes(FrameProcessor):
    """Passes each frame on, and counts the bytes of speech."""

    heard = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.heard += len(frame.audio)
        await self.push_frame(frame, direction)


class Telephone(BaseTransport):
    """A caller who says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.ear = Passes()

    def input(self) -> FrameProcessor:
        """What the caller says."""
        return Passes()

    def output(self) -> FrameProcessor:
        """What the caller hears."""
        return self.ear


async def sample(
    transport: BaseTransport, stt: FrameProcessor, llm: FrameProcessor, aggregators: LLMContextAggregatorPair
) -> None:
    SAMPLE
    worker = PipelineWorker(pipeline)
    await worker.queue_frames([TTSSpeakFrame("안녕하세요."), EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


telephone = Telephone()
asyncio.run(sample(telephone, Passes(), Passes(), LLMContextAggregatorPair(LLMContext())))
assert telephone.ear.heard > 10_000
