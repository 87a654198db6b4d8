"""The order of one session, tested against a model of the node: stream, synths, both bridges' owners and reports.

The model has two machines, one per bridge. Each reads the same stream at its own speed and in any order. Their effects
are carried out later or never, as if a process had died. Each request must get exactly one final report, in order.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import subjects
from orastream.contract.messages import Report, ReportError, Status, Transport
from orastream.contract.report_state import ReportState, judge
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_stored
from orastream.delivery.rules.entry import Entry
from orastream.delivery.rules.session import (
    CHECK_STORED_S,
    EXPIRY_GRACE_S,
    INSPECT_EVERY_S,
    REPORT_LIFE_S,
    STUCK_S,
    TIDY_AFTER_S,
    TIDY_AGAIN_S,
    Session,
)
from orastream.delivery.rules.session_effects import Begin, CheckStored, DropCancel, Effect, End, Inspect, Stop, Tidy

pytestmark = pytest.mark.unit

RUNS = 100 * int(os.environ.get("FUZZ", "1"))
Kind = Literal["websocket", "http"]
KINDS: tuple[Kind, Kind] = ("websocket", "http")
DEFAULT: Transport = "websocket"  # the transport that synth claims for requests that state none


def request(sequence: int, transport: str | None = None, **fields: Any) -> StoredRequest:
    value = {"text": "a", "sessionId": "s", "phoneId": "p", "transport": transport, **fields}
    payload = json.dumps(value).encode()
    stored = read_stored(subjects.session_request("s"), sequence, 0.0, payload, max_text_chars=100)
    assert isinstance(stored, StoredRequest) and stored.problem is None
    return stored


def cancel(sequence: int, payload: bytes = b"") -> StoredCancel:
    stored = read_stored(subjects.session_cancel("s"), sequence, 0.0, payload, max_text_chars=100)
    assert isinstance(stored, StoredCancel)
    return stored


def done(session: Session) -> set[int]:
    return {sequence for sequence in session.entries if session.may_ack(sequence, 0)}


def state(
    of: StoredRequest, status: Status, revision: int, transport: Transport | None = None, **more: Any
) -> ReportState:
    report = of.report(status, transport=transport or of.stated_transport or DEFAULT)
    return ReportState(report.with_(**more), revision, 0.0)


class Owner:
    """A bridge's owner of the session: its machine, the messages it has read, and its pending effects."""

    def __init__(self, world: World, kind: Kind) -> None:
        self.world, self.kind = world, kind
        self.session = Session(kind)
        self.events_read = 0
        self.reports_read = 0
        self.work: list[Callable[[], None]] = []
        self.delivering: Entry | None = None
        self.stopped = False

    def read(self, *, reports: bool = True) -> None:
        """Read everything stored, in any order, some of it repeatedly."""
        world = self.world
        events = world.log[self.events_read :]
        self.events_read = len(world.log)
        events += world.rng.sample(world.log, min(len(world.log), world.rng.choice((0, 0, 3))))
        if reports:
            events += world.report_log[self.reports_read :]
            self.reports_read = len(world.report_log)
        world.rng.shuffle(events)
        for event in events:
            match event:
                case StoredRequest():
                    self.session.request(event, world.stored_at[event.sequence])
                case StoredCancel() if event.sequence in world.stream:
                    self.session.cancel(event)
                case ReportState():
                    self.session.report(world.token_of(event), event, world.now)

    def poll(self) -> None:
        for effect in self.session.poll(self.world.now):
            self.carry_out(effect)
        due = self.session.next_time(self.world.now)
        assert due is None or due > self.world.now, f"{self.kind} spins: due {due} at {self.world.now}"

    def carry_out(self, effect: Effect) -> None:
        world = self.world
        match effect:
            case Begin(entry):
                world.check_begin(entry, self.kind)
                if self.delivering is not None:
                    entry.began = False
                else:
                    self.delivering, self.stopped = entry, False
            case Stop(entry):
                if self.delivering is entry:
                    self.stopped = True
                else:
                    self.work.append(lambda: self.end(End(entry, "cancelled")))
            case End(entry):
                if self.delivering is entry:
                    self.delivering = None
                self.work.append(lambda: self.end(effect))
            case Tidy(entry):
                self.work.append(lambda: self.tidy(entry))
            case Inspect(entry):
                self.work.append(lambda: self.inspect(entry))
            case CheckStored(entry):
                self.work.append(lambda: self.check_stored(entry))
            case DropCancel(sequence):
                self.work.append(lambda: self.drop(sequence))

    def final(self, entry: Entry, status: Status, error: ReportError | None) -> None:
        stored = entry.stored
        base = entry.report if entry.report is not None and not entry.duplicate else stored.report("queued")
        final = base.with_(status=status, error=error, epoch=1)
        written, ours = self.world.write(stored, final, entry.revision or None)
        self.session.report(stored.token, written, self.world.now)
        entry.ending = written.report.final
        if ours:
            entry.heard(written.report, written.revision, self.world.now)
            if entry.transport != self.kind and not self.world.http_runs:
                self.close(entry)  # no other process would
            elif self.world.rng.random() < 0.8:  # else the owner dies before it tidies up
                self.work.append(lambda: self.close(entry))

    def end(self, effect: End) -> None:
        entry = effect.entry
        stands = self.world.reports.get(entry.stored.token)
        if effect.unclaimed and stands is not None:
            self.session.report(entry.stored.token, stands, self.world.now)
            entry.ending = stands.report.final
        else:
            self.final(entry, effect.status, effect.error)

    def close(self, entry: Entry) -> None:
        self.world.delete(entry.sequence)
        self.session.tidied(entry)

    def tidy(self, entry: Entry) -> None:
        assert entry.sequence not in self.world.stream or self.world.is_final(entry), "tidied before its end"
        self.close(entry)

    def inspect(self, entry: Entry) -> None:
        if self.world.audio.get(entry.stored.token) in (None, "ended"):
            self.session.stuck(entry)

    def check_stored(self, entry: Entry) -> None:
        if entry.sequence not in self.world.stream:
            self.session.tidied(entry)

    def drop(self, sequence: int) -> None:
        lower = [s for s, x in self.world.stream.items() if isinstance(x, StoredRequest) and s < sequence]
        if lower:
            self.session.cancel_kept(sequence, self.world.now)
        else:
            self.world.delete(sequence)
            self.session.cancel_dropped(sequence)

    def deliver(self) -> None:
        """End the running delivery if its audio has ended or it was stopped."""
        entry = self.delivering
        if entry is None:
            return
        if self.stopped:
            self.final(entry, "cancelled", None)
        elif self.world.audio.get(entry.stored.token) == "ended":
            self.final(entry, self.world.ends.get(entry.stored.token, "delivered"), None)
        else:
            return
        self.delivering = None


