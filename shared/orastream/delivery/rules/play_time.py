"""Which delivered utterances of a session still play, and what a cancel ends of them. Pure; monotonic seconds.

The utterances of a session play one after the other. One begins when its first chunk is written, or when the one before
it ends, whichever is later. It lasts as long as its audio, and as the waits for chunks that were written late.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from orastream.contract.stored_requests import StoredCancel
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.speech import Speech, SpeechEnd
from orastream.delivery.rules.utterance import UtteranceDelivery

MAX_PLAYED = 16
"""How many delivered utterances of a session are remembered. The oldest, which ends first, is forgotten."""
MAX_PLAYED_CHARS = 8_000
"""How many characters of text are remembered with them. The last utterance is always remembered."""
MAX_CANCELS = 64
"""How many cancels wait for `take`: a session has places for so many."""


@dataclass(frozen=True, slots=True)
class PlayedUtterance:
    """A delivered utterance: its audio lasts `seconds`, and plays without a wait if it begins at `began_at` or later.

    `end` is what OraServer gets if a cancel covers it while it plays.
    """

    sequence: int
    token: str
    began_at: float
    seconds: float
    end: SpeechEnd


@dataclass(slots=True)
class PlayTimes:
    """The utterances of one session that play, in order. False if there is none."""

    until: float = float("-inf")
    """When the last of them ends."""
    _played: list[tuple[PlayedUtterance, float]] = field(default_factory=list)
    """Each with the time at which it ends."""
    _cancels: list[StoredCancel] = field(default_factory=list)
    """Those that `take` has not applied yet."""
    _last: tuple[int, str] | None = None
    """Sequence and token of the utterance of which a chunk was written last."""

    def __bool__(self) -> bool:
        return bool(self._played)

    def written(self, sequence: int, token: str) -> None:
        """A chunk of this request was written."""
        self._last = sequence, token

    def written_after(self, sequence: int) -> bool:
        """Whether a chunk of a later request was written."""
        return self._last is not None and self._last[0] > sequence

    def delivered(self, played: PlayedUtterance) -> None:
        """An utterance is delivered; it plays now, or after the one before it."""
        self.until = max(self.until, played.began_at) + played.seconds
        self._played.append((played, self.until))
        while len(self._played) > MAX_PLAYED or (len(self._played) > 1 and self._chars > MAX_PLAYED_CHARS):
            del self._played[0]

    def cancel(self, stored: StoredCancel) -> None:
        """A cancel is stored. May be called repeatedly."""
        if self._played and len(self._cancels) < MAX_CANCELS:
            self._cancels.append(stored)

    def forget(self, now: float) -> None:
        """Forget the utterances that have ended."""
        self._played = [(played, until) for played, until in self._played if until > now]

    def next_time(self) -> float | None:
        """When the next of them ends, or None."""
        return self._played[0][1] if self._played else None

    def take(self, now: float) -> list[SpeechEnd]:
        """Apply the new cancels: return the ends of the utterances that they cover and that play, in order; each once.

        A cancel ends nothing that plays if a chunk was written of an utterance that it does not cover: OraServer could
        drop that one, too, when it gets the end frame.
        """
        if not self._cancels:
            return []
        self.forget(now)
        cancels = [cancel for cancel in self._cancels if self._last is None or cancel.covers(*self._last)]
        self._cancels = []
        covered = [
            played
            for played, _ in self._played
            if any(cancel.covers(played.sequence, played.token) for cancel in cancels)
        ]
        if covered:
            self._played = [(played, until) for played, until in self._played if played not in covered]
            self.until = max((until for _, until in self._played), default=now)
        return [played.end for played in covered]

    @property
    def _chars(self) -> int:
        return sum(len(played.end.speech.text) + len(played.end.text or "") for played, _ in self._played)


def played_utterance(
    entry: Entry, machine: UtteranceDelivery, speech: Speech, began_at: float
) -> PlayedUtterance | None:
    """Return the utterance of a delivery that has ended, as it plays. None: not delivered, or without end frames.

    `began_at` (monotonic seconds) is that of `Timing`. It keeps one copy of the text and no audio.
    """
    found = machine.played() if machine.rules.end_frames else None
    if found is None:
        return None
    start, seconds, text = found
    end = SpeechEnd(speech, replace(start, text=None), "cancelled", text)
    if not speech.text and text is None:
        end = replace(end, speech=replace(speech, text=start.text or ""))
    return PlayedUtterance(entry.sequence, entry.stored.token, began_at, seconds, end)
