"""How much work a request is, estimated from those that were spoken. Pure.

Seconds of work are seconds in which a request holds its slot and the engine works for it.
"""

from __future__ import annotations

import math

from orastream.contract.audio_messages import AudioEnd
from orastream.contract.load import MAX_WORK_S
from services.synth.queue.queued_request import QueuedRequest

FIRST_GUESS_S = 1.0
"""Assumed seconds of work for a request, before the first one was spoken."""
_KEEP = 0.9  # weight that older utterances keep at each new one


class Pace:
    """Moving means over the last utterances of this synth."""

    def __init__(self, lead_s: float | None) -> None:
        """`lead_s`: an utterance that is heard live leaves its slot to others when its listener has so many seconds of
        audio. None: it keeps the slot to its end.
        """
        self._lead_s = lead_s
        self._count = 0.0
        self._audio_s = 0.0
        self._work_s = 0.0
        self._bytes = 0.0
        self._work_of_bytes_s = 0.0

    def spoke(self, end: AudioEnd, size_bytes: int) -> None:
        """A request whose message has that size was spoken; `end` has its figures."""
        if end.status == "complete" and end.rtf is not None:
            streamed = end.text is not None
            self.took(None if streamed else size_bytes, end.audio_seconds, end.audio_seconds * end.rtf)

    def took(self, size_bytes: int | None, audio_s: float, work_s: float) -> None:
        """A request gave `audio_s` seconds of audio in `work_s` seconds of work. `size_bytes` is that of its message;
        None for a streamed text, whose message does not show its length. Figures that cannot be true are ignored.
        """
        if not (0 <= audio_s <= MAX_WORK_S and 0 <= work_s <= MAX_WORK_S):
            return
        self._count = _KEEP * self._count + 1
        self._audio_s = _KEEP * self._audio_s + audio_s
        self._work_s = _KEEP * self._work_s + work_s
        if size_bytes is not None:
            self._bytes = _KEEP * self._bytes + size_bytes
            self._work_of_bytes_s = _KEEP * self._work_of_bytes_s + work_s

    @property
    def known(self) -> bool:
        """Whether an utterance was spoken. Before that, the figures are a guess."""
        return self._count > 0

    @property
    def rtf(self) -> float:
        """Seconds of work for a second of audio; 0 before the first utterance."""
        return self._work_s / self._audio_s if self._audio_s else 0.0

    @property
    def mean_s(self) -> float:
        """Mean seconds of work until a request leaves its slot."""
        return min(self._work_s / self._count, self._longest_s) if self._count else FIRST_GUESS_S

    def of(self, request: QueuedRequest) -> float:
        """Returns the seconds of work until that request leaves its slot."""
        if request.streams_text or not self._bytes:
            return self.mean_s
        work_s = len(request.delivery.data) * self._work_of_bytes_s / self._bytes
        return min(work_s, self._longest_s) if request.heard_live else work_s

    @property
    def _longest_s(self) -> float:
        """Each second of work gives the listener 1 / rtf seconds of audio, of which one second is heard meanwhile."""
        if self._lead_s is None or self._work_s >= self._audio_s:
            return math.inf
        return self._lead_s * self._work_s / (self._audio_s - self._work_s)