class World:
    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.now = 1000.0
        self.last = 0
        self.stream: dict[int, StoredRequest | StoredCancel] = {}
        self.stored_at: dict[int, float] = {}
        self.log: list[Any] = []
        self.reports: dict[str, ReportState] = {}
        self.report_log: list[Any] = []
        self.finals: dict[int, Status] = {}
        self.all_requests: dict[int, StoredRequest] = {}
        self.all_cancels: list[StoredCancel] = []
        self.audio: dict[str, str] = {}
        self.ends: dict[str, Status] = {}
        self.handed: set[int] = set()  # acked by synth
        self.http_runs = rng.random() < 0.8
        self.new_owners()

    def new_owners(self) -> None:
        self.owners = [Owner(self, kind) for kind in KINDS if kind == "websocket" or self.http_runs]

    # ---- the node

    def token_of(self, event: ReportState) -> str:
        return subjects.token(event.report.request_id)

    def store(self, message: StoredRequest | StoredCancel) -> None:
        self.stream[message.sequence] = message
        self.stored_at[message.sequence] = self.now
        self.log.append(message)

    def delete(self, sequence: int) -> None:
        self.stream.pop(sequence, None)

    def write(self, of: StoredRequest, mine: Report, revision: int | None = None) -> tuple[ReportState, bool]:
        """Return the stored report after a write by compare-and-set, and whether the write succeeded.

        As in `ReportStore.write`: the report at `revision` is replaced without a read; any other one is judged first.
        """
        stands = self.reports.get(of.token)
        if stands is not None and stands.revision != revision and judge(stands.report, mine) is not None:
            return stands, False
        assert stands is None or not stands.report.final, "a final report is overwritten"
        assert stands is None or stands.report.request_seq == mine.request_seq, "another's report is overwritten"
        self.last += 1
        written = self.reports[of.token] = ReportState(mine, self.last, 0.0)
        self.report_log.append(written)
        if mine.final:
            assert mine.request_seq not in self.finals, "two final reports"
            self.finals[mine.request_seq] = mine.status
        return written, True

    def is_final(self, entry: Entry) -> bool:
        stands = self.reports.get(entry.stored.token)
        return stands is not None and stands.report.final

    def done(self, of: StoredRequest) -> bool:
        """Whether later requests need not wait for it."""
        stands = self.reports.get(of.token)
        return stands is not None and (stands.report.request_seq != of.sequence or stands.report.final)

    def covered(self, of: StoredRequest, *, by: list[StoredCancel]) -> bool:
        return any(x.covers(of.sequence, of.token) for x in by)

    def check_begin(self, entry: Entry, kind: Kind) -> None:
        of = entry.stored
        stands = self.reports.get(of.token)
        claimed = stands.report.transport if stands is not None else None
        assert (of.stated_transport or claimed) == kind, "another bridge's"
        read = [x for x in self.all_cancels if x.sequence in self.stored_at]
        assert not self.covered(of, by=read), "begun although cancelled"
        for lower in self.all_requests.values():
            if lower.sequence < of.sequence and not self.done(lower):
                report = self.reports.get(lower.token)
                transport = lower.stated_transport or (report.report.transport if report else None)
                assert transport == "none", f"{of.sequence} begun before {lower.sequence} was final"

    # ---- random events

    def publish(self) -> None:
        rng = self.rng
        self.last += 1
        if rng.random() < 0.25:
            payload: Any = rng.choice((b"", b"", b"{", None))
            if payload is None:
                one = rng.choice(list(self.all_requests.values())) if self.all_requests else None
                payload = json.dumps({"requestId": one.request_id if one else "r"}).encode()
            message = cancel(self.last, payload)
            self.all_cancels.append(message)
            self.store(message)
            return
        again = {"requestId": rng.choice(list(self.all_requests.values())).request_id} if self.all_requests else {}
        if rng.random() > 0.15 or str(again.get("requestId", "seq-")).startswith("seq-"):
            again = {"requestId": f"r{self.last}"} if rng.random() < 0.7 else {}
        transport = rng.choice((None, None, "websocket", "websocket", "http", "none"))
        fields = {**again, "ttlSeconds": rng.choice((1, 30, 300))}
        message = self.all_requests[self.last] = request(self.last, transport, **fields)
        self.store(message)

    def synth(self) -> None:
        """Deliver one request to a synth, in any order. The synth claims it, or finds that it has nothing to do."""
        waiting = [x for x in self.stream.values() if isinstance(x, StoredRequest) and x.sequence not in self.handed]
        if not waiting:
            return
        of = self.rng.choice(waiting)
        stands = self.reports.get(of.token)
        if stands is None and self.now > self.stored_at[of.sequence] + of.ttl_s:
            self.write(of, of.report("expired", error=ReportError.of("expired", "late")))
            self.delete(of.sequence)
            return
        if stands is None:
            transport = of.stated_transport or DEFAULT
            stands, _ = self.write(of, of.report("synthesizing", transport=transport))
            self.audio[of.token] = "started"
        if stands.report.request_seq != of.sequence:
            if stands.report.final:
                self.delete(of.sequence)
        elif stands.report.final:
            self.delete(of.sequence)
        elif self.covered(of, by=self.all_cancels):
            self.handed.add(of.sequence)  # the owner writes the report
            if self.rng.random() < 0.5:
                self.audio[of.token], self.ends[of.token] = "ended", "cancelled"
            if stands.report.transport == "none":
                self.write(of, stands.report.with_(status="cancelled"))
                self.delete(of.sequence)
        elif self.rng.random() < 0.6:
            self.handed.add(of.sequence)
            self.audio[of.token] = "ended"
            if stands.report.transport == "none":
                self.write(of, stands.report.with_(status="delivered"))
                self.delete(of.sequence)

    def step(self) -> None:
        rng = self.rng
        owner = rng.choice(self.owners)
        match rng.choice("publish synth synth read read work work deliver deliver time take".split()):
            case "publish" if len(self.all_requests) < 12:
                self.publish()
            case "synth":
                self.synth()
            case "read":
                owner.read()
                owner.poll()
            case "work" if owner.work:
                owner.work.pop(rng.randrange(len(owner.work)))()
            case "deliver":
                owner.deliver()
            case "time":
                self.now += rng.choice((0.1, 0.1, 1.0, 3.0, 40.0))
            case "take" if rng.random() < 0.15:
                self.owners[self.owners.index(owner)] = Owner(self, owner.kind)

    def heal(self) -> None:
        for _ in range(3000):
            self.synth()
            for owner in self.owners:
                owner.read()
                owner.poll()
                while owner.work:
                    owner.work.pop(0)()
                owner.deliver()
            if not self.stream and all(owner.session.idle for owner in self.owners):
                return
            self.now += self.rng.choice((0.5, 2.0))
        raise AssertionError(f"still stored: {self.stream}")

    def run(self) -> None:
        for _ in range(self.rng.choice((15, 60, 150))):
            self.step()
        self.heal()
        for of in self.all_requests.values():
            stands = self.reports[of.token]
            assert stands.report.final
            status = self.finals.get(of.sequence)
            assert (status is None) == (stands.report.request_seq != of.sequence), (
                "a duplicate has no report of its own"
            )
            if status == "cancelled":
                assert self.covered(of, by=self.all_cancels)
        for owner in self.owners:
            assert owner.session.next_time(self.now) is None
            assert owner.session.poll(self.now + 1e6) == []
            owner.session.forget(self.now + 1e6, 0)
            assert not owner.session.entries and owner.session.idle


