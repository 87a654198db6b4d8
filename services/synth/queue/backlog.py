"""The backlog in seconds of speech, by which an operator scales synth, and the fill level of the audio stream."""

from __future__ import annotations

import asyncio

import structlog

from orastream.contract.errors import NodeUnavailable
from orastream.contract.names import SYNTH
from orastream.jetstream import management
from orastream.jetstream.api import JetStream

ASKED_EVERY_S = 5.0
FIRST_GUESS_S = 5.0
"""Assumed seconds of speech in an utterance, before the first one is complete."""
_SHARE = 0.1  # weight of the newest utterance in the moving mean

log = structlog.get_logger()


class Backlog:
    """Requests not delivered to any synth yet, and the mean length of an utterance here. For one event loop."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self.requests = 0
        """Undelivered requests in the stream; at most ASKED_EVERY_S old."""
        self.mean_s = FIRST_GUESS_S
        """Mean seconds of speech in an utterance."""
        self.audio_bytes = 0
        """Bytes stored in TTS_AUDIO; at most ASKED_EVERY_S old."""
        self.audio_max_bytes = 0
        """Limit of TTS_AUDIO in bytes; 0: not known yet."""

    @property
    def seconds(self) -> float:
        """Estimated seconds of speech that wait in the stream."""
        return self.requests * self.mean_s

    def spoken(self, audio_s: float) -> None:
        """Adds the length of a complete utterance, in seconds, to the mean."""
        self.mean_s += _SHARE * (audio_s - self.mean_s)

    async def look(self) -> None:
        """Updates the fields once. Raises NodeUnavailable; a field that cannot be read then keeps its value."""
        names, synth = self._js.names, SYNTH
        sessions, audio = names.sessions_stream, names.audio_stream
        consumer = management.checked(synth, await management.consumer_info(self._js, sessions, synth), "num_pending")
        self.requests = int(consumer["num_pending"])
        self.audio_bytes, self.audio_max_bytes = await management.fill(self._js, audio)

    async def watch(self) -> None:
        """Updates the fields every ASKED_EVERY_S until cancelled."""
        while True:
            try:
                await self.look()
            except NodeUnavailable as exc:
                log.debug("the backlog cannot be asked for", error=str(exc))
            await asyncio.sleep(ASKED_EVERY_S)
