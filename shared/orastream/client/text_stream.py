"""The writer's side of a request whose text is still being written.

Each piece is published with its own index and message id, without waiting for the acks of earlier ones. The reader
sorts by index, so resends and reordering do no harm (`contract/text_pieces.py`). A final report ends the writing.
"""

from __future__ import annotations

import asyncio
import contextlib
from copy import copy
from types import TracebackType
from typing import Protocol, Self

from orastream.base import tasks
from orastream.broker import Broker
from orastream.client import publishing
from orastream.client.acceptance import Acceptance
from orastream.client.reads import Reads
from orastream.contract import subjects
from orastream.contract.codec import Map
from orastream.contract.errors import InvalidRequest, OrastreamError, PublishRefused, Undecodable, UtteranceEnded
from orastream.contract.messages import DEFAULT_MAX_TEXT_CHARS, Report
from orastream.contract.names import Names
from orastream.contract.surrogates import SurrogateJoiner
from orastream.contract.text_pieces import MAX_PIECES, TextPiece
from orastream.jetstream.publish_window import PublishWindow

CANCEL_S = 5.0
"""Timeout of the cancel when an exception leaves the block. If it is not sent, `idleSeconds` ends the request."""


class Submitter(Protocol):
    """The part of `Client` that a text stream uses."""

    @property
    def broker(self) -> Broker:
        """See `Client.broker`."""
        ...

    @property
    def names(self) -> Names:
        """See `Client.names`."""
        ...

    @property
    def reads(self) -> Reads:
        """See `Client.reads`."""
        ...

    async def submit(self, fields: Map) -> tuple[Acceptance, bool]:
        """See `Client.submit`."""
        ...

    async def report(self, session_id: str, request_id: str) -> Report | None:
        """See `Client.report`."""
        ...

    async def wait(self, session_id: str, request_id: str, wait_s: float) -> Report:
        """See `Client.wait`."""
        ...

    async def cancel(self, session_id: str, request_id: str | None = None) -> int:
        """See `Client.cancel`."""
        ...