def test_every_request_comes_to_one_final_report_in_order() -> None:
    outcomes: dict[str, int] = {}
    for seed in range(RUNS):
        world = World(seed)
        try:
            world.run()
        except AssertionError as exc:
            raise AssertionError(f"seed {seed}: {exc}") from exc
        for status in world.finals.values():
            outcomes[status] = outcomes.get(status, 0) + 1
    assert {"delivered", "cancelled", "expired", "failed"} <= outcomes.keys(), outcomes
    assert outcomes["delivered"] > outcomes["failed"], outcomes


# ---- any order of events

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["request", "request", "cancel", "cancel one", "claim", "final"]),
        st.sampled_from([None, "websocket", "http", "none"]),
        st.integers(0, 3),
    ),
    min_size=1,
    max_size=8,
)


def stream_of(plan: list[tuple[str, Transport | None, int]]) -> list[StoredRequest | StoredCancel | ReportState]:
    """The stream after the events of `plan`. Requests share three ids, so some are duplicates."""
    out: list[StoredRequest | StoredCancel | ReportState] = []
    reports: dict[str, ReportState] = {}
    for sequence, (what, transport, number) in enumerate(plan, start=1):
        asked = [x for x in out if isinstance(x, StoredRequest)]
        if what == "request" or not asked:
            out.append(request(sequence, transport, requestId=f"r{number}"))
        elif what == "cancel":
            out.append(cancel(sequence))
        elif what == "cancel one":
            out.append(cancel(sequence, json.dumps({"requestId": f"r{number}"}).encode()))
        else:
            of = asked[number % len(asked)]
            status: Status = "synthesizing" if what == "claim" else "delivered"
            written = state(of, status, sequence)
            stands = reports.get(of.token)
            if stands is None or judge(stands.report, written.report) is None:
                reports[of.token] = written
                out.append(written)
    return out


