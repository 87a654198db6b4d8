"""A Pipecat agent that speaks through an orastream node.

    pip install './shared[pipecat]' 'pipecat-ai[local]'        # local: microphone and loudspeaker, needs PortAudio
    export NATS_URL=nats://127.0.0.1:4222 OPENAI_API_KEY=…
    python examples/pipecat_agent.py talk                      # speak with it; it stops when you begin to speak

Without a microphone and without keys, the same service speaks a text into a file:

    python examples/pipecat_agent.py wav hello.wav "안녕하세요. 무엇을 도와드릴까요?"
"""

from __future__ import annotations

import asyncio
import os
import sys
import wave

from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import EndFrame, Frame, LLMRunFrame, TTSAudioRawFrame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.transcriptions.language import Language
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from orastream.integrations.pipecat import OrastreamTTSService

INSTRUCTIONS = "You are a friendly assistant on the telephone. Answer in Korean, in one or two short sentences."


def node_tts() -> OrastreamTTSService:
    """The node's speech: NATS_URL (and NATS_CREDS or NATS_NKEY_SEED) say where it is, TTS_VOICE which voice."""
    return OrastreamTTSService(
        settings=OrastreamTTSService.Settings(voice=os.environ.get("TTS_VOICE"), language=Language.KO_KR)
    )


async def run(worker: PipelineWorker) -> None:
    """Run a pipeline to its end."""
    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


async def talk_over(transport: BaseTransport) -> None:
    """One conversation: OpenAI listens and thinks, the node speaks. Any transport of Pipecat will do."""
    context = LLMContext()
    context.add_message({"role": "developer", "content": "Greet the user and offer your help."})
    user_params = LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer())
    aggregators = LLMContextAggregatorPair(context, user_params=user_params)
    key = os.environ["OPENAI_API_KEY"]
    pipeline = Pipeline(
        [
            transport.input(),
            OpenAISTTService(api_key=key, settings=OpenAISTTService.Settings(language=Language.KO)),
            aggregators.user(),
            OpenAILLMService(api_key=key, settings=OpenAILLMService.Settings(system_instruction=INSTRUCTIONS)),
            node_tts(),
            transport.output(),
            aggregators.assistant(),  # it writes down what the user has heard, word by word
        ]
    )
    worker = PipelineWorker(pipeline)
    await worker.queue_frame(LLMRunFrame())  # the agent begins
    await run(worker)


async def talk() -> None:
    """A conversation by microphone and loudspeaker."""
    from pipecat.transports.local.audio import LocalAudioTransport, LocalAudioTransportParams

    await talk_over(LocalAudioTransport(LocalAudioTransportParams(audio_in_enabled=True, audio_out_enabled=True)))


class WavFile(FrameProcessor):
    """Writes the speech that passes into a file, as fast as it comes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._file: wave.Wave_write | None = None
        self.seconds = 0.0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Write the samples of speech; pass every frame on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            if self._file is None:
                self._file = wave.open(self._path, "wb")
                self._file.setparams((1, 2, frame.sample_rate, 0, "NONE", "not compressed"))
            self._file.writeframes(frame.audio)
            self.seconds += len(frame.audio) / (2 * frame.sample_rate)
        elif isinstance(frame, EndFrame) and self._file is not None:
            self._file.close()
        await self.push_frame(frame, direction)


async def speak_into(path: str, text: str) -> float:
    """Have a pipeline without a transport speak a text into a file. Returns its seconds; with 0 there is no file."""
    file = WavFile(path)
    worker = PipelineWorker(Pipeline([node_tts(), file]))
    await worker.queue_frames([TTSSpeakFrame(text), EndFrame()])
    await run(worker)
    return file.seconds


if __name__ == "__main__":
    if sys.argv[1:] == ["talk"]:
        asyncio.run(talk())
    elif sys.argv[1:2] == ["wav"] and len(sys.argv) == 4:
        if not asyncio.run(speak_into(sys.argv[2], sys.argv[3])):
            sys.exit("nothing was spoken; the log says why")
    else:
        sys.exit('usage: pipecat_agent.py talk | wav FILE "TEXT"')
