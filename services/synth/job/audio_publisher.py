"""Publishes the messages of one attempt, and names the one that is larger than the server's max_payload."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from orastream.broker import Broker
from orastream.contract.audio_messages import AudioChunk, AudioEnd
from orastream.contract.errors import MessageTooLarge
from orastream.jetstream.publish_window import PublishWindow
from services.synth.job.attempt import Attempt

HEADER_BYTES = 128
"""Bound for the headers of a message without its message id, as `PublishWindow` counts them."""
LOWER_CHUNKS = "lower WEBSOCKET_CHUNK_SIZE, or raise max_payload"
LOWER_TEXT = "lower TTS_MAX_TEXT_CHARS, or raise max_payload"


class AudioPublisher:
    """Puts chunks and the `end` into a publish window, as `async with`.

    A server that restarts may have a lower max_payload. The window could not send its messages then, and would try
    until its patience ends. So after each reconnect the size of the largest message is compared again.
    """

    def __init__(self, broker: Broker, window: PublishWindow, attempt: Attempt, subject: str) -> None:
        self._broker = broker
        self._window = window
        self._attempt = attempt
        self._subject = subject
        self._largest: tuple[int, str, str] = (0, "", "")
        """Size, name and remedy of the largest message so far."""
        self._forget: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        self._forget = self._broker.on_reconnect(self._look)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        forget, self._forget = self._forget, None
        if forget is not None:
            forget()

    async def chunk(self, chunk: AudioChunk) -> None:
        """Publish a chunk. Raises MessageTooLarge, and the errors of `PublishWindow.put`."""
        await self._put(chunk.pack(), self._attempt.message_id(chunk.index), "a chunk of audio", LOWER_CHUNKS)

    async def end(self, end: AudioEnd) -> None:
        """Publish the `end`, without waiting until it is stored. Raises as `chunk` does."""
        await self._put(end.pack(), self._attempt.message_id("end"), "the end with the whole text", LOWER_TEXT)

    async def _put(self, data: bytes, message_id: str, what: str, remedy: str) -> None:
        self._largest = max(self._largest, (len(data) + len(message_id) + HEADER_BYTES, what, remedy))
        if (problem := self._problem()) is not None:
            raise problem
        self._attempt.trail.on_sent()
        await self._window.put(self._subject, data, message_id)

    def _look(self) -> None:
        if (problem := self._problem()) is not None:
            self._window.give_up(problem)

    def _problem(self) -> MessageTooLarge | None:
        size, what, remedy = self._largest
        limit = self._broker.max_payload
        return MessageTooLarge(self._subject, what, size, limit, remedy) if size > limit else None
