"""Sends the end frames of one session. Nothing waits for them, and none is tried twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from orastream.base import logger
from orastream.contract.audio_messages import AudioChunk, AudioStart, unpack
from orastream.contract.errors import NodeUnavailable, Undecodable
from orastream.delivery.rules.end_frames import status_of
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.play_time import PlayTimes
from orastream.delivery.rules.speech import EndedStatus, Speech, SpeechEnd
from orastream.delivery.rules.utterance import UtteranceDelivery
from orastream.delivery.rules.utterance_effects import Finished, WriteEnd
from orastream.delivery.runtime.background import Background
from orastream.delivery.runtime.links import Links
from orastream.delivery.sink import Link
from orastream.jetstream.api import JetStream

LOOK_BATCH, LOOK_PAGES = 8, 16
"""How many audio messages are read at once to find the `start` of an utterance and its first chunk, and how often. A
text stream may have many `waiting` messages before its first chunk: one each 5 s.
"""

log = logger.named(__name__)


class EndFrames:
    """Writes end frames over the links of one session. Used from the session's loop only."""

    def __init__(
        self, js: JetStream, links: Links, background: Background, play: PlayTimes | None, lease: Callable[[], bool]
    ) -> None:
        """`lease` says whether this bridge may write to OraServer at this moment."""
        self._js = js
        self._links = links
        self._background = background
        self._play = play
        self._lease = lease
        self._clock = asyncio.get_running_loop().time
        self._held: list[SpeechEnd] = []
        """Those of earlier utterances, until the audio on the link is dropped."""
        self._held_written = False
        self._late: dict[tuple[str, str], SpeechEnd] = {}
        """Those that came while no write was allowed, by phone and request."""

    @property
    def late(self) -> bool:
        """Whether frames wait until this bridge may write again: call `send_late` soon."""
        return bool(self._late)

    def send_late(self) -> None:
        """Write the frames that came while no write was allowed, if it is allowed now. Call before audio is written."""
        if self._late and self._lease():
            late, self._late = self._late, {}
            for end in late.values():
                self._send(end)

    def played(self, end: SpeechEnd, running: UtteranceDelivery | None) -> None:
        """Send the frame of a delivered utterance. `running` is the delivery that uses the link of its phone."""
        if running is not None and running.has_written and not running.over:
            self._held.append(end)
        else:
            self._send(end)

    def write(
        self, entry: Entry, speech: Speech, finished: Finished | None, effect: WriteEnd, link: Link | None
    ) -> None:
        """Carry out the effect of a delivery that has ended with `finished`: write the held frames, then its own."""
        assert finished is not None, "the machine returns `WriteEnd` after the final status is decided"
        self._held_written = True
        for held in self._held:
            self._over(link, held)
        status = status_of(finished.status, finished.error, entry.resumes)
        if status is not None and effect.start is not None:
            self._over(link, SpeechEnd(speech, effect.start, status, effect.text))
        elif status is not None:
            self.find(entry, status, with_rate=speech.with_rate)

    def delivery_over(self, link: Link | None) -> None:
        """The running delivery writes nothing more: write the held frames, unless `write` has."""
        held, self._held = self._held, []
        if not self._held_written:
            for end in held:
                self._over(link, end)
        self._held_written = False

    def find(self, entry: Entry, status: EndedStatus, *, with_rate: bool) -> None:
        """Send the frame of an utterance whose audio was not read: its `start` is looked up."""
        self._background.start(self._find(entry, Speech.of(entry.stored, with_rate=with_rate), status))

    async def _find(self, entry: Entry, speech: Speech, status: EndedStatus) -> None:
        try:
            start, text = await self._look_up(entry)
        except NodeUnavailable as exc:
            log.debug("no end frame: its audio was not read", request=speech.request_id, error=str(exc))
            return
        later = self._play is not None and self._play.written_after(entry.sequence)
        if start is not None and not later:
            self._send(SpeechEnd(speech, start, status, text))

    async def _look_up(self, entry: Entry) -> tuple[AudioStart | None, str | None]:
        names, subject = self._js.names, self._js.names.audio(entry.stored.session, entry.stored.token)
        start: AudioStart | None = None
        after = 0
        for _ in range(LOOK_PAGES):
            messages = await self._js.read(names.audio_stream, subject, after, batch=LOOK_BATCH)
            for message in messages:
                after = message.sequence
                try:
                    found = unpack(message.data)
                except Undecodable:
                    continue
                if isinstance(found, AudioStart) and found.request_seq == entry.sequence:
                    start = found
                elif isinstance(found, AudioChunk) and start is not None:
                    return start, found.text
            if not messages:
                break
        return start, None

    def _over(self, link: Link | None, end: SpeechEnd) -> None:
        if link is None or link.lost is not None or not self._lease():
            self._send(end)
        else:
            link.ended(end)

    def _send(self, end: SpeechEnd) -> None:
        if self._lease():
            self._links.announce(end, self._clock(), self._lease)
        else:  # after a lapse the ownership is checked before anything is written, which takes milliseconds
            self._late[end.speech.phone_id, end.speech.request_id] = end
