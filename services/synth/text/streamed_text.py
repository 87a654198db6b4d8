"""Takes down a text that is still being written, and gives its lines as they become certain.

While it waits it holds no engine. A writer who is silent for `idleSeconds` is given up by a mark in the text's own
stream, stored only if nothing came after what is known here: so another attempt, in this process or another one, reads
the same text with the same end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from orastream.base import tasks
from orastream.contract import stream_names, subjects
from orastream.contract.audio_messages import EndError
from orastream.contract.errors import PublishRefused, SequenceConflict
from orastream.contract.stored_requests import StoredRequest
from orastream.contract.text_pieces import STALLED, TextPieces
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from services.synth.settings import SynthSettings
from services.synth.text.idle_timer import IdleTimer
from services.synth.text.script import ScriptLine, line_of
from services.synth.text.sentence_splitter import Sentences, slices

SIGN_EVERY_S = 5.0
"""How often the readers of the audio learn that it is waited for text: often within SYNTH_STALL_SECONDS."""
_MAX_BYTES_PER_CHAR = 4
_REST_OF_END_BYTES = 4096  # what `end` holds beside the whole text


class StreamedText:
    """The text of one request for one attempt, as `async with`; `waits` hears when it begins and ends to wait for text.

    `show_waiting` is run in a task at once and then every SIGN_EVERY_S while text is waited for.
    Idle time is counted by this process' own clock, only while text is waited for (`IdleTimer`) and NATS is there.
    """

    def __init__(
        self,
        js: JetStream,
        stored: StoredRequest,
        show_waiting: Callable[[], Coroutine[Any, Any, None]],
        settings: SynthSettings,
        waits: Callable[[bool], None],
    ) -> None:
        assert stored.request is not None, "a request that cannot be read is refused before"
        self._js = js
        self._stored = stored
        self._request = stored.request
        self._show_waiting = show_waiting
        self._sign_every_s = min(SIGN_EVERY_S, settings.synth_stall_seconds / 4)
        self._waits = waits
        self._reads = settings.tts_text_normalization
        self._text_pieces = TextPieces(
            self._request.text,
            max_chars=min(
                settings.tts_max_text_chars, (js.broker.max_payload - _REST_OF_END_BYTES) // _MAX_BYTES_PER_CHAR
            ),
            # Whoever takes over begins with the first chunk, so that must still be kept when the last one is made.
            max_open_s=settings.tts_audio_retention_seconds / 2,
        )
        self._fresh = [self._request.text]
        self._changed = asyncio.Event()
        self._feed = Feed(js, stream_names.TEXTS, subjects.script(stored.session, stored.token), wake=self._on_wake)
        self._last_sequence = 0
        self._clock = asyncio.get_running_loop().time
        self._idle = IdleTimer(self._request.idle_seconds, self._clock())
        self._sign_at = 0.0  # the first wait shows at once that this attempt lives
        self._showing: asyncio.Task[None] | None = None
        self._blind = True
        self.said: list[str] = []
        """The text of each line given so far."""

    @property
    def text(self) -> str:
        """All that has come."""
        return self._text_pieces.text

    @property
    def problem(self) -> EndError | None:
        """Why the utterance is to end as failed, once all lines are given."""
        return self._text_pieces.problem

    async def __aenter__(self) -> Self:
        await self._feed.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._showing is not None:
            await tasks.end(self._showing)
        await self._feed.__aexit__(kind, exc, trace)

    async def lines(self) -> AsyncGenerator[ScriptLine, None]:
        """Every line, from the first, also those before a problem. Raises NodeUnavailable. Cancel-safe."""
        found = Sentences(self._request.language)
        while True:
            for part in slices(self._take()):
                await asyncio.sleep(0)  # without it a long piece would hold up the audio of every other session
                for sentence in found.push(part):
                    yield self._line(sentence)
                    self._sign_at = self._clock() + self._sign_every_s  # its audio is a sign, too
            if self._text_pieces.ended and not self._fresh:
                break
            await self._more()
        for sentence in found.finish():
            yield self._line(sentence)

    def _line(self, sentence: str) -> ScriptLine:
        self.said.append(sentence)
        return line_of(sentence, self._request.language, self._request.speed, reads=self._reads)

    def _take(self) -> str:
        fresh, self._fresh = "".join(self._fresh), []
        return fresh

    def _on_wake(self) -> None:
        now = self._clock()
        while (message := self._feed.pop()) is not None:
            self._last_sequence = message.sequence
            pieces = self._text_pieces.pieces
            if text := self._text_pieces.receive(message.data, message.time_s):
                self._fresh.append(text)
            if self._text_pieces.pieces > pieces:
                self._idle.heard(now)
        if self._blind:  # what was written meanwhile is known from now on
            self._idle.heard(now)
        self._blind = not self._feed.current
        self._feed.expecting = not self._text_pieces.ended
        self._changed.set()

    async def _more(self) -> None:
        """Return when there is more, or no more to come."""
        self._waits(True)
        self._idle.waits(self._clock())
        try:
            while not self._fresh and not self._text_pieces.ended:
                self._changed.clear()
                await self._wait_until(None if self._blind else min(self._sign_at, self._idle.over_at))
                if self._changed.is_set():
                    continue
                if self._clock() >= self._idle.over_at:
                    await self._give_up()
                else:
                    self._show_life()
        finally:
            self._waits(False)

    async def _wait_until(self, at: float | None) -> None:
        """Return when something has changed, or at that time; None: only when something has."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._changed.wait()

    def _show_life(self) -> None:
        """In a task: a slow answer of the stream must not keep the next piece of the text waiting."""
        self._sign_at = self._clock() + self._sign_every_s
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show_waiting(), name="waiting")

    async def _give_up(self) -> None:
        """Store that the text ends here, unless more of it has come."""
        subject = subjects.text(self._stored.session, self._stored.token)
        try:
            await self._js.store(subject, STALLED, expect_last=self._last_sequence)
        except SequenceConflict:  # more has come, or the mark of ours whose answer was lost, and the feed will bring it
            newer = await self._js.after(stream_names.TEXTS, self._feed.subject, self._last_sequence)
            if newer is None:  # it was purged: the utterance is final, whoever has ended it
                self._text_pieces.stall()
            self._idle.heard(self._clock())
        except PublishRefused:  # the stream takes nothing more, from nobody
            self._text_pieces.stall()
        else:
            await self._wait_until(self._clock() + self._request.idle_seconds)  # until the feed brings the mark