def outcome(session: Session, now: float) -> list[tuple[str, int, str]]:
    out = []
    for effect in session.poll(now):
        sequence = effect.sequence if isinstance(effect, DropCancel) else effect.entry.sequence
        out.append((type(effect).__name__, sequence, effect.status if isinstance(effect, End) else ""))
    return sorted(out)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.sampled_from(KINDS), st.sampled_from([0.0, 36.0, 100.0]), st.randoms(use_true_random=False))
def test_events_in_any_order_and_repeated_give_the_same(
    plan: list[tuple[str, Transport | None, int]], kind: Kind, now: float, rng: random.Random
) -> None:
    stored = stream_of(plan)
    shuffled = stored + rng.choices(stored, k=rng.randint(0, 5))
    rng.shuffle(shuffled)
    results = []
    for events in (stored, shuffled):
        session = Session(kind)
        for event in events:
            match event:
                case StoredRequest():
                    session.request(event, 0.0)
                case StoredCancel():
                    session.cancel(event)
                case _:
                    session.report(subjects.token(event.report.request_id), event, 0.0)
        first = outcome(session, now)
        again = outcome(session, now)
        assert [x for x in again if x[0] != "Tidy"] == [], "an effect is given once"
        results.append((first, session.next_time(now), session.idle, sorted(done(session))))
    assert results[0] == results[1]


# ---- single rules


class Bench:
    """A machine and a clock. `poll()` returns the effects as short strings; `CheckStored` goes to `checked`."""

    def __init__(self, kind: Kind = "websocket") -> None:
        self.session = Session(kind)
        self.now = 0.0
        self.revision = 0
        self.asked: dict[int, StoredRequest] = {}
        self.checked: list[int] = []
        """Requests for which the machine returned `CheckStored`."""

    def ask(self, sequence: int, transport: str | None = "websocket", **fields: Any) -> StoredRequest:
        stored = self.asked[sequence] = request(sequence, transport, **fields)
        self.session.request(stored, self.now)
        return stored

    def report(self, sequence: int, status: Status, transport: Transport | None = None) -> None:
        self.revision += 1
        of = self.asked[sequence]
        self.session.report(of.token, state(of, status, self.revision, transport), self.now)

    def poll(self) -> list[str]:
        due = []
        for effect in self.session.poll(self.now):
            if isinstance(effect, CheckStored):
                self.checked.append(effect.entry.sequence)
                continue
            sequence = effect.sequence if isinstance(effect, DropCancel) else effect.entry.sequence
            status = f" {effect.status}" if isinstance(effect, End) else ""
            due.append(f"{type(effect).__name__} {sequence}{status}")
        at = self.session.next_time(self.now)
        assert at is None or at > self.now, "it would spin"
        return due


def test_requests_are_begun_in_order_each_when_all_before_are_final() -> None:
    bench = Bench()
    for sequence in (2, 3, 5):
        bench.ask(sequence)
    assert bench.poll() == ["Begin 2"]
    assert bench.poll() == []
    bench.report(2, "synthesizing")
    bench.report(3, "synthesizing")
    assert bench.poll() == []
    bench.report(2, "delivered")
    assert bench.poll() == ["Stop 2", "Begin 3"]
    bench.report(3, "failed")
    assert bench.poll() == ["Stop 3", "Begin 5"]


