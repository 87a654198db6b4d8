"""An agent of LiveKit Agents that speaks through an orastream node.

    pip install './shared[livekit]'
    export NATS_URL=nats://127.0.0.1:4222 LIVEKIT_URL=… LIVEKIT_API_KEY=… LIVEKIT_API_SECRET=…
    python examples/livekit_agent.py dev                       # joins the rooms of your LiveKit project

Without LiveKit and without keys, the same session speaks a text into a file:

    python examples/livekit_agent.py wav hello.wav "안녕하세요. 무엇을 도와드릴까요?"
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import wave

from livekit import rtc
from livekit.agents import Agent, AgentServer, AgentSession, JobContext, cli
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities

from orastream.integrations.livekit import TTS

INSTRUCTIONS = "You are a friendly assistant on the telephone. Answer in Korean, in one or two short sentences."

server = AgentServer()


def node_tts(session_id: str | None = None) -> TTS:
    """The node's speech: NATS_URL (and NATS_CREDS or NATS_NKEY_SEED) say where it is, TTS_VOICE which voice."""
    return TTS(voice=os.environ.get("TTS_VOICE"), language="ko-KR", session_id=session_id)


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """One conversation: LiveKit's own models listen and think, the node speaks."""
    tts = node_tts(f"livekit-{ctx.job.id}")
    ctx.add_shutdown_callback(tts.aclose)
    session = AgentSession[None](
        stt="deepgram/nova-3:ko",
        llm="openai/gpt-4.1-mini",
        tts=tts,
        use_tts_aligned_transcript=True,  # the user reads a word when it is spoken
    )
    await session.start(Agent(instructions=INSTRUCTIONS), room=ctx.room)
    await session.generate_reply(instructions="Greet the user and offer your help.")


class WavOutput(AudioOutput):
    """Writes what the session says into a file, as fast as it comes."""

    def __init__(self, path: str) -> None:
        super().__init__(label="wav", capabilities=AudioOutputCapabilities(pause=False))
        self._path = path
        self._file: wave.Wave_write | None = None
        self.seconds = 0.0

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Write the next samples."""
        await super().capture_frame(frame)
        if self._file is None:
            self._file = wave.open(self._path, "wb")
            self._file.setparams((1, 2, frame.sample_rate, 0, "NONE", "not compressed"))
            self.on_playback_started(created_at=time.time())
        self._file.writeframes(frame.data.tobytes())
        self.seconds += frame.duration

    def flush(self) -> None:
        """End the file with the speech."""
        super().flush()
        if self._file is not None:
            self._file.close()
            self.on_playback_finished(playback_position=self.seconds, interrupted=False)

    def clear_buffer(self) -> None:
        """Nothing is buffered."""


async def speak_into(path: str, text: str) -> float:
    """Have a session without a room speak a text into a WAV file. Returns its seconds; with 0 there is no file."""
    output = WavOutput(path)
    async with node_tts() as tts, AgentSession[None](tts=tts) as session:
        session.output.audio = output
        await session.start(Agent(instructions=INSTRUCTIONS))
        await session.say(text)
    return output.seconds


if __name__ == "__main__":
    if sys.argv[1:2] == ["wav"] and len(sys.argv) == 4:
        if not asyncio.run(speak_into(sys.argv[2], sys.argv[3])):
            sys.exit("nothing was spoken; the log says why")
    else:
        cli.run_app(server)
