"""Writes the records of what was heard in one session, one at a time. No delivery waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.base import logger
from orastream.base.backoff import Backoff
from orastream.contract.assembly import Assembly
from orastream.contract.audio import seconds_of
from orastream.contract.audio_messages import unpack
from orastream.contract.errors import NodeUnavailable, OrastreamError, Undecodable
from orastream.contract.heard import HeardState, left_undone
from orastream.contract.heard_text import plain_source
from orastream.contract.subjects import token
from orastream.delivery.rules.heard_book import MAX_UTTERANCES, HeardBook, PlayingUtterance
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.ownership import Ownership
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore

AGAIN_S, MAX_AGAIN_S = 0.5, 8.0
"""The first and the longest wait before another try."""
AFTER_CUT_S = 0.02
"""How long the record of a cut utterance waits: the next utterance begins at this moment, and its audio goes first."""
PATIENCE_S = 60.0
"""How long a record is tried while NATS does not store it. Then it stays as it is."""

log = logger.named(__name__)


class HeardWriter:
    """Writes the records of one session; reads those that an earlier owner has left. Used from the session's loop."""

    def __init__(self, js: JetStream, ownership: Ownership, book: HeardBook) -> None:
        self._js = js
        self._store = HeardStore(js)
        self._session = ownership.session
        self._epoch = ownership.epoch
        self._book = book
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, PlayingUtterance] = {}
        """Those whose record is to be written, by sequence, in order."""
        self._writing: asyncio.Task[None] | None = None
        self._revisions: dict[int, int] = {}
        """The revisions of the records written here, by the sequence of the request."""
        self._recovering = False
        self._refused = False
        """NATS refuses this user the records: each try would be a violation, and the session could never rest."""

    def recover(self, background: Background, is_open: Callable[[int], bool], wake: Callable[[], None]) -> None:
        """Read once, in the background, the records that an earlier owner has left. Then calls `wake`.

        `is_open`: whether the request with this sequence is stored and has no final report.
        """
        if not self._recovering:
            self._recovering = True
            background.start(self._recover(is_open, wake))

    def write(self, utterance: PlayingUtterance, background: Background) -> None:
        """Write the record of an utterance as soon as possible: as it is then."""
        if self._refused:
            return
        self._waiting[utterance.sequence] = utterance
        if self._writing is None or self._writing.done():
            self._writing = background.start(self._write_waiting())

    async def _write_waiting(self) -> None:
        if any(utterance.cut_by is not None for utterance in self._waiting.values()):
            await asyncio.sleep(AFTER_CUT_S)
        while self._waiting and not self._refused:
            await self._write(self._waiting.pop(next(iter(self._waiting))))

    async def _write(self, utterance: PlayingUtterance) -> None:
        give_up_at, backoff = self._loop.time() + PATIENCE_S, Backoff(AGAIN_S, MAX_AGAIN_S)
        sequence, heard = utterance.sequence, utterance.record(self._epoch)
        while True:
            try:
                revision = await self._store.write(
                    heard, utterance.encoding, self._revisions.get(sequence, 0), if_first=not utterance.begun
                )
                break
            except NodeUnavailable as exc:
                if self._store.refuses(heard):
                    self._refused = True
                    log.warning("what was heard is not recorded: NATS refuses it; make the users anew (init-auth)")
                    return
                if self._loop.time() >= give_up_at:
                    log.warning("what was heard is not recorded", request=heard.request_id, error=str(exc))
                    return
            except OrastreamError as exc:  # refused: another try would be, too
                log.warning("what was heard is not recorded", request=heard.request_id, error=str(exc))
                return
            await asyncio.sleep(backoff.next_s())
        if revision is not None:
            self._revisions[sequence] = revision
            if len(self._revisions) > MAX_UTTERANCES:
                del self._revisions[next(iter(self._revisions))]

    async def _recover(self, is_open: Callable[[int], bool], wake: Callable[[], None]) -> None:
        backoff = Backoff(AGAIN_S, MAX_AGAIN_S)
        while True:
            try:
                states = await self._store.if_undone(self._session)
                undone = left_undone(states, self._epoch)
                found = [self._unknown(state) for state, _ in undone[:-MAX_UTTERANCES]]
                found += [await self._utterance(state, began_at_s) for state, began_at_s in undone[-MAX_UTTERANCES:]]
                break
            except NodeUnavailable as exc:
                if self._store.refused:  # it would be at each try: the session could never rest
                    found = []
                    break
                log.debug("records of what was heard are not read yet", error=str(exc))
            await asyncio.sleep(backoff.next_s())
        for utterance in found:
            utterance.sent_all = not is_open(utterance.sequence)
        self._book.recovered(found)
        wake()

    def _unknown(self, state: HeardState) -> PlayingUtterance:
        """The utterance of a record that is not final, of whose play nothing is known: it counts as over."""
        heard = state.heard
        ids = self._session, token(heard.request_id), heard.session_id, heard.request_id
        utterance = PlayingUtterance(heard.request_seq, *ids, state.encoding, None, by="unknown", begun=True)
        utterance.plays_until = float("-inf")
        return utterance

    async def _utterance(self, state: HeardState, began_at_s: float) -> PlayingUtterance:
        """The utterance of a record that is not final, with what is stored of its audio."""
        utterance = self._unknown(state)
        audio = await self._audio(utterance)
        if audio.start is None:  # it is not stored any more: the play has ended long ago
            return utterance
        utterance.by = "sent"  # what OraServer has reported to the earlier owner is not known here
        utterance.source = plain_source(audio.start.text, utterance.spoken)
        utterance.document = audio.start.text
        end = audio.finished
        known_s = seconds_of(audio.start.format, audio.start.spec, audio.bytes)
        utterance.sent_ms = audio.last_pts_ms if known_s is None else round(known_s * 1000)
        if end is not None and end.status == "complete":
            utterance.audio_ms = utterance.sent_ms = round(end.audio_seconds * 1000)
        utterance.plays_until = self._js.clock.monotonic_at(began_at_s) + utterance.sent_ms / 1000
        return utterance

    async def _audio(self, utterance: PlayingUtterance) -> Assembly:
        """Read the stored audio of an utterance, a page at a time, and note its sentences and words."""
        names, after = self._js.names, 0
        subject, audio = names.audio(self._session, utterance.token), Assembly(utterance.sequence)
        while page := await self._js.read(names.audio_stream, subject, after):
            after = page[-1].sequence
            for message in page:
                try:
                    chunks = audio.receive(message.sequence, unpack(message.data))
                except Undecodable:
                    continue
                for chunk in chunks:
                    utterance.spoken.add(chunk)
        return audio