def test_a_request_that_arrives_late_is_still_first_if_nothing_was_begun() -> None:
    bench = Bench()
    bench.ask(5)
    bench.ask(2)
    assert bench.poll() == ["Begin 2"]


def test_order_holds_across_transports() -> None:
    ws, http = Bench("websocket"), Bench("http")
    for bench in (ws, http):
        bench.ask(2, "http")
        bench.ask(3, "websocket")
        bench.ask(4, "http")
    assert (ws.poll(), http.poll()) == ([], ["Begin 2"])
    for bench in (ws, http):
        bench.report(2, "delivered")
    assert (ws.poll(), http.poll()) == (["Begin 3"], ["Stop 2"])
    for bench in (ws, http):
        bench.report(3, "delivered")
    assert (ws.poll(), http.poll()) == (["Stop 3"], ["Begin 4"])


def test_an_unclaimed_request_that_states_nothing_holds_all_others_until_the_claim_says_whose_it_is() -> None:
    bench = Bench()
    bench.ask(2, None)
    bench.ask(3)
    assert bench.poll() == []
    bench.report(2, "synthesizing", "http")
    assert bench.poll() == []
    bench.report(2, "delivered", "http")
    assert bench.poll() == ["Begin 3"]


def test_transport_none_blocks_nobody() -> None:
    bench = Bench()
    bench.ask(2, "none")
    bench.ask(3)
    assert bench.poll() == ["Begin 3"]
    bench.now = 500.0
    bench.report(3, "delivered")
    bench.poll()  # asserts that the machine wants no poll in a tight loop
    bench.report(2, "delivered")
    assert "Tidy 2" not in bench.poll(), "synth tidies it"
    assert bench.session.entries[2].closed


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_of_transport_none_that_nobody_claims_is_any_bridges_to_end(kind: Kind) -> None:
    bench = Bench(kind)
    bench.ask(2, "none", ttlSeconds=30)
    bench.ask(3, "none", ttlSeconds=30)
    bench.ask(4, "none", ttlSeconds=30)
    assert bench.poll() == [] and not bench.session.idle
    assert bench.session.next_time(bench.now) == 30.0 + EXPIRY_GRACE_S
    bench.session.cancel(cancel(9, b'{"requestId":"seq-3"}'))
    [end] = bench.session.poll(bench.now)
    assert isinstance(end, End) and (end.entry.sequence, end.status) == (3, "cancelled")
    assert end.unclaimed, "a claim on its way is not overwritten: then it is synth's to end"
    bench.report(4, "synthesizing", "none")
    bench.session.cancel(cancel(10, b'{"requestId":"seq-4"}'))
    bench.now = 30.0 + EXPIRY_GRACE_S
    assert bench.poll() == ["End 2 expired"]


def test_what_a_bridge_has_ended_of_transport_none_a_bridge_tidies() -> None:
    """If the bridge died before it tidied up. Synth tidies the requests that it has ended."""
    bench = Bench()
    bench.ask(2, "none")
    stored = bench.asked[2]
    bench.session.report(stored.token, state(stored, "expired", 1, "none", error=None, epoch=7), bench.now)
    assert bench.poll() == [] and not bench.session.idle
    bench.now += TIDY_AFTER_S
    assert bench.poll() == ["Tidy 2"]


def test_a_claim_of_transport_none_blocks_nobody_either() -> None:
    bench = Bench()
    bench.ask(2, None)
    bench.ask(3)
    bench.report(2, "synthesizing", "none")
    assert bench.poll() == ["Begin 3"]


def test_a_cancel_ends_what_was_asked_before_it_and_nothing_after() -> None:
    bench = Bench()
    for sequence in (2, 3, 7):
        bench.ask(sequence)
    assert bench.poll() == ["Begin 2"]
    bench.session.cancel(cancel(5))
    assert bench.poll() == ["Stop 2", "End 3 cancelled"]
    bench.ask(4)  # arrives late
    assert bench.poll() == ["End 4 cancelled"]
    assert bench.poll() == []
    for sequence in (2, 3, 4):
        bench.report(sequence, "cancelled")
        bench.session.tidied(bench.session.entries[sequence])
    assert sorted(bench.poll()) == ["Begin 7", "DropCancel 5"]


def test_a_cancel_before_the_first_poll_is_never_begun() -> None:
    bench = Bench()
    bench.session.cancel(cancel(5))
    bench.ask(2)
    assert bench.poll() == ["End 2 cancelled"]


