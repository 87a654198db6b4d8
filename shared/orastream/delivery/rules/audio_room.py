"""The wait for audio: when to ask whether the stream of audio is full, and when synth counts as stalled. Pure.

A synth stores nothing while TTS_AUDIO is full, so silence then does not mean that synth is stalled. A bridge asks the
stream itself, not the synth, so a synth that dies meanwhile changes nothing. The wait goes on as long as the stream is
full, which is until its oldest audio expires. After that, synth, or the one that takes over, has `stall_s` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ASK_AFTER = 0.75
"""The first question comes after this part of `stall_s`, so that a stream with room just at the end is seen, too."""
ASK_EVERY = 0.05
"""Interval of the questions after that, as a part of `stall_s`."""
LARGEST_MESSAGE_BYTES = 1 << 20
"""Room that the next message may need. The server refuses a message that does not fit completely."""


def is_full(stored_bytes: int, max_bytes: int) -> bool:
    """Whether a stream with this limit may refuse the next message. `max_bytes` 0 or below: it has no limit."""
    return max_bytes > 0 and max_bytes - stored_bytes < min(LARGEST_MESSAGE_BYTES, max_bytes // 8)


@dataclass(slots=True)
class AudioWait:
    """The stall timer of one utterance. Times are monotonic seconds."""

    stall_s: float
    since: float
    """When the timer was last restarted."""
    _asking: bool = field(init=False, default=False)
    _asked_at: float = field(init=False, default=float("-inf"))
    _seen: bool = field(init=False, default=False)
    """The stream was asked since the last restart, and was not full."""

    def restart(self, now: float) -> None:
        """Something shows that synth is not stalled: begin again."""
        self.since, self._seen = now, False

    def ask(self, now: float) -> bool:
        """Whether to ask now if the stream is full. Then `answered` must follow."""
        if self._asking or now < self._ask_at:
            return False
        self._asking, self._asked_at = True, now
        return True

    def answered(self, full: bool | None, now: float) -> None:
        """The stream is `full` or not; None if NATS did not answer."""
        self._asking = False
        if full:
            self.restart(now)
        else:
            self._seen = self._asked_at >= self.since

    def over(self, now: float) -> bool:
        """Whether synth counts as stalled: the time is over, and the stream was asked in it and has answered."""
        return self._seen and not self._asking and now >= self.since + self.stall_s

    @property
    def next_time(self) -> float | None:
        """When to look again; None while an answer is outstanding."""
        return None if self._asking else min(self._ask_at, self.since + self.stall_s)

    @property
    def _ask_at(self) -> float:
        return max(self.since + ASK_AFTER * self.stall_s, self._asked_at + ASK_EVERY * self.stall_s)
