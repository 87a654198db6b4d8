"""Bridges send to a receiver over connections that break, with every fault that protocol v2 allows for.

Every utterance that was not cancelled arrives whole, and the application gets each byte once and in order. The model
receiver, which is written from the page, and the simulated bridge check each frame.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from orastream.contract.oraserver.from_bridge import CancelUtterances
from orastream.contract.oraserver.from_server import ServerHello
from tests.unit.orastream.delivery.rules.streams.model_receiver import Faults, Kept, ModelReceiver, Session
from tests.unit.orastream.delivery.rules.streams.simulated_bridge import (
    NODE,
    SimulatedBridge,
    SimulatedTime,
    Source,
    covers,
)

pytestmark = pytest.mark.unit

EXAMPLES = 60 * int(os.environ.get("FUZZ", "1"))
SESSIONS = ("a", "b", "c")
QUIET_S = 300.0
"""Everything is over so long after the last fault."""

odds = st.sampled_from([0.0, 0.0, 0.1, 0.5])


class BridgesAndReceiver(RuleBasedStateMachine):
    """Bridges, of which the last one owns the sessions, and the receiver."""

    @initialize(
        seed=st.integers(0, 2**32),
        credit=st.sampled_from([4096, 20_000, 100_000]),
        streams=st.sampled_from([1, 2, 1000]),
        crc=st.booleans(),
        played=st.booleans(),
        max_frame_bytes=st.sampled_from([1000, 8192, 32768]),
        max_lead_s=st.sampled_from([0.5, 2.0, 8.0]),
        faults=st.builds(Faults, drop=odds, damage=odds, lose_acks=odds, delay_acks_s=st.sampled_from([0.0, 0.3])),
    )
    def begin(  # noqa: PLR0913
        self,
        seed: int,
        credit: int,
        streams: int,
        crc: bool,
        played: bool,
        max_frame_bytes: int,
        max_lead_s: float,
        faults: Faults,
    ) -> None:
        self.random, self.time = Random(seed), SimulatedTime()
        self.sources: list[Source] = []
        hello = ServerHello(2, credit, streams, ("wav",), 600_000, crc=crc, played=played)
        self.receiver = ModelReceiver(self.time, hello, self.random, self.find)
        self.receiver.faults = faults
        self.sizes = (max_frame_bytes, max_lead_s)
        self.bridges: list[SimulatedBridge] = []
        self.sequence = 100
        self.bridge = self.new_bridge()
        self.bridge.connect()

    def find(self, session: Session, seq: int) -> Kept:
        return next(one for one in self.sources if (NODE, one.session) == session and one.seq == seq).kept()

    def new_bridge(self) -> SimulatedBridge:
        self.sequence += 1
        name = f"bridge-{self.sequence}"
        bridge = SimulatedBridge(name, self.sequence, self.time, self.receiver, *self.sizes)
        self.bridges.append(bridge)
        return bridge

    def grow(self, source: Source, chunks: int) -> None:
        source.made = min(source.made + chunks, len(source.chunks))
        for bridge in self.bridges:
            bridge.happens(lambda bridge=bridge: bridge.more(source))  # type: ignore[misc]

    def pass_time(self) -> None:
        """Some time passes before the next thing happens."""
        self.run_for(self.random.choice((0.0, 0.01, 0.1, 0.5, 1.5)))

    def run_for(self, seconds: float) -> None:
        until = self.time.now + seconds
        self.time.run(until)
        self.time.now = until

    # ---- the node

    @rule(session=st.sampled_from(SESSIONS), chunks=st.integers(0, 8), largest=st.sampled_from([60, 3000, 20_000]))
    def ask(self, session: str, chunks: int, largest: int) -> None:
        self.pass_time()
        self.sequence += 1
        offset, made = 0, []
        for _ in range(chunks):
            data = self.random.randbytes(self.random.randint(1, largest))
            made.append((offset, data))
            offset += len(data)
        source = Source(session, self.sequence, made, self.random.randint(0, chunks))
        self.sources.append(source)
        self.bridge.take(source)

    @precondition(lambda self: self.growing())
    @rule(pick=st.integers(0, 99), chunks=st.sampled_from([1, 2, 100]))
    def synthesize(self, pick: int, chunks: int) -> None:
        self.pass_time()
        growing = self.growing()
        self.grow(growing[pick % len(growing)], chunks)

    def growing(self) -> list[Source]:
        return [source for source in self.sources if not source.ended]

    @precondition(lambda self: self.sources)
    @rule(pick=st.integers(0, 99), before=st.booleans())
    def cancel(self, pick: int, before: bool) -> None:
        self.pass_time()
        source = self.sources[pick % len(self.sources)]
        seq = source.seq
        place = {"before": seq + 1} if before else {"seq": seq}
        message = CancelUtterances(source.session, self.bridge.epoch, **place)
        for each in self.sources:
            each.cancelled = each.cancelled or (each.session == source.session and covers(message, each.seq))
        self.bridge.cancel(message)

    # ---- time, and the connection

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.3, 1.0, 3.0, 12.0]))
    def wait(self, seconds: float) -> None:
        self.run_for(seconds)

    @rule(bytes_per_s=st.sampled_from([4000.0, 50_000.0, 5e6]), delay_s=st.sampled_from([0.0, 0.02, 0.5]))
    def link_changes(self, bytes_per_s: float, delay_s: float) -> None:
        """From the next connection on."""
        self.bridge.bytes_per_s, self.bridge.delay_s = bytes_per_s, delay_s

    @precondition(lambda self: self.bridge.connection is not None)
    @rule(arrive=st.sampled_from([0, 0, 1, 3, 100]), late_s=st.sampled_from([0.0, 0.4, 2.0, 8.0]))
    def cut(self, arrive: int, late_s: float) -> None:
        self.pass_time()
        if self.bridge.connection is not None:
            self.bridge.connection.cut(arrive, late_s)

    # ---- the receiver

    @rule(drop=odds, damage=odds)
    def audio_is_lost(self, drop: float, damage: float) -> None:
        self.pass_time()
        self.receiver.faults.drop, self.receiver.faults.damage = drop, damage

    @rule(lose=st.sampled_from([0.0, 0.3, 1.0]), delay_s=st.sampled_from([0.0, 0.1, 1.0]))
    def acks_change(self, lose: float, delay_s: float) -> None:
        self.pass_time()
        self.receiver.faults.lose_acks, self.receiver.faults.delay_acks_s = lose, delay_s

    @rule(busy=st.sampled_from([0, 1, 3]), failed=st.integers(0, 1), mute=st.integers(0, 1))
    def answers_change(self, busy: int, failed: int, mute: int) -> None:
        self.pass_time()
        faults = self.receiver.faults
        faults.busy, faults.failed, faults.mute_cancels = busy, failed, mute

    @rule(skip=st.booleans(), forget=st.booleans())
    def audio_is_skipped_or_forgotten(self, skip: bool, forget: bool) -> None:
        self.pass_time()
        self.receiver.faults.skip, self.receiver.faults.forget = skip, forget

    @rule(odds=odds)
    def ranges_are_dropped(self, odds: float) -> None:
        self.pass_time()
        self.receiver.faults.drop, self.receiver.faults.drop_ranges = 0.1, odds

    @rule(session=st.sampled_from(SESSIONS))
    def phone_stalls_or_goes_on(self, session: str) -> None:
        self.pass_time()
        self.receiver.faults.stalled ^= {session}

    # ---- bridges

    @precondition(lambda self: len(self.bridges) < 4)
    @rule(stopped=st.booleans(), forgetful=st.booleans())
    def another_bridge_takes_over(self, stopped: bool, forgetful: bool) -> None:
        self.pass_time()
        old, self.bridge = self.bridge, self.new_bridge()
        old.paused, self.bridge.forgetful = stopped, forgetful
        if forgetful:
            self.receiver.forgetful_bridges.add(self.bridge.name)
        self.bridge.cancels = [
            CancelUtterances(message.session, self.bridge.epoch, message.before, message.seq) for message in old.cancels
        ]
        for jobs in old.sessions.values():
            for job in jobs:
                if job.outcome is None or job.outcome == "stale":
                    if not forgetful:  # a new owner calls nothing fresh: the old one may begin it yet
                        job.source.opened = True
                    self.bridge.take(job.source, 0 if forgetful else job.acked)
        self.bridge.connect()

    @precondition(lambda self: any(bridge.paused for bridge in self.bridges))
    @rule()
    def an_old_bridge_wakes(self) -> None:
        self.pass_time()
        next(bridge for bridge in self.bridges if bridge.paused).wake()

    # ---- the end

    def teardown(self) -> None:
        if not hasattr(self, "bridge"):
            return
        self.receiver.faults = Faults()
        for bridge in self.bridges:
            bridge.wake()
        for source in self.sources:
            self.grow(source, len(source.chunks))
        self.time.run(self.time.now + QUIET_S)
        assert self.time.quiet, "something goes on for ever"
        for bridge in self.bridges:
            assert bridge.connection is None or bridge.connection.mux.idle
            assert not bridge.cancels
        outcomes = {job.source: job.outcome for jobs in self.bridge.sessions.values() for job in jobs}
        for source in self.sources:
            self.judge(source, outcomes.get(source))

    def judge(self, source: Source, outcome: str | None) -> None:
        """The application got each byte once, in order; all of them, if it was not cancelled."""
        kept = self.receiver.kept[NODE, source.session].get(source.seq)
        if not source.cancelled:
            assert outcome in (None, "delivered"), outcome
            assert kept is not None
            assert kept.whole
        if kept is not None:
            expected = bytes(byte for at, byte in enumerate(source.file[: kept.given]) if at not in kept.left_out)
            assert kept.application == expected
            if not source.cancelled:
                assert kept.given == len(source.file)


def test_every_utterance_arrives_once_and_whole() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        BridgesAndReceiver, settings=settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
    )