def test_a_cancel_of_one_request() -> None:
    bench = Bench()
    for sequence in (2, 3):
        bench.ask(sequence, requestId=f"r{sequence}")
    bench.session.cancel(cancel(4, b'{"requestId":"r3"}'))
    assert bench.poll() == ["End 3 cancelled", "Begin 2"]
    bench.ask(5, requestId="r3x")
    bench.report(2, "delivered")
    bench.report(3, "cancelled")
    assert bench.poll() == ["Stop 2", "Begin 5"]


def test_a_cancel_that_cannot_be_read_only_goes_away() -> None:
    bench = Bench()
    bench.session.cancel(cancel(5, b"{"))
    bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    bench.report(2, "delivered")
    bench.session.tidied(bench.session.entries[2])
    assert bench.poll() == ["DropCancel 5"]


def test_the_other_bridges_requests_are_its_own_to_cancel() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.ask(3, "none")
    bench.report(3, "synthesizing", "none")
    bench.session.cancel(cancel(5))
    assert bench.poll() == []


def test_a_cancelled_request_of_a_transport_without_a_bridge_blocks_for_a_minute_only() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.report(2, "synthesizing", "http")
    bench.session.cancel(cancel(3))
    bench.ask(4)
    bench.report(4, "synthesizing")
    bench.now = STUCK_S - 1
    assert bench.poll() == []
    bench.now = STUCK_S
    assert bench.poll() == ["End 2 cancelled"]
    bench.report(2, "cancelled")
    assert bench.poll() == ["Begin 4", "DropCancel 3"]


def test_a_cancel_is_dropped_only_when_no_lower_request_is_left() -> None:
    bench = Bench()
    bench.ask(2)
    bench.ask(9)
    bench.session.cancel(cancel(5))
    bench.session.cancel(cancel(7))
    assert bench.poll() == ["End 2 cancelled"]
    bench.report(2, "cancelled")
    assert "DropCancel 5" not in bench.poll()
    bench.session.tidied(bench.session.entries[2])
    assert sorted(bench.poll()) == ["DropCancel 5", "DropCancel 7"]
    bench.session.cancel_kept(5, bench.now)
    bench.session.cancel_dropped(7)
    assert bench.poll() == [] and not bench.session.may_ack(5, 9) and bench.session.may_ack(7, 0)
    bench.ask(3)  # the lower request that is still stored; the machine must not poll in a tight loop
    bench.now = 1.5
    assert bench.poll() == ["End 3 cancelled"]
    bench.session.tidied(bench.session.entries[3])
    assert bench.poll() == ["DropCancel 5"]


def test_nobody_claims() -> None:
    bench = Bench()
    bench.ask(2, None, ttlSeconds=10)
    bench.ask(3, "websocket", ttlSeconds=10)
    bench.ask(4, "http", ttlSeconds=10)
    assert bench.session.next_time(0.0) == 10 + EXPIRY_GRACE_S
    bench.now = 14.9
    assert bench.poll() == []
    bench.now = 15.0
    assert bench.poll() == ["End 2 expired", "End 3 expired"], "4 is the other bridge's to end"
    assert bench.poll() == []


def test_a_begun_request_that_nobody_claims_expires_too() -> None:
    bench = Bench()
    bench.ask(2, ttlSeconds=1)
    assert bench.poll() == ["Begin 2"]
    bench.now = 6.0
    assert bench.poll() == ["End 2 expired"]


def test_a_claimed_request_never_expires() -> None:
    bench = Bench()
    bench.ask(2, ttlSeconds=1)
    bench.report(2, "synthesizing")
    bench.now = 1000.0
    assert bench.poll() == ["Begin 2"]


def test_a_stuck_request_of_another_transport() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.ask(3)
    bench.report(2, "synthesizing", "http")
    bench.report(3, "synthesizing")
    bench.now = STUCK_S - 0.1
    assert bench.poll() == []
    assert bench.session.next_time(bench.now) == STUCK_S
    bench.now = STUCK_S
    assert bench.poll() == ["Inspect 2"]
    assert bench.poll() == []
    bench.now = STUCK_S + INSPECT_EVERY_S
    assert bench.poll() == ["Inspect 2"]
    bench.report(2, "delivering", "http")  # progress
    bench.now += STUCK_S - 1
    assert bench.poll() == []
    bench.now += 1
    assert bench.poll() == ["Inspect 2"]
    bench.session.stuck(bench.session.entries[2])
    effects = bench.session.poll(bench.now)
    assert len(effects) == 1 and isinstance(effects[0], End)
    assert effects[0].status == "failed" and effects[0].error is not None and effects[0].error.code == "internal"
    bench.report(2, "failed", "http")
    assert bench.poll() == ["Begin 3"]


def test_another_transports_request_that_waits_for_its_claim_is_not_stuck() -> None:
    bench = Bench()
    bench.ask(2, "http", ttlSeconds=300)
    bench.ask(3)
    bench.report(3, "synthesizing")
    bench.now = 300 + EXPIRY_GRACE_S + STUCK_S - 1
    assert bench.poll() == []
    bench.now += 1
    assert bench.poll() == ["Inspect 2"]


