"""What plug-ins of voice agent frameworks share: a connection that opens when it is needed, and utterances over it.

    node = SpeechNode(session_id="call-7")
    async with node.utterance(voice="ko", sample_rate=24000) as speech:
        await speech.write("안녕하세요. ")  # as the LLM writes
        await speech.end()
        async for part in speech:
            play(part.audio)

One task may read while another one still writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncGenerator, Coroutine, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from orastream.client.async_client import Client
from orastream.client.complete_audio import SpeechFailed, complete_audio
from orastream.client.node_options import node_options
from orastream.client.shared_opening import SharedOpening
from orastream.client.text_stream import TextStream
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart
from orastream.contract.errors import OrastreamError, UtteranceEnded, WaitTimeout
from orastream.contract.surrogates import SurrogateJoiner
from orastream.integrations.live_transcript import LiveTranscript, TranscriptPart

FORMAT: Literal["pcm16"] = "pcm16"
CANCEL_S = 5.0
"""Timeout of a cancel. If it is not stored by then, the node makes audio that nobody reads."""
NOT_ENTERED = "enter it first: async with node.utterance() as speech"


@dataclass(frozen=True, slots=True)
class SpeechPart:
    """The next samples of an utterance, and the parts of its text that have been spoken by their end."""

    audio: bytes
    """Signed 16-bit little-endian samples, mono. Empty if only the end of the text was left."""
    words: tuple[TranscriptPart, ...] = ()


class SpeechNode:
    """The node, over a connection that opens at the first use. For one event loop. Calls may run concurrently.

    The Client reconnects by itself. If its connection is closed for good, the next use opens another one. After a
    failed attempt to connect, uses raise NodeUnavailable at once for 1 s.
    """

    def __init__(
        self,
        *,
        session_id: str | None = None,
        phone_id: str | None = None,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        """`session_id` names the conversation in the node's reports; without it, a random one.

        `options` are the parameters of `Client`; for those that are absent the node's own variables count: NATS_URL,
        NATS_CREDS and so on (`client/node_options.py`). With a `client`, which its owner opens and closes, they are
        not read. Raises TypeError for an option that Client does not have, and for a `client` together with options;
        ValueError for a wrong `prefix`, SettingsError for a variable with a wrong value.
        """
        given = {name: value for name, value in options.items() if value is not None}
        if client is not None and given:
            raise TypeError(f"client: has a connection of its own; leave out {', '.join(sorted(given))}")
        self.session_id = session_id or f"agent-{uuid.uuid4().hex}"
        self.phone_id = phone_id or self.session_id
        self._options = {} if client is not None else node_options(os.environ.get, given)
        self._given = client
        if client is None:
            Client(**self._options)  # raises here, not in the middle of a conversation
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = SharedOpening(self._connect, _ended)
        self._opened: Client | None = None
        self._prewarming: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    async def open(self) -> Client:
        """Return the open Client. Cancel-safe: the attempt to connect goes on for the next use.

        Raises NodeUnavailable, SettingsError for a wrong address or file, RuntimeError in a second event loop while
        the first one is not closed.
        """
        self._enter_loop()
        return self._given or await self._opening.get()

    def utterance(self, text: str = "", **options: Any) -> NodeSpeech:
        """One utterance, which begins with `text`; `async with` stores its request.

        `options` are those of `Client.utterance` without ids, transport and format.
        """
        return NodeSpeech(self, text, options)

    def prewarm(self) -> None:
        """Open the connection in the background. What goes wrong shows at the first use.

        Does nothing without a running event loop.
        """

        async def opened() -> None:
            with contextlib.suppress(OrastreamError, RuntimeError):
                await self.open()

        with contextlib.suppress(RuntimeError):
            self._prewarming = asyncio.get_running_loop().create_task(opened())

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in a task that outlives the caller's; `aclose` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def aclose(self) -> None:
        """Wait up to CANCEL_S for cancels that are being sent, and close the connection. A later use opens it again.

        An attempt to connect ends at once.
        """
        self._enter_loop()
        if self._background:
            await asyncio.wait(set(self._background), timeout=CANCEL_S)
        await self._opening.close()
        await self._close()

    async def _connect(self) -> Client:
        await self._close()  # the one before it has ended
        client = Client(**self._options)
        await client.__aenter__()
        self._opened = client
        return client

    async def _close(self) -> None:
        client, self._opened = self._opened, None
        if client is not None:
            await client.__aexit__(None, None, None)

    def _enter_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise RuntimeError("is used in two event loops; make one for each loop")
            self._opening, self._opened = SharedOpening(self._connect, _ended), None  # what the closed loop had is dead
            self._background.clear()
        self._loop = loop


def _ended(client: Client) -> bool:
    return client.broker.closed.is_set()


class NodeSpeech:
    """One utterance: write its text, end it, and read its audio, which comes while the text is written.

    Leaving the block before the audio has ended cancels the request on the node, also when the task is cancelled. The
    cancel is sent in the background, so that leaving does not wait for a node that is away.
    """

    def __init__(self, node: SpeechNode, text: str, options: Mapping[str, Any]) -> None:
        self.request_id = uuid.uuid4().hex
        self._node = node
        self._options = options
        self._client: Client | None = None
        self._stream: TextStream | None = None
        self._joiner = SurrogateJoiner()
        self._beginning = text
        self._text = self._joiner.push(text)
        self._text_ended = False
        self._audio_ended = False
        self._silence_s: float | None = None
        self._plays_until = 0.0  # loop time at which a listener has heard all audio so far
        self._limit: asyncio.Timeout | None = None

    async def __aenter__(self) -> Self:
        """Store the request. Raises InvalidRequest, Overloaded, NodeUnavailable, TypeError for an unknown option."""
        self._client = await self._node.open()
        self._stream = self._client.utterance(
            text=self._beginning,
            session_id=self._node.session_id,
            phone_id=self._node.phone_id,
            request_id=self.request_id,
            transport="none",
            fire_and_forget=True,
            format=FORMAT,
            **self._options,
        )
        entering = asyncio.ensure_future(self._stream.__aenter__())
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # The request may be stored a moment later, and a cancel that is stored before it does not cover it.
            self._node.background(self._leave_late(entering))
            raise
        return self

    async def write(self, text: str) -> None:
        """Add the next piece of the text. Raises what `TextStream.write` does."""
        assert self._stream is not None, NOT_ENTERED
        self._text += self._joiner.push(text)
        await self._stream.write(text)

    async def end(self, silence_s: float | None = None) -> None:
        """End the text; a repeated call does nothing. Raises NodeUnavailable.

        From now on the reader raises WaitTimeout when no audio came for `silence_s` seconds after a listener has heard
        all audio before. There is no limit until the text has ended, because an LLM may take any time.
        """
        assert self._stream is not None, NOT_ENTERED
        if self._text_ended:
            return
        self._text_ended = True
        self._text += self._joiner.finish()
        self._silence_s = silence_s  # before the end is stored: NATS may stall
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(self._deadline())
        await self._stream.__aexit__(None, None, None)

    async def __aiter__(self) -> AsyncGenerator[SpeechPart, None]:
        """Yield the audio in order, without gaps, each sample once. Closing the generator cancels nothing.

        Raises SpeechFailed with the node's error, UtteranceEnded if somebody has cancelled the request, WaitTimeout
        (see `end`), NodeUnavailable.
        """
        assert self._client is not None and self._stream is not None, NOT_ENTERED
        transcript, bytes_per_s, seconds = LiveTranscript(), 0, 0.0
        async with contextlib.aclosing(complete_audio(self._client, self._stream.acceptance, wait_s=None)) as messages:
            while not self._audio_ended:
                match await self._next(messages):
                    case AudioStart() as start:
                        bytes_per_s = 2 * start.sample_rate_hz
                    case AudioChunk() as chunk:
                        now = asyncio.get_running_loop().time()
                        self._plays_until = max(self._plays_until, now) + len(chunk.audio) / bytes_per_s
                        yield SpeechPart(chunk.audio, tuple(transcript.add(chunk, self._text)))
                    case AudioEnd() as end:
                        seconds, self._audio_ended = end.audio_seconds, True
        if rest := transcript.rest(self._text, round(seconds * 1000)):
            yield SpeechPart(b"", tuple(rest))

    async def _next(
        self, messages: AsyncGenerator[AudioStart | AudioChunk | AudioEnd, None]
    ) -> AudioStart | AudioChunk | AudioEnd:
        try:
            async with asyncio.timeout_at(self._deadline()) as self._limit:
                return await anext(messages)
        except TimeoutError:
            raise WaitTimeout(self._node.session_id, self.request_id, self._silence_s or 0.0) from None
        except SpeechFailed as exc:
            self._audio_ended = True
            if exc.cancelled:
                raise UtteranceEnded(self._node.session_id, self.request_id, "cancelled") from exc
            raise
        finally:
            self._limit = None

    def _deadline(self) -> float | None:
        """Loop time by which the next message must come; None: no limit."""
        if self._silence_s is None:
            return None
        return max(self._plays_until, asyncio.get_running_loop().time()) + self._silence_s

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not (self._audio_ended and self._text_ended):
            self._node.background(self._leave())

    async def _leave_late(self, entering: asyncio.Future[Any]) -> None:
        with contextlib.suppress(OrastreamError):
            await entering
            await self._leave()

    async def _leave(self) -> None:
        """Cancel the request unless it has ended, and let go of its text. Does not raise if the node does not answer.

        What is not cancelled then ends by itself: a text without its end after `idle_seconds`.
        """
        assert self._client is not None and self._stream is not None
        with contextlib.suppress(OrastreamError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                if self._text_ended:
                    await self._client.cancel(self._node.session_id, self.request_id)
                elif self._audio_ended:
                    await self.end()
                else:
                    self._text_ended = True
                    left = asyncio.CancelledError()
                    await self._stream.__aexit__(type(left), left, None)  # it cancels the request
