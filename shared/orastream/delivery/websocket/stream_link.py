"""A link to OraServer over protocol v2: the part of a shared connection that belongs to one session and phone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from orastream.contract.audio import bytes_per_second
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import Code
from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.sentence_start import SentenceStart
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.pending_cancels import PendingCancel
from orastream.delivery.rules.streams.sentence_texts import texts_of
from orastream.delivery.rules.streams.stream_terms import StreamRequest, StreamState
from orastream.delivery.sink import LinkLost, Speech, SpeechEnd
from orastream.delivery.websocket.stream_connection import StreamConnection

ROOM_BYTES = 64 << 10
"""Bytes that a stream may hold unsent before `room` is False: two full-sized chunks."""
REFUSED_STATUS = 403
"""The status that a stream's refusal counts as: a retry is of no use."""


class _Question(NamedTuple):
    """Wait until OraServer has stored the bytes before `upto`, or everything."""

    upto: int
    all: bool
    answer: asyncio.Future[None]


class StreamLink:
    """A link of one session and phone. Use from one event loop."""

    def __init__(
        self,
        connection: StreamConnection,
        wake: Callable[[], None],
        released: Callable[[StreamLink], None],
    ) -> None:
        """`wake` is called when `room` becomes true again, at the answer to `open`, and when the link is lost.

        `released` is called once, when the link does not use the connection any more.
        """
        self.quick = True
        self._connection = connection
        self._wake = wake
        self._released: Callable[[StreamLink], None] | None = released
        self._loop = asyncio.get_running_loop()
        self._stream: OutStream | None = None
        self._questions: list[_Question] = []
        self._lost: LinkLost | None = None
        self._had_room = False

    @property
    def resuming(self) -> StreamLink:
        """The link itself: OraServer says at which byte an utterance goes on."""
        return self

    @property
    def lost(self) -> LinkLost | None:
        """Why the stream or its connection has ended; None while both are open."""
        return self._lost or self._connection.lost

    @property
    def room(self) -> bool:
        """Whether the stream is open and holds little that is not sent."""
        stream = self._stream
        if stream is None or stream.over or stream.opened_upto is None:
            return False
        return stream.unsent_bytes < ROOM_BYTES

    @property
    def opened_upto(self) -> int | None:
        """How many bytes of the utterance OraServer has; None before it has answered."""
        return None if self._stream is None else self._stream.opened_upto

    @property
    def sent_s(self) -> float:
        """The seconds of the utterance up to what was sent."""
        return 0.0 if self._stream is None else self._stream.sent_s

    @property
    def acked_s(self) -> float:
        """The seconds of the utterance up to what OraServer has stored."""
        return 0.0 if self._stream is None else self._stream.acked_s

    @property
    def retransmitted_bytes(self) -> int:
        """Bytes of the utterance that OraServer has lost, and that were sent again."""
        return 0 if self._stream is None else self._stream.retransmitted_bytes

    @property
    def skipped_bytes(self) -> int:
        """Bytes of the utterance that OraServer has left out."""
        return 0 if self._stream is None else self._stream.skipped_bytes

    @property
    def reports_played(self) -> bool:
        """Whether OraServer says how much of an utterance the phone has played."""
        return self._connection.reports_played

    def begin(self, speech: Speech) -> None:
        """Begin an utterance. `open` comes next."""
        self._forget()

    def open(self, request: StreamRequest, listener: Listener) -> None:
        """Open a stream for the utterance. `listener` is that of the session."""
        self._forget()
        rate = bytes_per_second(request.start.format, request.start.spec)
        self._stream = OutStream(request, listener, self._connection.limits, rate)
        self._connection.add(self._stream, self._changed)

    def write(self, start: AudioStart, chunk: AudioChunk, began: SentenceStart | None = None) -> None:
        """Give the chunk to the stream, which sends it in ranges as the connection and the listener take them."""
        stream = self._opened()
        assert chunk.offset is not None, "the machine sets it"
        stream.offer(chunk.offset, chunk.audio, chunk.pts_ms, texts_of(chunk, began))
        self._had_room = self.room
        self._connection.offered(stream)

    def complete(self, start: AudioStart, end: AudioEnd) -> None:
        """Say that there is no more audio."""
        self._opened().finish("complete", round(end.audio_seconds * 1000), size=end.total_bytes)
        self._connection.offered(self._opened())

    def failed(self, code: Code) -> None:
        """Say that there is no more audio, because the utterance has failed."""
        self._opened().finish("failed", code=code)
        self._connection.offered(self._opened())

    def ended(self, end: SpeechEnd) -> None:
        """Do nothing: `end` and `cancel` say it over this protocol."""

    def cancel(self, cancel: CancelUtterances, listener: Listener) -> PendingCancel:
        """Send a barge-in before everything that is not written yet. `listener` is that of the session."""
        return self._connection.cancel(cancel, listener, self._wake)

    def confirm(self, may_write: Callable[[], bool]) -> asyncio.Future[None]:
        """The future is done when OraServer has stored what was written so far, and fails with LinkLost."""
        if (stream := self._stream) is None:  # nothing was written
            done = self._loop.create_future()
            done.set_result(None)
            return done
        question = _Question(stream.offered_bytes, stream.finished, self._loop.create_future())
        self._questions.append(question)
        self._answer()
        return question.answer

    def end(self) -> None:
        """Send nothing more of the utterance. Only the end of a failed one is sent until OraServer has stored it."""
        self._forget()

    def abandon(self) -> None:
        """The same as `end`."""
        self._forget()

    def cut(self) -> None:
        """The same as `end`: the next owner's `open` or `cancel` ends what is on its way."""
        self._forget()

    async def close(self) -> None:
        """The session does not use the connection any more."""
        self._forget()
        self._release()

    def connection_lost(self) -> None:
        """The connection has ended."""
        self._release()
        self._wake()

    # ---- private

    def _release(self) -> None:
        released, self._released = self._released, None
        if released is not None:
            released(self)

    def _opened(self) -> OutStream:
        assert self._stream is not None, "open() comes first"
        return self._stream

    def _forget(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and not (stream.fails or stream.over):
            self._connection.drop(stream)
        self._questions.clear()  # nobody waits for their answers any more
        self._had_room = False

    def _changed(self) -> None:
        """Something has happened to a stream of this link."""
        stream = self._stream
        if stream is None:
            return
        if stream.state is StreamState.BROKEN and self._lost is None:
            assert stream.fault is not None, "a broken stream has a reason"
            status = REFUSED_STATUS if stream.fault.code == "refused" else None
            self._lost = LinkLost(stream.fault.reason, status=status, cancelled=stream.fault.code == "cancelled")
            self._release()
        answered = self._answer()
        if self._lost is not None or answered or self.room != self._had_room:
            self._had_room = self.room
            self._wake()

    def _answer(self) -> bool:
        """Answer the questions that can be answered. Returns whether there was one."""
        stream, waiting = self._stream, []
        for question in self._questions:
            if question.answer.done():
                continue
            if self.lost is not None:
                question.answer.set_exception(self.lost)
            elif stream is None or stream.state is StreamState.DROPPED:
                waiting.append(question)  # nobody may take it for stored
            elif stream.delivered if question.all else stream.upto >= question.upto:
                question.answer.set_result(None)
            else:
                waiting.append(question)
        answered = len(waiting) < len(self._questions)
        self._questions = waiting
        return answered