@pytest.mark.parametrize("kind", KINDS)
def test_waiting_never_spins(kind: Kind) -> None:
    """Requests that wait, or that another bridge delivers, must not make the owner poll in a tight loop."""
    bench = Bench(kind)
    for sequence, transport in enumerate(("websocket", "http", "none", None, "websocket"), start=2):
        bench.ask(sequence, transport, ttlSeconds=3600)
        bench.report(sequence, "synthesizing", "http" if transport is None else None)
    for _ in range(100):
        bench.now += 5.0
        bench.poll()


def test_a_duplicate_waits_for_the_first_ones_final_report_and_blocks_nobody() -> None:
    bench = Bench()
    bench.ask(2, requestId="r")
    bench.ask(3, requestId="r")
    bench.ask(4, requestId="x")
    assert bench.poll() == ["Begin 2"]
    bench.report(2, "synthesizing")
    bench.session.cancel(cancel(9, b'{"requestId":"y"}'))
    bench.now = 100.0
    assert bench.poll() == ["End 4 expired"]
    bench.report(2, "delivered")
    assert "Tidy 3" not in bench.poll(), "synth, which finds it first, has a while to tidy it"
    bench.now += TIDY_AFTER_S
    assert "Tidy 3" in bench.poll()
    assert bench.session.entries[3].duplicate and not bench.session.entries[2].duplicate


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_what_was_begun_and_is_ended_by_someone_else_is_stopped(status: Status) -> None:
    """Synth refuses a request with an unknown engine or an expired one. Later requests must not wait for its audio."""
    bench = Bench()
    bench.ask(2)
    bench.ask(3)
    assert bench.poll() == ["Begin 2"]
    bench.report(2, status)
    assert bench.poll() == ["Stop 2", "Begin 3"]
    assert bench.poll() == []


def test_what_was_begun_and_is_a_duplicate_after_all_is_stopped() -> None:
    """Two synths: the second request with the id was claimed first."""
    bench = Bench()
    bench.ask(2, requestId="r")
    bench.ask(3, requestId="r")
    assert bench.poll() == ["Begin 2"]
    bench.report(3, "synthesizing")
    assert bench.poll() == ["Stop 2", "Begin 3"]
    assert bench.poll() == []


def test_a_report_that_is_final_or_anothers_is_never_written_over() -> None:
    bench = Bench()
    bench.ask(2, requestId="r")
    bench.ask(3, requestId="r")
    two, three = bench.session.entries[2], bench.session.entries[3]
    assert (two.revision, three.revision) == (0, 0)
    bench.report(2, "synthesizing")
    assert (two.revision, three.revision) == (1, 0)
    bench.report(2, "delivering")
    assert (two.revision, three.revision) == (2, 0)
    bench.report(2, "delivered")
    assert (two.revision, three.revision) == (0, 0)


def test_older_revisions_change_nothing() -> None:
    bench = Bench()
    of = bench.ask(2)
    bench.session.report(of.token, state(of, "delivered", 9), 0.0)
    bench.session.report(of.token, state(of, "synthesizing", 5), 0.0)
    bench.session.report(of.token, state(of, "synthesizing", 9), 0.0)
    assert bench.session.entries[2].final
    assert bench.poll() == []


def test_reports_are_forgotten_when_nothing_was_heard_of_them_for_long() -> None:
    """In the order of the reports, not of the requests. A new report keeps its id known for longer."""
    bench = Bench()
    of = [request(sequence) for sequence in (2, 3, 4)]
    for revision, (stored, heard_at) in enumerate(zip([*of, of[0]], (0.0, 10.0, 20.0, 30.0), strict=True), 1):
        bench.session.report(stored.token, state(stored, "delivered", revision), heard_at)

    def known(stored: StoredRequest) -> bool:
        """Whether the report of `stored` is known: then a request added now is final."""
        session = copy.deepcopy(bench.session)
        return session.request(stored, 0.0).final

    bench.session.forget(REPORT_LIFE_S + 10.0, 0)
    assert list(map(known, of)) == [True, True, True]
    bench.session.forget(REPORT_LIFE_S + 25.0, 0)
    assert list(map(known, of)) == [True, False, False]
    bench.session.forget(REPORT_LIFE_S + 30.1, 0)
    assert not any(map(known, of))


