"""Rules on processes, and on the node after all faults: nothing is left over or grows, and it is as quick as before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.chaos.composed.history import Violation
from tests.chaos.composed.oracle.facts import Facts
from tests.support.names import NAMES

MEMORY_MB = 60.0
DESCRIPTORS = 40
LATENCY_FACTOR = 3.0
LATENCY_S = 0.5
LEFT_S = 75.0
"""How long what only a sweep deletes may stay: owner records of dead bridges, and pieces that came after the final."""
DRAIN_S = 12.0
"""From SIGTERM to the end of a process. The node's own limit is 9 s."""

_EXIT = re.compile(r"exit code (-?\d+)(?: after ([\d.]+) s)?")


def ends_only_at_a_signal(facts: Facts) -> Iterator[Violation]:
    """A service process ends only at a signal, then with exit code 0 and soon."""
    for fault in facts.history.disturbances:
        if fault.kind == "exit":
            yield _broken("a process ended by itself", f"{fault.target}, {fault.detail}")
        if fault.kind not in ("restart", "rolling"):
            continue
        if "did not end" in fault.failed:
            yield _broken("a process did not end", f"{fault.target}: {fault.failed}")
        for code, seconds in _EXIT.findall(fault.detail):
            if int(code):
                yield _broken("a process ended with an error", f"{fault.target}, exit code {code}")
            if seconds and float(seconds) > DRAIN_S:
                yield _broken("a process did not end in time", f"{fault.target}, {seconds} s after SIGTERM")


def leaves_nothing(facts: Facts) -> Iterator[Violation]:
    """Streams, consumers and owner records are empty, and every process is ready."""
    after = facts.history.aftermath
    if after.requests:
        yield _broken("requests stay stored", f"{after.requests} in TTS_SESSIONS")
    if after.cancels:
        yield _broken("cancels stay stored", f"{after.cancels} in TTS_SESSIONS")
    swept = after.waited_s >= LEFT_S
    if after.texts and swept and not list(facts.losses(NAMES.sessions_stream, NAMES.reports_stream)):
        yield _broken("pieces of texts stay stored", f"{after.texts} in TTS_TEXTS")
    for consumer, count in after.unacked.items():
        if count:
            yield _broken("unacked messages", f"{count} of consumer {consumer}")
    for consumer in after.missing_consumers:
        yield _broken("a consumer is missing", consumer)
    if after.owners_alive:
        yield _broken("owner records stay", ", ".join(after.owners_alive[:5]))
    if after.owners_dead and swept:
        yield _broken("owner records of dead bridges stay", ", ".join(after.owners_dead[:5]))
    for name in after.unready:
        yield _broken("a process is not ready", name)


def keeps_to_the_protocol(facts: Facts) -> Iterator[Violation]:
    """The reference OraServer saw no frame that protocol v1 forbids."""
    for rule, times in facts.history.aftermath.broken_rules.items():
        yield _broken("protocol v1 was broken", f"{rule}, {times} times")


def does_not_grow(facts: Facts) -> Iterator[Violation]:
    """Processes have about as much memory and as many descriptors as before."""
    after = facts.history.aftermath
    before = {usage.process: usage for usage in after.before}
    for usage in after.after:
        first = before.get(usage.process)
        if first is None:
            continue
        if usage.descriptors > first.descriptors + DESCRIPTORS:
            yield _broken("descriptors grow", f"{usage.process}: {first.descriptors} → {usage.descriptors}")
        if usage.rss_mb > 1.5 * first.rss_mb + MEMORY_MB:
            yield _broken("memory grows", f"{usage.process}: {first.rss_mb:.0f} → {usage.rss_mb:.0f} MB")


def is_as_quick_as_before(facts: Facts) -> Iterator[Violation]:
    """Requests after all faults take about as long as before the first one."""
    after = facts.history.aftermath
    if after.latency_before_s and after.latency_after_s:
        first_s, last_s = _median(after.latency_before_s), _median(after.latency_after_s)
        if last_s > LATENCY_FACTOR * first_s + LATENCY_S:
            yield _broken("latency did not come back", f"median {first_s:.2f} s → {last_s:.2f} s")


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _broken(rule: str, detail: str) -> Violation:
    return Violation(rule, "", "", detail)


RULES = (ends_only_at_a_signal, leaves_nothing, keeps_to_the_protocol, does_not_grow, is_as_quick_as_before)
