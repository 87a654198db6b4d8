"""Judges a recorded run by the contract alone (README.md, docs/reference). Pure.

A rule has exceptions only where the contract permits a loss, and only for the requests that a fault can have touched:

| fault | what may happen, to which requests |
|---|---|
| TTS_SESSIONS is lost | a stored request may have no final report, expire, or fail (`internal`, `synth_stalled`) |
| TTS_REPORTS is lost | such a request may be spoken again, get a second final report, or expire |
| one of these two is lost | pieces of a text whose request nobody knows any more stay until they expire |
| TTS_AUDIO or TTS_TEXTS is lost | stored audio is not compared; a text that was being written may fail |
| OraServer answers 4xx | requests of that time may fail as `oraserver_refused` |
| synth or NATS is disturbed three times during one request | it may fail as `engine_error` |
| synth or NATS is disturbed for half of the ttl | a request that no synth has claimed may expire |
| the node is overloaded | the same (see expiry.py) |

Tolerances, in seconds. Each is for events that no process can order better from outside:

- LATE_FRAME_S: a frame that left its bridge so long after the final report was stored. Only what was in the sockets may
  leave then. The recorder's own delay is added. A connection whose bytes the proxy did not take is left out.
- CANCEL_S: a bridge that is cut off does not know of a cancel, and may write until its lease ends, 2.5 s. Without a
  fault at that time: QUICK_CANCEL_S.
- THAW_S: a bridge that SIGSTOP meets between the check of its lease and the write sends that frame after SIGCONT. One
  frame of each connection may leave so long after the end of a `stop`.
- A new owner that has read the reports overwrites what the old one stores after that: `deliveredChunks` may fall when
  the epoch rises, and confirmed chunks are then repeated.
- Of two requests with the same id, the later one may be claimed if a stopped synth holds the first one.
- ANSWER_S: a caller who waits asks for the stored report again and again, and may learn of it so much later.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.composed.history import History, Violation
from tests.chaos.composed.oracle import afterwards, delivery, outcomes, sequence, silence
from tests.chaos.composed.oracle.facts import CANCEL_S, LATE_FRAME_S, QUICK_CANCEL_S, THAW_S, Facts, Reference

__all__ = ["CANCEL_S", "LATE_FRAME_S", "QUICK_CANCEL_S", "THAW_S", "Reference", "judge"]

REQUEST_RULES = (*outcomes.RULES, *delivery.RULES, *silence.RULES, *sequence.RULES)
RUN_RULES = (*sequence.RUN_RULES, *afterwards.RULES)


def judge(history: History, reference: Reference) -> list[Violation]:
    """All violations: those of the requests, in the order of their sending, and then those of the whole run."""
    return list(_violations(Facts(history, reference)))


def _violations(facts: Facts) -> Iterator[Violation]:
    for request in facts.history.requests:
        for rule in REQUEST_RULES:
            yield from rule(facts, request)
    for run_rule in RUN_RULES:
        yield from run_rule(facts)
