"""What the listener of a session hears: the utterances whose records of what was heard are not final. Pure.

Times are monotonic seconds, positions in an utterance whole milliseconds. How long what was sent plays is known from
the session's `Listener`. A cancel stops the play at once. How much was played then is what OraServer answers, if it
knows it (protocol v2 with `played`), else an estimate.
"""

# length: one state machine; its events and decisions use the same state

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orastream.contract.codec import Encoding
from orastream.contract.heard import Heard, HeardBy
from orastream.contract.heard_text import heard_text
from orastream.contract.spoken_text import SpokenText
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules.streams.listener import Listener

ANSWER_S = 2.0
"""How long OraServer's answer to a cancel is awaited. Then the record is estimated; a later answer replaces it."""
KEPT_S = 10.0
"""How long an utterance that was heard to its end is remembered: a cancel can show that it plays still."""
MAX_CHARS = 100_000
"""How many characters of text are kept for them; there are fewer words than characters."""
MAX_UTTERANCES = 128
"""How many utterances are remembered. Of the oldest beyond that it is not known what was heard."""


@dataclass(slots=True, eq=False)
class PlayingUtterance:
    """An utterance of which OraServer got audio, until nothing can change its record any more."""

    sequence: int
    session: str
    token: str
    """Subject tokens of session and request."""
    session_id: str
    request_id: str
    encoding: Encoding
    source: str | None
    """The request's text; None for SSML, text streams and `redeliverOf`: the text is that of the sentences."""
    document: str | None = None
    """The request's SSML, which gives the places of its words."""
    by: HeardBy = "sent"
    begun: bool = False
    """Some of it was sent."""
    spoken: SpokenText = field(default_factory=SpokenText)
    sent_ms: int = 0
    audio_ms: int | None = None
    """Length of the whole audio; None while it is not known, and if it is not complete."""
    sent_all: bool = False
    """Nothing more of it will be sent."""
    plays_until: float | None = None
    """When it has been played, for one that an earlier owner has sent: the listener does not know it."""
    cut_by: int | None = None
    """Sequence of the cancel that has ended it."""
    asked_by: set[int] = field(default_factory=set)
    """Sequences of the cancels that cover it and that OraServer may answer: the answer that names it counts."""
    played_ms: int = 0
    """How much was heard: estimated at a cancel, then as OraServer has answered."""
    answer_due: float | None = None
    """Until when OraServer's answer to that cancel is awaited."""
    done_at: float | None = None
    """When its record was final, as far as is known."""

    @property
    def chars(self) -> int:
        """About how many characters of text it keeps."""
        return len(self.source or self.document or "") + self.spoken.chars

    @classmethod
    def of(cls, stored: StoredRequest) -> PlayingUtterance:
        """Return the utterance of a valid request of which nothing was sent yet."""
        request = stored.request
        written = request is not None and not (request.ssml or request.text_stream or request.redeliver_of is not None)
        source = request.text if request is not None and written else None
        ids = stored.session, stored.token, stored.session_id, stored.request_id
        document = request.text if request is not None and request.ssml else None
        return cls(stored.sequence, *ids, stored.encoding, source, document)

    def record(self, epoch: int) -> Heard:
        """The record as it is now, of the owner with this epoch."""
        record = Heard(
            request_id=self.request_id,
            session_id=self.session_id,
            request_seq=self.sequence,
            epoch=epoch,
            done=self.done_at is not None,
            heard_by=self.by,
        )
        if self.done_at is None or self.by == "unknown":
            return record
        text = heard_text(
            self.spoken,
            self.played_ms,
            audio_ms=max(self.sent_ms, self.played_ms) if self.audio_ms is None else self.audio_ms,
            complete=self.audio_ms is not None,
            source=self.source,
            document=self.document,
        )
        return record.with_(
            played_ms=self.played_ms,
            heard_text=text.heard,
            unheard_text=text.unheard if self.source is not None or self.spoken.starts else None,
            cut=text.cut,
            cancel_seq=self.cut_by,
        )


