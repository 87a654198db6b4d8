"""Faults that the chaos suite must find. Each one replaces a function of the node in one process; the product has none.

`python -m tests.chaos.composed --plant NAME` runs the node with one of them. `python -m tests.chaos.planted`
(`make chaos-planted`) runs each under a seed that is known to find it (`RUNS`). A change of KINDS or of `longest_s` in
schedule.py changes what a seed means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Plant = Callable[[], None]


def _replace(owner: Any, name: str, value: Any) -> None:
    """Set an attribute. Raises AttributeError if it does not exist: else the fault would not be planted, unnoticed."""
    getattr(owner, name)
    setattr(owner, name, value)


def no_fence() -> None:
    """After a takeover no checkpoint is written before the first chunk."""
    from orastream.delivery.rules.entry import Entry

    _replace(Entry, "must_fence", lambda self, *, taken_over: False)


def confirmed_too_early() -> None:
    """A chunk counts as confirmed as soon as the ping is written."""
    from orastream.delivery.websocket.link import WebSocketLink

    def confirm(self: WebSocketLink, _may_write: Callable[[], bool]) -> asyncio.Future[None]:
        self._connection.confirm().add_done_callback(lambda done: done.cancelled() or done.exception())
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answered.set_result(None)
        return answered

    _replace(WebSocketLink, "confirm", confirm)


def early_ack() -> None:
    """A synth acks the request when it begins to speak, not when `end` is stored."""
    from services.synth.job.job import Job

    attempts = Job._attempts

    async def acked(self: Job, *options: Any) -> Any:
        await self._hold.ack()
        return await attempts(self, *options)

    _replace(Job, "_attempts", acked)


def superseded_ack() -> None:
    """A synth believes that its attempt counts, whatever another synth has stored since."""
    from services.synth.job.attempt import Attempt

    async def counts(self: Attempt, *, proven: bool) -> bool:
        return True

    _replace(Attempt, "counts", counts)


def early_cancel_deletion() -> None:
    """A cancel is deleted as soon as a bridge gets it."""
    from orastream.delivery.rules import wakeup
    from orastream.delivery.runtime import housekeeping, wakeup_judge

    for module in (wakeup, wakeup_judge, housekeeping):
        _replace(module, "cancel_is_applied", lambda cancel, lowest_request: True)


def final_overwritten() -> None:
    """A final report may be replaced by another report."""
    from orastream.contract import report_state
    from orastream.jetstream import report_store

    judge = report_state.judge

    def lenient(stored: Any, mine: Any) -> Any:
        verdict = judge(stored, mine)
        return None if verdict is report_state.Verdict.FINAL else verdict

    _replace(report_store, "judge", lenient)


def trusted_gap() -> None:
    """A feed yields a live message although the one before it was not seen."""
    from orastream.jetstream.feed_merge import FeedMerge

    live = FeedMerge.live
    _replace(FeedMerge, "live", lambda self, message, previous: live(self, message, 0))


def rewind_skips() -> None:
    """After a broken link the delivery goes on one chunk too late."""
    from orastream.delivery.rules.utterance import UtteranceDelivery

    start_over, audio = UtteranceDelivery._start_over, UtteranceDelivery.audio
    rewound: set[int] = set()

    def starting_over(self: UtteranceDelivery, now: float) -> None:
        start_over(self, now)
        rewound.add(id(self))

    def skipping(self: UtteranceDelivery, *event: Any) -> None:
        audio(self, *event)
        if id(self) in rewound and self._queue:
            rewound.remove(id(self))
            self._queued_bytes -= len(self._queue.popleft().audio)

    _replace(UtteranceDelivery, "_start_over", starting_over)
    _replace(UtteranceDelivery, "audio", skipping)


def endless_lease() -> None:
    """A lease never runs out."""
    from orastream.delivery.rules.lease import LeaseTerm

    _replace(LeaseTerm, "valid", lambda self, now: self._until > 0.0)
    _replace(LeaseTerm, "over_at", property(lambda self: float("inf")))
    renewed = LeaseTerm.renewed

    def never_lapsed(self: LeaseTerm, sent_at: float, now: float) -> bool:
        renewed(self, sent_at, now)
        self.lapses = 0
        return False

    _replace(LeaseTerm, "renewed", never_lapsed)


def writes_once_more() -> None:
    """After its lease has run out, an owner writes what audio it has, once for each utterance."""
    from orastream.delivery.rules.utterance import UtteranceDelivery
    from orastream.delivery.runtime.utterance_runner import UtteranceRunner

    step = UtteranceRunner.step
    spent: set[int] = set()

    async def once_more(self: UtteranceRunner, now: float, *, may_write: bool) -> None:
        lapsed = not self._session.bridge.lease.term.valid(now)
        if may_write or not lapsed or id(self) in spent:
            await step(self, now, may_write=may_write)
            return
        written = self.machine._sent.written
        await step(self, now, may_write=True)
        if self.machine._sent.written > written:
            spent.add(id(self))

    _replace(UtteranceRunner, "step", once_more)
    # What it has written would be cut before the receiver has read it.
    _replace(UtteranceDelivery, "lease_over", lambda self: None)
    _replace(UtteranceRunner, "cut", lambda self: None)


BRIDGES = ("ws_bridge", "http_bridge")
PLANTS: dict[str, tuple[tuple[str, ...], Plant]] = {
    "no-fence": (BRIDGES, no_fence),
    "confirmed-too-early": (("ws_bridge",), confirmed_too_early),
    "early-ack": (("synth",), early_ack),
    "superseded-ack": (("synth",), superseded_ack),
    "early-cancel-deletion": (BRIDGES, early_cancel_deletion),
    "final-overwritten": ((*BRIDGES, "synth"), final_overwritten),
    "trusted-gap": (BRIDGES, trusted_gap),
    "rewind-skips": (("ws_bridge",), rewind_skips),
    "endless-lease": (BRIDGES, endless_lease),
    "writes-once-more": (BRIDGES, writes_once_more),
}
"""Name → the services that get it, and what plants it."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the chaos suite that finds a planted fault, with 20 sessions on one nats-server."""

    seed: int
    seconds: float
    violations: tuple[str, ...]
    """The rules of which at least one is broken then."""
    only: tuple[str, ...] = ()
    """Kinds of faults; empty: all."""

    @property
    def options(self) -> str:
        """The options of `python -m tests.chaos.composed`."""
        return " ".join([f"--seed {self.seed} --seconds {self.seconds:g}", *(f"--only {kind}" for kind in self.only)])


RUNS: dict[str, Run] = {
    "no-fence": Run(3, 60, ("a takeover without a fence",), ("handover",)),
    "confirmed-too-early": Run(4, 60, ("counted before it was received",)),
    "early-ack": Run(4, 60, ("no final report",)),
    "superseded-ack": Run(4, 60, ("failed without a reason",)),
    "early-cancel-deletion": Run(4, 60, ("spoken after its cancel",)),
    "final-overwritten": Run(3, 60, ("two final reports",), ("handover", "stop", "nats_hold")),
    "trusted-gap": Run(4, 60, ("failed without a reason",)),
    "rewind-skips": Run(4, 60, ("wrong numbers",)),
    "endless-lease": Run(
        3, 60, ("a frame after the final report", "spoken after its cancel"), ("handover", "nats_hold")
    ),
    "writes-once-more": Run(3, 60, ("spoken after its cancel",), ("handover",)),
}
"""Name → the run that finds it. Without a planted fault these runs show no violation."""


def plant(name: str, service: str) -> None:
    """Plant the fault in this process, if it is one of that service. Raises KeyError for an unknown name."""
    services, planted = PLANTS[name]
    if service in services:
        planted()
