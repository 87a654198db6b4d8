"""How much speech waits to be made, in seconds: what a synth is scaled by. And how full the audio's stream is."""

from __future__ import annotations

import asyncio

import structlog

from orastream.contract import stream_names
from orastream.contract.errors import NodeUnavailable
from orastream.jetstream.api import JetStream

ASKED_EVERY_S = 5.0
FIRST_GUESS_S = 5.0
"""Of speech in an utterance, as long as none was made."""
_SHARE = 0.1  # of the newest utterance in the mean

log = structlog.get_logger()


class Backlog:
    """Requests that no synth has been handed yet, and the mean length of what is spoken here. For one event loop."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self.requests = 0
        """In the stream, for any synth: as of ASKED_EVERY_S ago at most."""
        self.mean_s = FIRST_GUESS_S
        """Seconds of speech in an utterance."""
        self.audio_bytes = 0
        """What TTS_AUDIO holds, as of ASKED_EVERY_S ago at most."""
        self.audio_max_bytes = 0
        """What it may hold; 0: not known yet."""

    @property
    def seconds(self) -> float:
        """Speech that waits in the stream."""
        return self.requests * self.mean_s

    def spoken(self, audio_s: float) -> None:
        """An utterance of that length was made."""
        self.mean_s += _SHARE * (audio_s - self.mean_s)

    async def watch(self) -> None:
        """Ask the consumer and the stream again and again, until cancelled."""
        while True:
            try:
                answer = await self._js.api(f"CONSUMER.INFO.{stream_names.SESSIONS}.{stream_names.SYNTH}")
                self.requests = int(answer.get("num_pending", 0))
                audio = await self._js.api(f"STREAM.INFO.{stream_names.AUDIO}")
                self.audio_bytes = int(audio.get("state", {}).get("bytes", 0))
                self.audio_max_bytes = max(0, int(audio.get("config", {}).get("max_bytes", 0)))
            except NodeUnavailable as exc:
                log.debug("the backlog cannot be asked for", error=str(exc))
            await asyncio.sleep(ASKED_EVERY_S)