class HeardBook:
    """The utterances of one session that are heard. Used from the session's loop only."""

    def __init__(self, listener: Listener, *, recovers: bool = True) -> None:
        """`listener` is that of the session. At a cancel it drops what the cancel covers.

        `recovers`: `recovered` will be called; cancels wait for it.
        """
        self.until = float("-inf")
        """When the last record of the session is final, as far as is known."""
        self._listener = listener
        self._utterances: list[PlayingUtterance] = []
        self._changed: list[PlayingUtterance] = []
        """Those whose record `take` returns next."""
        self._cancels: dict[int, StoredCancel] = {}
        """Those that `take` has not applied, by sequence."""
        self._answers: dict[int, Mapping[int, int] | None] = {}
        """Answers to those cancels."""
        self._recovers = recovers
        self._following: int | None = None
        """The lowest sequence of the utterances that `follows` was called for."""

    def __len__(self) -> int:
        """The number of utterances that are remembered."""
        return len(self._utterances)

    # ---- events

    def recovered(self, utterances: Iterable[PlayingUtterance]) -> None:
        """These utterances of an earlier owner have no final record. They have `plays_until`. Call once.

        `plays_until` is given for one that plays at once. In fact each one plays after the one before it.
        """
        known = {one.sequence for one in self._utterances}
        self._utterances += [one for one in utterances if one.sequence not in known]
        self._utterances.sort(key=lambda one: one.sequence)
        until = float("-inf")
        for one in self._utterances:
            if one.plays_until is not None:
                seconds = one.sent_ms / 1000
                one.plays_until = until = max(one.plays_until - seconds, until) + seconds
        self._recovers = False
        if self._following is not None:
            self.follows(self._following)

    def follows(self, sequence: int) -> None:
        """An utterance is sent over protocol v1: it plays after what earlier owners have sent of lower ones."""
        self._following = sequence if self._following is None else min(sequence, self._following)
        earlier = (one for one in self._utterances if one.sequence < sequence and one.cut_by is None)
        until = max((one.plays_until for one in earlier if one.plays_until is not None), default=float("-inf"))
        self._listener.hold(sequence, until)

    def sent(self, stored: StoredRequest, by: HeardBy, spoken: SpokenText, sent_s: float) -> None:
        """Audio of a request was written, `sent_s` seconds in all. `spoken` has its sentences, also later ones."""
        utterance = self._find(stored.sequence)
        if utterance is None:
            utterance = PlayingUtterance.of(stored)
            self._utterances.append(utterance)
            self._changed.append(utterance)
            self._forget_oldest()
        if utterance.cut_by is None and utterance.done_at is None:
            before_ms = utterance.sent_ms if utterance.plays_until is None else 0
            utterance.begun, utterance.by, utterance.spoken, utterance.plays_until = True, by, spoken, None
            utterance.sent_ms = max(before_ms, math.ceil(sent_s * 1000 - 1e-6))

    def unknown(self, stored: StoredRequest) -> None:
        """The audio of a request was written over a transport with which nobody knows what is heard."""
        utterance = PlayingUtterance.of(stored)
        utterance.begun, utterance.by, utterance.done_at = True, "unknown", 0.0
        self._changed.append(utterance)

    def ended(self, sequence: int, audio_s: float | None) -> None:
        """Nothing more of a request will be sent. `audio_s`: its audio is complete, and so long."""
        utterance = self._find(sequence)
        if utterance is not None and not utterance.sent_all:
            utterance.sent_all = True
            utterance.audio_ms = None if audio_s is None else round(audio_s * 1000)

    def never_sent(self, stored: StoredRequest, cancel_seq: int) -> None:
        """A cancel has ended a request of which nothing was sent. One that is known is not changed."""
        if self._find(stored.sequence) is None:
            utterance = PlayingUtterance.of(stored)
            utterance.cut_by, utterance.done_at = cancel_seq, 0.0
            self._changed.append(utterance)

    def cancel(self, stored: StoredCancel) -> None:
        """A cancel is stored, or a request that counts as one. May be called repeatedly."""
        if (self._utterances or self._recovers) and len(self._cancels) < MAX_UTTERANCES:
            self._cancels[stored.sequence] = stored

    def answered(self, cancel_seq: int, played_ms: Mapping[int, int] | None, now: float) -> None:
        """OraServer has answered the cancel, or nobody waits for it any more.

        `played_ms` has what was played of each utterance that it has ended; None: OraServer does not know it.
        """
        if cancel_seq in self._cancels:
            self._answers[cancel_seq] = played_ms
            return
        for utterance in self._utterances:
            if cancel_seq in utterance.asked_by:
                self._answered(utterance, cancel_seq, played_ms, now)

    # ---- what to write

    def take(self, now: float, *, answers: bool) -> list[PlayingUtterance]:
        """Apply the new cancels, and return the utterances whose records have changed.

        `answers`: OraServer may answer the cancels (protocol v2).
        """
        for utterance in self._utterances:
            if utterance.done_at is None and self._final_at(utterance) <= now:
                whole_ms = utterance.sent_ms if utterance.audio_ms is None else utterance.audio_ms
                cut = utterance.cut_by is not None
                self._finish(utterance, "sent" if cut else utterance.by, utterance.played_ms if cut else whole_ms, now)
        if not self._recovers:
            cancels, self._cancels = self._cancels, {}
            answered, self._answers = self._answers, {}
            for cancel in cancels.values():
                self._apply(cancel, now, answers=answers)
            for sequence, played_ms in answered.items():
                self.answered(sequence, played_ms, now)
        self.forget(now)
        final_at = [self._final_at(one) for one in self._utterances if one.done_at is None]
        self.until = max((at for at in final_at if at != math.inf), default=float("-inf"))
        changed, self._changed = self._changed, []
        return changed

    def take_begun(self) -> list[PlayingUtterance]:
        """The utterances that have begun since the last call of `take`: their first record does not wait for it."""
        if not self._changed:
            return []
        begun = [one for one in self._changed if one.begun and one.cut_by is None]
        self._changed = [one for one in self._changed if one not in begun]
        return begun

    def next_time(self) -> float | None:
        """When to call `take` again if nothing happens, or None."""
        final_at = (self._final_at(one) for one in self._utterances if one.done_at is None)
        return min((at for at in final_at if at != math.inf), default=None)

    def forget(self, now: float) -> float | None:
        """Forget the utterances whose records nothing changes any more. Returns when to call it again, or None."""
        self._utterances = [one for one in self._utterances if one.done_at is None or now < one.done_at + KEPT_S]
        return min((one.done_at + KEPT_S for one in self._utterances if one.done_at is not None), default=None)

    def played_ms(self, sequence: int, now: float) -> int | None:
        """How much of an utterance was played by now, as far as is known; None if it is not known here."""
        utterance = self._find(sequence)
        if utterance is None:
            return None
        return utterance.played_ms if utterance.done_at is not None else self._estimate_ms(utterance, now)

    def over(self, sequence: int) -> bool:
        """Whether nothing more of an utterance is heard, as far as is known; also if it is not known here."""
        utterance = self._find(sequence)
        return utterance is None or utterance.done_at is not None

    # ---- inside

    def _forget_oldest(self) -> None:
        """Keep the newest utterances within the limits, the last one always. What was heard of others is unknown."""
        kept, chars = 0, 0
        for one in reversed(self._utterances):
            chars += one.chars
            if kept and (kept >= MAX_UTTERANCES or chars > MAX_CHARS):
                break
            kept += 1
        for oldest in self._utterances[:-kept]:
            if oldest.done_at is None:  # else who cancels would wait for it in vain
                oldest.cut_by = None
                self._finish(oldest, "unknown", 0, 0.0)
        del self._utterances[:-kept]

    def _find(self, sequence: int) -> PlayingUtterance | None:
        return next((one for one in reversed(self._utterances) if one.sequence == sequence), None)

    def _final_at(self, utterance: PlayingUtterance) -> float:
        """When its record is final, as far as is known; infinity before all of it is sent."""
        if utterance.cut_by is not None:
            return math.inf if utterance.answer_due is None else utterance.answer_due
        if not utterance.sent_all:
            return math.inf
        return self._listener.ends_at(utterance.sequence) if utterance.plays_until is None else utterance.plays_until

    def _estimate_ms(self, utterance: PlayingUtterance, now: float) -> int:
        if utterance.plays_until is None:
            rest_s = self._listener.rest_s(utterance.sequence, now)
        else:
            rest_s = max(utterance.plays_until - now, 0.0)
        return max(utterance.sent_ms - math.ceil(rest_s * 1000), 0)

    def _apply(self, cancel: StoredCancel, now: float, *, answers: bool) -> None:
        covered = [one for one in self._utterances if one.cut_by is None and cancel.covers(one.sequence, one.token)]
        cut = [one for one in covered if one.done_at is None]
        for utterance in cut:  # before the listener changes
            utterance.cut_by, utterance.played_ms = cancel.sequence, self._estimate_ms(utterance, now)
        for utterance in covered:
            if answers:
                utterance.asked_by.add(cancel.sequence)
            self._listener.cancelled(now, seq=utterance.sequence)
        for utterance in cut:
            if answers:
                utterance.answer_due = now + ANSWER_S
            else:
                self._finish(utterance, "sent", utterance.played_ms, now)

    def _answered(
        self, utterance: PlayingUtterance, cancel_seq: int, played_ms: Mapping[int, int] | None, now: float
    ) -> None:
        """Apply the answer to a cancel that covers it."""
        known_ms = None if played_ms is None else played_ms.get(utterance.sequence)
        if utterance.cut_by is None:  # it had been heard to its end, as its record says, or less of it
            if known_ms is not None and known_ms < utterance.played_ms:
                utterance.cut_by = cancel_seq
                self._finish(utterance, "played", known_ms, now)
        elif utterance.cut_by != cancel_seq:
            return
        elif known_ms is not None:
            self._finish(utterance, "played", min(known_ms, utterance.sent_ms), now)
        elif played_ms is not None and utterance.sent_ms == 0:  # OraServer had nothing of it
            self._finish(utterance, "played", 0, now)
        elif played_ms is not None and utterance.audio_ms is not None and utterance.sent_ms >= utterance.audio_ms:
            utterance.cut_by = None  # it had been played
            self._finish(utterance, "played", utterance.audio_ms, now)
        elif utterance.done_at is None:
            self._finish(utterance, "sent", utterance.played_ms, now)

    def _finish(self, utterance: PlayingUtterance, by: HeardBy, played_ms: int, now: float) -> None:
        utterance.by, utterance.played_ms, utterance.done_at = by, played_ms, now
        utterance.answer_due = None
        if utterance not in self._changed:
            self._changed.append(utterance)
