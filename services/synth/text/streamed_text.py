"""Reads a streamed text and yields its lines when they are certain.

It holds no engine slot while it waits. If the writer sends nothing for `idleSeconds`, it stores an end mark in the
text's own stream, with the last sequence that it has read as the expected one. So another attempt, in any process,
reads the same text with the same end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from orastream.base import tasks
from orastream.contract.audio_messages import EndError
from orastream.contract.errors import PublishRefused, SequenceConflict
from orastream.contract.stored_requests import StoredRequest
from orastream.contract.text_pieces import STALLED, TextPieces
from orastream.jetstream.api import JetStream
from orastream.jetstream.feed import Feed
from services.synth.reading.lexicon import NO_WORDS, Lexicon
from services.synth.settings import SynthSettings
from services.synth.text.idle_timer import IdleTimer
from services.synth.text.placed_sentences import PlacedSentence, PlacedSentences
from services.synth.text.script import ScriptLine, line_of
from services.synth.text.sentence_splitter import slices
from services.synth.text.text_rules import rules_of

_MAX_BYTES_PER_CHAR = 4
_REST_OF_END_BYTES = 4096  # bytes of `end` without the text


class StreamedText:
    """The text of one request, for one attempt, as `async with`.

    `waits` is called with True when a wait for text begins and with False when it ends. `show_waiting` runs in a task
    at the start of the first wait, and then every `SynthSettings.sign_every_s` during waits. Idle time is measured with
    this process's clock, only during waits (`IdleTimer`) and only while NATS is reachable.
    """

    def __init__(
        self,
        js: JetStream,
        stored: StoredRequest,
        show_waiting: Callable[[], Coroutine[Any, Any, None]],
        settings: SynthSettings,
        waits: Callable[[bool], None],
        lexicon: Lexicon = NO_WORDS,
    ) -> None:
        assert stored.request is not None, "invalid requests are refused before"
        self._js = js
        self._stored = stored
        self._request = stored.request
        self._show_waiting = show_waiting
        self._sign_every_s = settings.sign_every_s
        self._waits = waits
        self._rules = rules_of(settings, lexicon)
        self._text_pieces = TextPieces(
            self._request.text,
            max_chars=min(
                settings.tts_max_text_chars, (js.broker.max_payload - _REST_OF_END_BYTES) // _MAX_BYTES_PER_CHAR
            ),
            # A synth that takes over reads from the first chunk: that must not expire before the last one is made.
            max_open_s=settings.tts_audio_retention_seconds / 2,
        )
        self._fresh = [self._request.text]
        self._changed = asyncio.Event()
        self._feed = Feed(
            js, self._js.names.texts_stream, self._js.names.script(stored.session, stored.token), wake=self._on_wake
        )
        self._last_sequence = 0
        self._clock = asyncio.get_running_loop().time
        self._idle = IdleTimer(self._request.idle_seconds, self._clock())
        self._sign_at = 0.0  # the first wait sends `waiting` at once
        self._showing: asyncio.Task[None] | None = None
        self._blind = True
        self.said: list[str] = []
        """The text of each line yielded so far."""

    @property
    def text(self) -> str:
        """The text received so far."""
        return self._text_pieces.text

    @property
    def problem(self) -> EndError | None:
        """The error with which the utterance must end after all lines; None if there is none."""
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
        """Yields every line from the first one, also those before a `problem`. Raises NodeUnavailable. Cancel-safe."""
        found = PlacedSentences(self._request.language, self._rules.skip_tags)
        while True:
            for part in slices(self._take()):
                await asyncio.sleep(0)  # without it a long piece would delay the audio of all other sessions
                for sentence in found.push(part, self.text):
                    yield self._line(sentence)
                    self._sign_at = self._clock() + self._sign_every_s  # its audio replaces a `waiting` message
            if self._text_pieces.ended and not self._fresh:
                break
            await self._more()
        for sentence in found.finish(self.text):
            yield self._line(sentence)

    def _line(self, sentence: PlacedSentence) -> ScriptLine:
        self.said.append(sentence.text)
        language, speed = self._request.language, self._request.speed
        return line_of(sentence.text, language, speed, rules=self._rules, source=sentence.source, text=self.text)

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
                self._idle.restart(now)
        if self._blind:  # NATS was away: the writer may have sent pieces in that time
            self._idle.restart(now)
        self._blind = not self._feed.current
        self._feed.expecting = not self._text_pieces.ended
        self._changed.set()

    async def _more(self) -> None:
        """Return when there is more text, or the text has ended."""
        if 0 < self._sign_at <= self._clock():  # text comes without a pause, and nothing of it is spoken
            self._show_life()
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
        """Return at a change, or at the time `at`; None: only at a change."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(at):
                await self._changed.wait()

    def _show_life(self) -> None:
        """Run `show_waiting` in a task: a slow answer of the stream must not delay the next piece of text."""
        self._sign_at = self._clock() + self._sign_every_s
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show_waiting(), name="waiting")

    async def _give_up(self) -> None:
        """Store the end mark, unless more text has come."""
        subject = self._js.names.text(self._stored.session, self._stored.token)
        try:
            await self._js.store(subject, STALLED, expect_last=self._last_sequence)
        except SequenceConflict:  # more text, or our own mark whose ack was lost: the feed delivers it
            newer = await self._js.after(self._js.names.texts_stream, self._feed.subject, self._last_sequence)
            if newer is None:  # purged: the utterance is already final
                self._stall()
            self._idle.restart(self._clock())
        except PublishRefused:  # the stream stores no messages now, also none of the writer
            self._stall("the node has no room for pieces of texts (TTS_TEXTS is full); send the text again")
        else:
            await self._wait_until(self._clock() + self._request.idle_seconds)  # until the feed delivers the mark

    def _stall(self, why: str | None = None) -> None:
        if text := self._text_pieces.stall(why):
            self._fresh.append(text)
