"""One utterance as one POST to OraServer. No other file of delivery sends HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from functools import partial
from typing import cast

import aiohttp
from aiohttp.connector import Connection

from orastream.base.reset import reset
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.sentence_start import SentenceStart
from orastream.delivery.post import end_reasons
from orastream.delivery.post.body import END, Body
from orastream.delivery.post.end_reasons import PostReasons
from orastream.delivery.post.send_queue import unsent_bytes
from orastream.delivery.sink import LinkLost, Speech, SpeechEnd
from orastream.tls import ClientTls

CONNECT_S = 5.0
STALL_S = 10.0
"""A POST fails when OraServer takes nothing of its body for 10 to 20 s: its progress is looked at every 10 s."""
SILENCE_S = 30.0
"""How long OraServer may take to answer after it has read the whole body."""
ANSWER_S, MAX_ANSWER_BYTES = 1.0, 4096
"""How long the body of an answer is read, and how much of it. The status alone says whether it is delivered."""
FIRST_POLL_S, POLL_S = 0.001, 0.02
"""How often a POST looks whether it may send the end of its body: after 1 ms, 2 ms and so on, then each 20 ms."""
SENT_LOOKS = 2
"""Successive checks that must find nothing unsent: between two the event loop passes to the kernel what still waits."""
running: ContextVar[HttpLink] = ContextVar("running")
"""The link whose POST runs in this task."""


class HttpLink:
    """Collects one utterance at a time and POSTs it. A failed POST ends the link; a retry reads the audio again."""

    resuming = None

    def __init__(self, client: aiohttp.ClientSession, url: str, client_tls: ClientTls) -> None:
        self.quick = False
        self._client = client
        self._url = url
        self._tls = client_tls
        self._reasons = PostReasons(url, client_tls)
        self._untried = False
        """Whether the running POST is the first one of its connection, and has no answer yet."""
        self._speech: Speech | None = None
        self._body: Body | None = None
        self._post: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        """The connection of the running POST."""
        self._ended = False
        """Whether END of the running POST was sent."""
        self._loop = asyncio.get_running_loop()
        self._limit: asyncio.TimerHandle | None = None
        self.lost: LinkLost | None = None

    @property
    def room(self) -> bool:
        """Always true: the chunks go to memory, and TTS_MAX_TEXT_CHARS limits the size of an utterance."""
        return True

    def begin(self, speech: Speech) -> None:
        """Begin an utterance: the next chunks belong to it."""
        self._speech, self._body = speech, None

    def end(self) -> None:
        """Forget the utterance."""
        self._speech = self._body = None

    def write(self, start: AudioStart, chunk: AudioChunk, began: SentenceStart | None = None) -> None:
        """Add a chunk to the body."""
        if self._body is None:
            assert self._speech is not None, "begin() comes first"
            self._body = Body(self._speech, start)
        self._body.add(chunk)

    def complete(self, start: AudioStart, end: AudioEnd) -> None:
        """Finish the body: all chunks were written."""
        assert self._body is not None, "an utterance has at least one chunk"
        self._body.finish(end.text)

    def ended(self, end: SpeechEnd) -> None:
        """Do nothing: OraServer gets whole utterances alone."""

    async def confirm(self, may_write: Callable[[], bool]) -> None:
        """POST the file; returns when OraServer has answered 2xx. Raises LinkLost, with `refused` for a 4xx.

        END, without which OraServer has no utterance, is sent when all before it has left this machine and `may_write`
        returns True. So a bridge that was frozen during the POST, and whose session another bridge has taken, does not
        complete it.
        """
        body, self._body = self._body, None
        assert body is not None, "complete() comes first"
        self._post = asyncio.create_task(self._send(body, may_write))
        try:
            await self._post
        except asyncio.CancelledError:
            self._post.cancel()
            if self.lost is None:
                raise
            raise self.lost from None
        except LinkLost as exc:
            self.lost = exc
            raise
        finally:
            self._post = self._transport = None

    async def _send(self, body: Body, may_write: Callable[[], bool]) -> None:
        running.set(self)
        self._ended = False

        async def pieces() -> AsyncIterator[bytes]:
            """Yield the body, with a new time limit for each piece: aiohttp's sock_read starts after the last one."""
            for piece in body.pieces():
                self._expect_progress(STALL_S)
                yield piece
            await self._until_end_may_be_sent(may_write)
            self._ended = True
            self._set_limit(SILENCE_S, partial(self._cut, f"the POST was not answered for {SILENCE_S:g} s"))
            yield END

        headers = {"Content-Type": "application/json", "Content-Length": str(body.content_length)}
        self._expect_progress(CONNECT_S + STALL_S)
        try:
            context = self._tls.context() if self._url.startswith("https://") else True
            async with self._client.post(
                self._url, data=pieces(), headers=headers, allow_redirects=False, ssl=context
            ) as answer:
                status, self._untried = answer.status, False
                if self._ended:
                    await _read_rest(answer.content)
        except (aiohttp.ClientError, OSError, ValueError) as exc:  # ValueError: a user in the address, beside a token
            raise LinkLost(self._reasons.failed(exc, body.content_length, untried=self._untried)) from exc
        finally:
            self._forget_limit()
        if not 200 <= status < 300:
            raise LinkLost(end_reasons.answered(status, body.content_length), status=status)
        if not self._ended:
            raise LinkLost(f"the POST was answered by HTTP {status} before it was sent", status=status)

    async def _until_end_may_be_sent(self, may_write: Callable[[], bool]) -> None:
        """Return when this bridge may write and nothing of the body waits on this machine.

        What waits would be sent after a freeze, and END after it, before `may_write` could be asked again.
        """
        looks, wait_s = 0, FIRST_POLL_S
        await asyncio.sleep(0)
        while True:
            looks = 0 if self._unsent() else looks + 1
            if looks >= SENT_LOOKS and may_write():
                return
            await asyncio.sleep(0 if looks == 1 else wait_s)
            wait_s = min(2 * wait_s, POLL_S)

    def _unsent(self) -> int:
        """How much of what was written waits on this machine; -1 before there is a connection."""
        return -1 if self._transport is None else unsent_bytes(self._transport)

    def _expect_progress(self, seconds: float) -> None:
        """Cut the POST if OraServer takes nothing for `seconds`. If it takes some, look again after STALL_S."""
        self._set_limit(seconds, partial(self._cut_if_stalled, seconds, self._unsent()))

    def _cut_if_stalled(self, seconds: float, unsent: int) -> None:
        if unsent and self._unsent() == unsent:  # with 0 the POST waits for `may_write`
            self._cut(f"the POST took nothing for {seconds:g} s")
        else:
            self._expect_progress(STALL_S)

    def _set_limit(self, seconds: float, over: Callable[[], None]) -> None:
        """Call `over` after `seconds`, unless another limit is set or the POST ends before."""
        self._forget_limit()
        self._limit = self._loop.call_later(seconds, over)

    def _forget_limit(self) -> None:
        limit, self._limit = self._limit, None  # it refers to this link
        if limit is not None:
            limit.cancel()

    def _cut(self, reason: str) -> None:
        """End a running POST with a reset. Else what aiohttp or the kernel has of it would still be sent."""
        if self._post is not None:
            self.lost = LinkLost(reason)
            if self._transport is not None:
                reset(self._transport)
            self._post.cancel()

    def abandon(self) -> None:
        """Send nothing more of the utterance: a running POST is cut."""
        self._body = None
        self._cut("cut: the utterance was ended while it was sent")

    def cut(self) -> None:
        """The same as `abandon`."""
        self.abandon()

    def uses(self, connection: Connection, *, first: bool) -> None:
        """Note the connection over which the running POST is sent, until aiohttp takes it back.

        `first`: it is new, so that a refused client certificate may end it.
        """
        self._untried = first
        self._transport = cast(asyncio.Transport, connection.transport)
        connection.add_callback(self._released)

    def _released(self) -> None:
        """From here on the connection may be another POST's. One with an unsent body has no use: reset it."""
        transport, self._transport = self._transport, None
        if transport is not None and not self._ended:
            reset(transport)

    async def close(self) -> None:
        """Drop the collected audio and cancel a running POST."""
        self.abandon()


async def _read_rest(content: aiohttp.StreamReader) -> None:
    """Read a short answer to its end, so that the connection can be used again. Its status is known already."""
    unread = MAX_ANSWER_BYTES
    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            while unread > 0 and (piece := await content.read(unread)):
                unread -= len(piece)
