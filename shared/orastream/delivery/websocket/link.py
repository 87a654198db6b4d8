"""A link to OraServer over WebSocket, which speaks protocol v1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.sentence_start import SentenceStart
from orastream.delivery.sink import LinkLost, Speech, SpeechEnd
from orastream.delivery.websocket.connection import WebSocketConnection
from orastream.delivery.websocket.frames import FrameTemplate, end_frame, header_value, init_frame
from orastream.tls import ClientTls


def session_headers(session_id: str, phone_id: str) -> dict[str, str]:
    """The headers of a handshake that say for whom the connection is."""
    return {"phone-id": header_value(phone_id), "session-id": header_value(session_id)}


class WebSocketLink:
    """One connection for one session and phone, on which `init` was sent."""

    resuming = None

    def __init__(self, connection: WebSocketConnection) -> None:
        self.quick = False
        self._connection = connection
        self._speech: Speech | None = None
        self._start: AudioStart | None = None
        self._text: str | None = None
        self._template: FrameTemplate | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        session_id: str,
        phone_id: str,
        wake: Callable[[], None],
        *,
        headers: Mapping[str, str],
        client_tls: ClientTls | None = None,
    ) -> WebSocketLink:
        """Connect, complete the handshake and send `init`. Raises LinkLost. Cancel-safe.

        `headers` are sent besides those of the session; `wake` is called when `room` becomes true again, and when the
        connection ends; `client_tls` is used for a `wss://` address.
        """
        ids = session_headers(session_id, phone_id)
        connection = await WebSocketConnection.open(url, ids | dict(headers), wake, client_tls)
        return cls.begun(connection, session_id, phone_id, wake)

    @classmethod
    def begun(
        cls, connection: WebSocketConnection, session_id: str, phone_id: str, wake: Callable[[], None]
    ) -> WebSocketLink:
        """Send `init` over an open connection, and return its link."""
        connection.wake = wake
        connection.send_text(init_frame(session_id, phone_id))
        return cls(connection)

    @property
    def lost(self) -> LinkLost | None:
        """Why the connection has ended; None while it is open."""
        return self._connection.lost

    @property
    def room(self) -> bool:
        """Whether a frame may be written now."""
        return self._connection.room

    def begin(self, speech: Speech) -> None:
        """Begin an utterance: the next frames belong to it."""
        self._speech, self._start, self._text, self._template = speech, None, None, None

    def end(self) -> None:
        """Forget the utterance."""
        self._speech = self._start = self._text = self._template = None

    def write(self, start: AudioStart, chunk: AudioChunk, began: SentenceStart | None = None) -> None:
        """Write the frame of a chunk now, without blocking."""
        self._connection.send_text(*self._frames(start, chunk.text).chunk(chunk))

    def complete(self, start: AudioStart, end: AudioEnd) -> None:
        """Write the `complete` frame now, without blocking."""
        self._connection.send_text(self._frames(start, end.text).complete(end.total_chunks))

    def ended(self, end: SpeechEnd) -> None:
        """Write the end frame of an utterance now, without blocking."""
        self._connection.send_text(end_frame(end))

    def confirm(self, may_write: Callable[[], bool]) -> asyncio.Future[None]:
        """Send a ping; the future is done when it is answered, and fails with LinkLost."""
        return self._connection.confirm()

    def _frames(self, start: AudioStart, text: str | None) -> FrameTemplate:
        """The template for this text. It is made anew only when the text or the start has changed."""
        template = self._template
        if template is None or start is not self._start or text != self._text:
            assert self._speech is not None, "begin() comes first"
            template = FrameTemplate(self._speech, start, text)
            self._start, self._text, self._template = start, text, template
        return template

    def abandon(self) -> None:
        """Send nothing more of the utterance. Unsent bytes can only be dropped by ending the connection."""
        if self._connection.unsent_bytes:
            self._connection.abort("cut: the utterance was ended with bytes unsent")

    def cut(self) -> None:
        """End the connection now, also with bytes in the kernel's send buffer: these are dropped."""
        self._connection.abort("cut: audio on its way was not confirmed in time")

    async def close(self) -> None:
        """End the connection."""
        self._connection.close()
