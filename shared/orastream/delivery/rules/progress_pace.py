"""When a bridge publishes the progress of the utterances of one session. Pure; monotonic seconds.

The server answers a message that nobody receives with status 503. A watcher is never announced, so the bridge has to
publish to find out: a *probe*. Without an answer 503 within ANSWER_S the utterance is *watched*.

| utterance | published |
|---|---|
| watched | every EVERY_S if something has changed, else every UNCHANGED_S |
| not watched, or not known | as a probe: one in PAUSE_S of all such utterances of the session together |
"""

from __future__ import annotations

from dataclasses import dataclass, field

EVERY_S = 0.25
"""The shortest time between two messages about an utterance."""
ANSWER_S = 0.5
"""How long after a probe the next message waits, because the probe may still be answered with 503."""
FIRST_S = 0.3
"""How long after the first audio the first probe is published, unless the utterance before was watched: a caller that
subscribes when its request is stored must not come just after the probe, and wait for the next one."""
UNCHANGED_S = 2.0
"""After so long a message is published although nothing has changed: a new watcher gets it, or a 503 comes."""
PAUSE_S = 5.0
"""The shortest time between two probes of a session, and after a 503."""


@dataclass(slots=True)
class _Pace:
    not_before: float
    published_at: float = float("-inf")
    look_at: float | None = None
    """When to look at it next; None: it is not watched, or that is not known, and it is probed when it is its turn."""
    proven: bool = False
    """Whether a probe was not answered with 503 in time."""


@dataclass(slots=True)
class ProgressPace:
    """The utterances of one session whose progress may be published, by sequence of the request."""

    _paces: dict[int, _Pace] = field(default_factory=dict)
    _probe_at: float = float("-inf")
    """When the next probe may be published."""
    _watched: bool = False
    """Whether somebody has watched an utterance, and no 503 has come since."""

    def __contains__(self, sequence: int) -> bool:
        return sequence in self._paces

    def add(self, sequence: int, now: float) -> None:
        """The first audio of an utterance was sent now. It is probed first."""
        self._paces.setdefault(sequence, _Pace(now if self._watched else now + FIRST_S))

    def remove(self, sequence: int) -> None:
        """Publish nothing more about an utterance."""
        self._paces.pop(sequence, None)

    def watched(self, sequence: int) -> bool:
        """Whether somebody may receive a message about the utterance: the last one was not answered with 503."""
        return sequence in self._paces and self._paces[sequence].look_at is not None

    def next_time(self) -> float | None:
        """When to call `due`; None without utterances. It may have passed."""
        return min((self._at(pace) for pace in self._paces.values()), default=None)

    def due(self, now: float) -> list[int]:
        """Return the utterances to look at now: of those that are not watched at most one, as a probe.

        For each of them call `published`, `unchanged` or `remove`.
        """
        probes = [sequence for sequence, pace in self._paces.items() if pace.look_at is None and pace.not_before <= now]
        found = [sequence for sequence, pace in self._paces.items() if pace.look_at is not None and pace.look_at <= now]
        if probes and self._probe_at <= now:  # the one that waits longest; of new ones the newest, which is delivered
            found.append(min(probes, key=lambda sequence: (self._paces[sequence].published_at, -sequence)))
        return found

    def must_publish(self, sequence: int, now: float) -> bool:
        """Whether a message is due although nothing has changed."""
        pace = self._paces[sequence]
        return pace.look_at is None or now >= pace.published_at + UNCHANGED_S

    def published(self, sequence: int, now: float) -> None:
        """A message about the utterance was published."""
        pace = self._paces[sequence]
        if pace.look_at is None:
            self._probe_at = now + PAUSE_S
        elif not pace.proven:  # somebody watches this session, perhaps also the next utterance
            pace.proven = self._watched = True
            self._probe_at = min(self._probe_at, now)
        pace.look_at = now + (ANSWER_S if pace.look_at is None else EVERY_S)
        pace.published_at = now

    def unchanged(self, sequence: int, now: float) -> None:
        """Nothing was published about the utterance: nothing has changed."""
        self._paces[sequence].look_at = now + EVERY_S

    def failed(self, now: float) -> None:
        """Nothing can be published now: NATS does not answer, or this bridge has no lease."""
        self._probe_at = now + PAUSE_S
        for pace in self._paces.values():
            pace.look_at, pace.proven = None, False

    def nobody_watches(self, sequence: int, now: float) -> None:
        """A message about the utterance was answered with 503."""
        if (pace := self._paces.get(sequence)) is not None:
            self._watched = False
            pace.look_at, pace.proven = None, False
            self._probe_at = max(self._probe_at, now + PAUSE_S)

    def _at(self, pace: _Pace) -> float:
        return max(self._probe_at, pace.not_before) if pace.look_at is None else pace.look_at