class TextStream:
    """`async with client.utterance(session_id=…, phone_id=…) as u: await u.write(token)`.

    Entering the block stores the request, which fixes its place in the session's order. The node speaks the first
    sentence as soon as the next one has begun. Leaving the block ends the text. Leaving it by an exception, including
    a task's cancellation, cancels the request.

    If the request ends before the text (a barge-in, a failure), `write` raises UtteranceEnded. The block swallows that
    exception, and `wait()` after the block returns the final report. Use it from one task.
    """

    def __init__(self, client: Submitter, fields: Map, max_text_chars: int = DEFAULT_MAX_TEXT_CHARS) -> None:
        """`fields` are the wire fields of the request. Nothing is stored before the block is entered."""
        self._client = client
        self._joiner = SurrogateJoiner()
        beginning = fields.get("text")
        if isinstance(beginning, str):  # another type is refused when the request is submitted
            beginning = self._joiner.push(beginning)
        self._fields: Map = {**fields, "text": beginning, "textStream": True}
        self._max_chars = max_text_chars
        self._chars = len(beginning) if isinstance(beginning, str) else 0
        self._next_index = 0
        self._acceptance: Acceptance | None = None
        self._final: Report | None = None
        self._ended: UtteranceEnded | None = None
        self._window: PublishWindow
        self._stack = contextlib.AsyncExitStack()
        self._left = False
        self.waits = False
        """Whether the sender waits for the outcome (`fire_and_forget` is false)."""

    @property
    def acceptance(self) -> Acceptance:
        """The node's answer to the request. Raises RuntimeError before the block was entered."""
        if self._acceptance is None:
            raise RuntimeError("enter it first: async with client.utterance(…) as u")
        return self._acceptance

    @property
    def request_id(self) -> str:
        """The request's id. Raises RuntimeError before the block was entered."""
        return self.acceptance.request_id

    async def __aenter__(self) -> Self:
        """Store the request; with `supersede` it cancels the earlier ones now. Raises InvalidRequest, Overloaded,
        NodeUnavailable.
        """
        self._acceptance, self.waits = await self._client.submit(self._fields)
        self._window = PublishWindow(self._client.broker)  # not before: the request may have opened the connection
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._window)
            subject = self._client.names.report(*self._tokens())
            self._feed = self._client.reads.feed(self._client.names.reports_stream, subject, wake=self._on_report)
            await stack.enter_async_context(self._feed)
            self._stack = stack.pop_all()
        return self

    async def write(self, text: str | None) -> None:
        """Add a piece of the text: a token, a word, a sentence. Waits only while too many pieces are unacked.

        An empty piece, or None, only restarts the idle timeout. Half of a surrogate pair at the end of a piece waits
        for the other half in the next piece; one without its other half becomes U+FFFD, which is not spoken.
        Raises UtteranceEnded, NodeUnavailable (a piece was not stored for 30 s), InvalidRequest for a text that is too
        long, TypeError for one that is neither str nor None (after these two the piece is not sent, and you can still
        write others or leave the block), RuntimeError before the block was entered and after it was left.
        """
        self._tokens()  # raises if the block was not entered
        if self._ended is not None:
            raise self._ended
        if self._left:
            raise RuntimeError("the block was left: the text is complete")
        text = "" if text is None else text
        if not isinstance(text, str):
            raise TypeError(f"write: text must be str or None, got {type(text).__name__}; write the text of the piece")
        joiner = copy(self._joiner)
        text = joiner.push(text)
        if self._chars + len(text) + joiner.waits > self._max_chars:
            raise InvalidRequest("text", f"would have more than {self._max_chars} characters; end it here")
        if self._next_index + 1 >= MAX_PIECES:
            raise InvalidRequest("text", f"is in more than {MAX_PIECES - 1} pieces; write longer ones")
        await self._put(TextPiece(self._next_index, text))
        self._joiner = joiner  # not before: the caller may write a piece again whose `write` was cancelled
        self._chars += len(text)

    async def report(self) -> Report | None:
        """The request's last report. See `Client.report`."""
        if self._final is not None:
            return self._final
        return await self._client.report(self.acceptance.session_id, self.request_id)

    async def wait(self, wait_s: float = 60.0) -> Report:
        """Wait for the final report and return it. Call it after the block. See `Client.wait`."""
        if self._final is not None:
            return self._final
        return await self._client.wait(self.acceptance.session_id, self.request_id, wait_s)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> bool:
        ended_by_us = exc is not None and exc is self._ended
        try:
            if exc is None:
                with contextlib.suppress(UtteranceEnded):
                    await self._put(TextPiece(self._next_index, self._joiner.finish(), end=True))
                    await self._flush()
            elif not ended_by_us:
                await tasks.finish(self._cancel())
        finally:
            self._left = True
            await tasks.finish(self._stack.aclose())
        return ended_by_us

    async def _put(self, piece: TextPiece) -> None:
        session, token = self._tokens()
        message_id = publishing.message_id(session, token, piece.index)
        try:
            await self._window.put(self._client.names.text(session, token), piece.encode(), message_id)
        except PublishRefused as exc:
            raise publishing.refusal("a piece of text", self.acceptance.session_id, exc) from exc
        self._next_index = piece.index + 1

    async def _flush(self) -> None:
        try:
            await self._window.flush()
        except PublishRefused as exc:
            raise publishing.refusal("a piece of text", self.acceptance.session_id, exc) from exc

    async def _cancel(self) -> None:
        with contextlib.suppress(OrastreamError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await self._client.cancel(self.acceptance.session_id, self.request_id)

    def _on_report(self) -> None:
        while (message := self._feed.pop()) is not None:
            try:
                report = Report.decode(message.data)
            except (Undecodable, ValueError):
                continue
            if report.final and self._final is None:
                self._final = report
                self._ended = UtteranceEnded(report.session_id, report.request_id, report.status)
                self._window.give_up(self._ended)

    def _tokens(self) -> tuple[str, str]:
        return subjects.tokens(self.acceptance.session_id, self.request_id)