def test_what_a_dead_writer_left_is_tidied_later() -> None:
    bench = Bench()
    bench.ask(2)
    bench.report(2, "delivered")
    assert bench.poll() == []
    bench.now = 5.0
    assert bench.poll() == ["Tidy 2"]
    assert bench.poll() == []
    bench.now = 10.0
    assert bench.poll() == ["Tidy 2"], "until it is done"
    bench.session.tidied(bench.session.entries[2])
    bench.now = 99.0
    assert bench.poll() == [] and bench.session.idle
    assert done(bench.session) == {2}
    bench.session.forget(bench.now, 0)
    assert not bench.session.entries and bench.session.may_ack(2, 0)
    bench.session.forget(bench.now, 2)
    assert bench.session.may_ack(2, 2), "a read has shown that it is deleted"


def test_a_claimed_request_that_vanished_keeps_no_session() -> None:
    """Synth ends a claimed `none`. If the request was deleted with its stream and synth died, no report comes."""
    bench = Bench()
    bench.ask(2, "none")
    bench.report(2, "synthesizing", "none")
    bench.ask(3, "websocket")
    bench.report(3, "synthesizing")
    assert bench.poll() == ["Begin 3"]
    bench.now = CHECK_STORED_S - 1
    assert bench.poll() == [] and bench.checked == []
    bench.now = CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [2], "3 is being delivered"
    assert bench.poll() == [] and bench.checked == [2]
    bench.now = 2 * CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [2, 2], "as long as it is stored"
    bench.session.tidied(bench.session.entries[2])
    bench.now = 4 * CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [2, 2]


def test_wake_ups_of_another_transport_are_done_with() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.ask(3, "websocket")
    bench.ask(4, None)
    bench.ask(5, "none")
    assert done(bench.session) == {2}, "nobody has claimed 5 yet"
    bench.report(5, "synthesizing", "none")
    assert done(bench.session) == {2, 5}
    bench.report(4, "synthesizing", "http")
    assert done(bench.session) == {2, 4, 5}
    assert not bench.session.idle


def test_a_report_with_a_higher_epoch_shows_another_owner() -> None:
    bench = Bench("websocket")
    mine, others = bench.ask(2), bench.ask(3, "http")
    left_open = bench.ask(4, None)

    def shows(of: StoredRequest, epoch: int, status: Status = "delivering") -> bool:
        return bench.session.shows_another_owner(of.report(status).with_(epoch=epoch), 7)

    assert shows(mine, 8)
    assert not shows(mine, 7) and not shows(mine, 8, "delivered")
    assert not shows(others, 8) and not shows(left_open, 8) and not shows(request(9), 8)


# ---- outcomes reported by the runner


def test_an_end_that_is_refused_lets_the_request_go_on() -> None:
    """It was claimed meanwhile: it is begun in its turn."""
    bench = Bench()
    bench.ask(2, None, ttlSeconds=1)
    bench.now = 1 + EXPIRY_GRACE_S
    assert bench.poll() == ["End 2 expired"]
    bench.report(2, "synthesizing", "websocket")
    bench.session.end_refused(bench.session.entries[2])
    assert bench.poll() == ["Begin 2"]


def test_a_begin_that_is_declined_is_asked_for_again() -> None:
    bench = Bench()
    bench.ask(2)
    assert bench.poll() == ["Begin 2"] and bench.poll() == []
    bench.session.begin_declined(bench.session.entries[2])
    assert bench.poll() == ["Begin 2"]


def test_tidying_that_failed_is_tried_again_soon() -> None:
    bench = Bench()
    bench.ask(2)
    bench.report(2, "delivered")
    bench.session.tidy_failed(bench.session.entries[2], bench.now)
    bench.now = TIDY_AGAIN_S - 0.1
    assert bench.poll() == []
    bench.now = TIDY_AGAIN_S
    assert bench.poll() == ["Tidy 2"]


def test_a_final_report_that_was_written_counts_before_it_is_read() -> None:
    bench = Bench()
    bench.ask(2)
    bench.ask(3)
    bench.report(3, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    entry = bench.session.entries[2]
    bench.session.report_written(entry, state(entry.stored, "delivered", 9), bench.now)
    assert bench.poll() == ["Stop 2", "Begin 3"]


@pytest.mark.parametrize(
    ("status", "taken_over", "fence"),
    [("synthesizing", False, False), ("delivering", False, True), ("synthesizing", True, True), (None, True, True)],
)
def test_a_fence_stands_before_the_first_chunk_where_an_owner_before_may_live(
    status: Status | None, taken_over: bool, fence: bool
) -> None:
    """After a takeover or a begun delivery: the earlier owner may not know yet that it lost the session."""
    bench = Bench()
    bench.ask(2)
    if status is not None:
        bench.report(2, status)
    assert bench.session.entries[2].must_fence(taken_over=taken_over) is fence


def test_a_delivery_resumes_from_its_own_report_only() -> None:
    bench = Bench()
    bench.ask(2, requestId="r")
    bench.report(2, "delivering")
    assert bench.session.entries[2].resumes is not None
    bench.ask(3, requestId="r")
    assert bench.session.entries[3].duplicate and bench.session.entries[3].resumes is None
