"""The rules of one session's machine, each by itself, and that the order of events does not matter.

`test_session_machine.py` tests them together, against a model of the node.
"""

from __future__ import annotations

import copy
import json
import random
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract import subjects
from orastream.contract.messages import Status, Transport
from orastream.contract.report_state import ReportState, Verdict, judge
from orastream.contract.stored_requests import StoredCancel, StoredRequest
from orastream.delivery.rules import session_errors
from orastream.delivery.rules.entry import (
    ABANDONED_S,
    CHECK_STORED_S,
    EXPIRY_GRACE_S,
    INSPECT_EVERY_S,
    LOST_GRACE_S,
    STUCK_LOOKS,
    STUCK_S,
    Entry,
    Stage,
)
from orastream.delivery.rules.known_reports import MAX_REPORTS
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.look_ups import LOOK_AGAIN_S, LOOK_S, NEVER
from orastream.delivery.rules.session import TIDY_AFTER_S, TIDY_AGAIN_S, Session
from orastream.delivery.rules.session_effects import (
    Abandon,
    Begin,
    CheckStored,
    DropCancel,
    Effect,
    End,
    LookUp,
    Stop,
    Tidy,
)
from orastream.delivery.rules.session_outcomes import (
    CancelOutcome,
    Inspected,
    LookedUp,
    NotStored,
    Purpose,
    ReportWritten,
    Tidied,
    TidyFailed,
)
from tests.unit.orastream.delivery.rules.session_messages import cancel, request, state

pytestmark = pytest.mark.unit

IDLE_S = 30.0
EPOCH = 7
Kind = Literal["websocket", "http"]
KINDS: tuple[Kind, Kind] = ("websocket", "http")


def session_of(kind: Kind) -> Session:
    return Session(kind, EPOCH, Lifetime(IDLE_S))


def done(session: Session) -> set[int]:
    return {sequence for sequence in session.entries if session.may_ack(sequence, 0)}


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


@settings(max_examples=60)
@given(EVENTS, st.sampled_from(KINDS), st.sampled_from([0.0, 36.0, 100.0]), st.randoms(use_true_random=False))
def test_reordered_and_repeated_events_give_the_same_effects(
    plan: list[tuple[str, Transport | None, int]], kind: Kind, now: float, rng: random.Random
) -> None:
    stored = stream_of(plan)
    shuffled = stored + rng.choices(stored, k=rng.randint(0, 5))
    rng.shuffle(shuffled)
    results = []
    for events in (stored, shuffled):
        session = session_of(kind)
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
        assert [x for x in again if x[0] != "Tidy"] == [], "an effect is returned once"
        results.append((first, session.next_time(now), session.idle, sorted(done(session))))
    assert results[0] == results[1]


# ---- single rules


class Bench:
    """A machine and a clock. `poll()` returns the effects as short strings; `CheckStored` goes to `checked`."""

    def __init__(self, kind: Kind = "websocket") -> None:
        self.session = session_of(kind)
        self.now = 0.0
        self.revision = 0
        self.asked: dict[int, StoredRequest] = {}
        self.checked: list[int] = []
        """Requests for which the machine returned `CheckStored`."""

    def ask(self, sequence: int, transport: str | None = "websocket", **fields: Any) -> StoredRequest:
        stored = self.asked[sequence] = request(sequence, transport, **fields)
        self.session.request(stored, self.now).look_at = NEVER  # look-ups have tests of their own
        return stored

    def report(self, sequence: int, status: Status, transport: Transport | None = None) -> None:
        self.revision += 1
        of = self.asked[sequence]
        self.session.report(of.token, state(of, status, self.revision, transport), self.now)

    def entry(self, sequence: int) -> Entry:
        return self.session.entries[sequence]

    def delivery_ends(self, sequence: int) -> None:
        self.session.delivery_ended(self.entry(sequence))

    def delivered(self, sequence: int, status: Status = "delivered") -> None:
        """The final report of the running delivery is read, and the delivery ends."""
        self.report(sequence, status)
        self.delivery_ends(sequence)

    def tidied(self, sequence: int) -> None:
        self.session.apply(Tidied(self.entry(sequence)), self.now)

    def inspected(self, sequence: int, *, undelivered: bool) -> None:
        self.session.apply(Inspected(self.entry(sequence), not undelivered, audio_ended=True), self.now)

    def written(self, sequence: int, purpose: Purpose, verdict: Verdict, stored: ReportState) -> None:
        self.session.apply(ReportWritten(self.entry(sequence), purpose, verdict, stored), self.now)

    def effects(self) -> list[Effect]:
        effects = self.session.poll(self.now)
        at = self.session.next_time(self.now)
        assert at is None or at > self.now, "the owner would poll in a tight loop"
        return effects

    def poll(self) -> list[str]:
        due = []
        for effect in self.effects():
            if isinstance(effect, CheckStored):
                self.checked.append(effect.entry.sequence)
                continue
            sequence = effect.sequence if isinstance(effect, DropCancel) else effect.entry.sequence
            status = f" {effect.status}" if isinstance(effect, End) else ""
            due.append(f"{type(effect).__name__} {sequence}{status}")
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
    bench.delivered(2)
    assert bench.poll() == ["Begin 3"]
    bench.delivered(3, "failed")
    assert bench.poll() == ["Begin 5"]


def test_the_next_delivery_begins_after_the_running_one_has_ended() -> None:
    """Its request may be final before: then it is stopped first."""
    bench = Bench()
    for sequence in (2, 3):
        bench.ask(sequence)
    assert bench.poll() == ["Begin 2"]
    bench.report(2, "failed")
    assert bench.poll() == ["Stop 2"]
    assert bench.poll() == [] and bench.session.delivering is bench.entry(2)
    bench.delivery_ends(2)
    assert bench.poll() == ["Begin 3"]


def test_no_delivery_begins_while_draining() -> None:
    bench = Bench()
    for sequence in (2, 3):
        bench.ask(sequence)
    assert bench.poll() == ["Begin 2"]
    bench.session.lifetime.drain(bench.now, 6.0)
    assert not bench.session.over(bench.now, current=True), "the running delivery goes on"
    assert bench.session.next_time(bench.now) == 6.0
    bench.delivered(2)
    assert bench.poll() == []
    assert bench.session.over(bench.now, current=True)


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
    http.delivered(2)
    ws.report(2, "delivered")
    assert (ws.poll(), http.poll()) == (["Begin 3"], [])
    ws.delivered(3)
    http.report(3, "delivered")
    assert (ws.poll(), http.poll()) == ([], ["Begin 4"])


def test_a_request_without_transport_blocks_later_ones_until_its_claim_states_one() -> None:
    bench = Bench()
    bench.ask(2, None)
    bench.ask(3)
    assert bench.poll() == []
    bench.report(2, "synthesizing", "http")
    assert bench.poll() == []
    bench.report(2, "delivered", "http")
    assert bench.poll() == ["Begin 3"]


def test_transport_none_blocks_no_request() -> None:
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
def test_any_bridge_ends_an_unclaimed_request_of_transport_none(kind: Kind) -> None:
    bench = Bench(kind)
    bench.ask(2, "none", ttlSeconds=20)
    bench.ask(3, "none", ttlSeconds=20)
    bench.ask(4, "none", ttlSeconds=20)
    assert bench.poll() == [] and not bench.session.idle
    assert bench.session.next_time(bench.now) == 20.0 + EXPIRY_GRACE_S
    bench.session.cancel(cancel(9, b'{"requestId":"seq-3"}'))
    [end] = bench.session.poll(bench.now)
    assert isinstance(end, End) and (end.entry.sequence, end.status) == (3, "cancelled")
    assert end.exact and end.revision == 0, "a claim stored meanwhile is not overwritten: synth then ends the request"
    bench.report(4, "synthesizing", "none")
    bench.session.cancel(cancel(10, b'{"requestId":"seq-4"}'))
    bench.now = 20.0 + EXPIRY_GRACE_S
    assert bench.poll() == ["End 2 expired"]


def test_a_bridge_tidies_a_request_of_transport_none_that_a_bridge_has_ended() -> None:
    """If the bridge died before it tidied up. Synth tidies the requests that it has ended."""
    bench = Bench()
    bench.ask(2, "none")
    stored = bench.asked[2]
    bench.session.report(stored.token, state(stored, "expired", 1, "none", error=None, epoch=7), bench.now)
    assert bench.poll() == [] and not bench.session.idle
    bench.now += TIDY_AFTER_S
    assert bench.poll() == ["Tidy 2"]


def test_a_claim_of_transport_none_blocks_no_request() -> None:
    bench = Bench()
    bench.ask(2, None)
    bench.ask(3)
    bench.report(2, "synthesizing", "none")
    assert bench.poll() == ["Begin 3"]


def test_a_cancel_ends_the_requests_stored_before_it() -> None:
    bench = Bench()
    for sequence in (2, 3, 7):
        bench.ask(sequence)
    assert bench.poll() == ["Begin 2"]
    bench.session.cancel(cancel(5))
    assert bench.poll() == ["Stop 2", "End 3 cancelled"]
    bench.ask(4)  # arrives late
    assert bench.poll() == ["End 4 cancelled"]
    assert bench.poll() == []
    bench.delivery_ends(2)
    for sequence in (2, 3, 4):
        bench.report(sequence, "cancelled")
        bench.tidied(sequence)
    assert sorted(bench.poll()) == ["Begin 7", "DropCancel 5"]


def test_a_request_cancelled_before_the_first_poll_is_not_begun() -> None:
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
    bench.delivered(2)
    bench.report(3, "cancelled")
    assert bench.poll() == ["Begin 5"]


def test_an_unreadable_cancel_is_deleted_and_cancels_nothing() -> None:
    bench = Bench()
    bench.session.cancel(cancel(5, b"{"))
    bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    bench.delivered(2)
    bench.tidied(2)
    assert bench.poll() == ["DropCancel 5"]


def test_a_cancel_does_not_end_requests_that_others_end() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.ask(3, "none")
    bench.report(3, "synthesizing", "none")
    bench.session.cancel(cancel(5))
    assert bench.poll() == []


def test_a_cancelled_request_of_a_transport_without_a_bridge_is_ended_after_a_minute() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.report(2, "synthesizing", "http")
    bench.session.cancel(cancel(3))
    bench.ask(4)
    bench.report(4, "synthesizing")
    assert bench.poll() == [], "its turn begins"
    bench.now = STUCK_S - 1
    assert bench.poll() == []
    bench.now = STUCK_S
    assert bench.poll() == ["End 2 cancelled"]
    bench.report(2, "cancelled")
    assert bench.poll() == ["Begin 4", "DropCancel 3"]


def test_a_cancel_is_dropped_when_no_lower_request_is_open() -> None:
    bench = Bench()
    bench.ask(2)
    bench.ask(9)
    bench.session.cancel(cancel(5))
    bench.session.cancel(cancel(7))
    assert bench.poll() == ["End 2 cancelled"]
    bench.report(2, "cancelled")
    assert "DropCancel 5" not in bench.poll()
    bench.tidied(2)
    assert sorted(bench.poll()) == ["DropCancel 5", "DropCancel 7"]
    bench.session.apply(CancelOutcome(5, dropped=False), bench.now)
    bench.session.apply(CancelOutcome(7, dropped=True), bench.now)
    assert bench.poll() == [] and not bench.session.may_ack(5, 9) and bench.session.may_ack(7, 0)
    bench.ask(3)  # the lower request that is still stored; the machine must not poll in a tight loop
    bench.now = 1.5
    assert bench.poll() == ["End 3 cancelled"]
    bench.tidied(3)
    assert bench.poll() == ["DropCancel 5"]


def test_a_request_that_no_synth_claims_expires() -> None:
    bench = Bench()
    bench.ask(2, None, ttlSeconds=10)
    bench.ask(3, "websocket", ttlSeconds=10)
    bench.ask(4, "http", ttlSeconds=10)
    assert bench.session.next_time(0.0) == 10 + EXPIRY_GRACE_S
    bench.now = 14.9
    assert bench.poll() == []
    bench.now = 15.0
    assert bench.poll() == ["End 2 expired", "End 3 expired"], "the HTTP bridge ends 4"
    assert bench.poll() == []


def test_a_begun_request_that_no_synth_claims_expires_and_its_delivery_is_abandoned() -> None:
    bench = Bench()
    bench.ask(2, ttlSeconds=1)
    assert bench.poll() == ["Begin 2"]
    bench.now = 6.0
    assert bench.poll() == ["Abandon 2", "End 2 expired"], "the delivery ends first, as no more audio can come"
    assert bench.session.delivering is None and bench.poll() == []


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
    assert bench.poll() == [], "its turn begins"
    bench.now = STUCK_S - 0.1
    assert bench.poll() == []
    assert bench.session.next_time(bench.now) == STUCK_S
    bench.now = STUCK_S
    assert bench.poll() == ["Inspect 2"]
    bench.now = STUCK_S + 5 * INSPECT_EVERY_S
    assert bench.poll() == [], "one look at a time"
    bench.inspected(2, undelivered=True)
    for _ in range(STUCK_LOOKS - 2):
        assert bench.poll() == ["Inspect 2"]
        bench.inspected(2, undelivered=True)
        assert bench.poll() == []
        bench.now += INSPECT_EVERY_S
    bench.report(2, "delivering", "http")  # progress
    bench.now += STUCK_S - 1
    assert bench.poll() == []
    bench.now += 1
    for undelivered in (True, True, False, *[True] * (STUCK_LOOKS - 1)):
        assert bench.poll() == ["Inspect 2"]
        bench.inspected(2, undelivered=undelivered)
        bench.now += INSPECT_EVERY_S
    assert bench.poll() == ["Inspect 2"]
    bench.inspected(2, undelivered=True)
    [end] = bench.session.poll(bench.now)
    assert isinstance(end, End)
    assert end.status == "failed" and end.error is not None and end.error.code == "internal"
    assert end.exact and end.revision == bench.entry(2).report_revision > 0, "a report of its bridge is not overwritten"
    bench.report(2, "failed", "http")
    assert bench.poll() == ["Begin 3"]


def test_another_transports_request_is_not_stuck_before_its_turn() -> None:
    bench = Bench()
    bench.ask(2)
    bench.ask(3, "http")
    for sequence in (2, 3):
        bench.report(sequence, "synthesizing", "http" if sequence == 3 else None)
    assert bench.poll() == ["Begin 2"]
    bench.now = 3 * STUCK_S
    bench.delivered(2)
    assert bench.poll() == [], "its bridge begins only now"
    bench.now += STUCK_S - 1
    assert bench.poll() == ["Tidy 2"]
    bench.now += 1
    assert bench.poll() == ["Inspect 3"]


def test_another_transports_request_that_waits_for_its_claim_is_not_stuck() -> None:
    bench = Bench()
    bench.ask(2, "http", ttlSeconds=300)
    bench.ask(3)
    bench.report(3, "synthesizing")
    assert bench.poll() == [], "its turn begins"
    bench.now = 300 + EXPIRY_GRACE_S + STUCK_S - 1
    assert bench.poll() == []
    bench.now += 1
    assert bench.poll() == ["Inspect 2"]


def test_when_a_stuck_request_is_ended_the_next_one_is_looked_for_in_the_same_round() -> None:
    """Else the owner would be due again at once."""
    bench = Bench()
    bench.ask(2, "http", ttlSeconds=1)
    bench.ask(3, "http", ttlSeconds=1)
    bench.session.cancel(cancel(4))
    bench.poll()
    bench.now = 1 + EXPIRY_GRACE_S + STUCK_S
    assert bench.poll() == ["End 2 cancelled"]
    assert bench.checked == [3]


@pytest.mark.parametrize("kind", KINDS)
def test_waiting_requests_cause_no_tight_loop(kind: Kind) -> None:
    """Requests that wait, or that another bridge delivers, must not make the owner poll in a tight loop."""
    bench = Bench(kind)
    for sequence, transport in enumerate(("websocket", "http", "none", None, "websocket"), start=2):
        bench.ask(sequence, transport, ttlSeconds=3600)
        bench.report(sequence, "synthesizing", "http" if transport is None else None)
    for _ in range(100):
        bench.now += 5.0
        bench.poll()


def test_a_duplicate_waits_for_the_first_final_report_and_blocks_no_request() -> None:
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
    assert "Tidy 3" not in bench.poll(), "synth has TIDY_AFTER_S to tidy it first"
    bench.now += TIDY_AFTER_S
    assert "Tidy 3" in bench.poll()
    assert bench.session.entries[3].duplicate and not bench.session.entries[2].duplicate


@pytest.mark.parametrize("status", ["failed", "expired"])
def test_a_delivery_is_stopped_when_another_process_ends_its_request(status: Status) -> None:
    """Synth refuses a request with an unknown engine or an expired one. Later requests must not wait for its audio."""
    bench = Bench()
    bench.ask(2)
    bench.ask(3)
    assert bench.poll() == ["Begin 2"]
    bench.report(2, status)
    assert bench.poll() == ["Stop 2"]
    assert bench.poll() == []
    bench.delivery_ends(2)
    assert bench.poll() == ["Begin 3"]


def test_a_delivery_is_stopped_when_its_request_becomes_a_duplicate() -> None:
    """Two synths: the second request with the id was claimed first."""
    bench = Bench()
    bench.ask(2, requestId="r")
    bench.ask(3, requestId="r")
    assert bench.poll() == ["Begin 2"]
    bench.report(3, "synthesizing")
    assert bench.poll() == ["Stop 2"]
    assert bench.poll() == []
    bench.delivery_ends(2)
    assert bench.poll() == ["Begin 3"]


def test_a_final_report_or_that_of_another_request_has_no_revision_to_replace() -> None:
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


def test_old_reports_are_forgotten() -> None:
    """In the order of the reports, not of the requests. A new report keeps its id known for longer."""
    bench = Bench()
    of = [request(sequence) for sequence in range(2, MAX_REPORTS + 3)]
    for revision, stored in enumerate([*of[:-1], of[0], of[-1]], 1):
        bench.session.report(stored.token, state(stored, "delivered", revision), 0.0)

    def known(stored: StoredRequest) -> bool:
        """Whether the report of `stored` is known: then a request added now is final."""
        session = copy.deepcopy(bench.session)
        return session.request(stored, 0.0).final

    assert [stored.sequence for stored in of if not known(stored)] == [3]


def test_a_report_that_the_feed_does_not_return_is_looked_up_before_anything_is_decided() -> None:
    session = Session("websocket", EPOCH, Lifetime(IDLE_S), 5.0)
    old, new = request(2, "websocket"), request(3, "websocket")
    session.request(old, 5.0)
    session.request(new, 5.1)
    (look_up,) = session.poll(5.2)
    assert look_up == LookUp(session.entries[2])
    assert session.poll(6.0) == [LookUp(session.entries[3])], "it waits for a claim for a while before it is looked up"
    assert session.next_time(6.0) is None or session.next_time(6.0) == float("inf")
    session.apply(LookedUp(session.entries[2], None, answered=False), 7.0)
    assert session.next_time(7.0) == 7.0 + LOOK_AGAIN_S
    assert session.poll(7.0 + LOOK_AGAIN_S) == [LookUp(session.entries[2])]
    session.apply(LookedUp(session.entries[3], None), 9.0)
    assert session.poll(9.0) == [], "the report of the first one is not read yet"
    session.apply(LookedUp(session.entries[2], state(old, "delivered", 7)), 9.0)
    assert session.entries[2].final and session.poll(9.0) == [Begin(session.entries[3])]


def test_an_id_that_was_used_long_ago_is_recognised_by_a_look_up() -> None:
    session = Session("websocket", EPOCH, Lifetime(IDLE_S), 0.0)
    entry = session.request(request(9, "websocket", requestId="r"), 10.0)
    assert session.poll(10.0) == [Begin(entry)]
    assert session.poll(10.0 + LOOK_S) == [LookUp(entry)]
    session.apply(LookedUp(entry, state(request(2, "websocket", requestId="r"), "delivered", 7)), 11.0)
    assert entry.duplicate and session.poll(11.0) == [Stop(entry)]


def test_a_report_that_came_is_not_looked_up() -> None:
    session = Session("websocket", EPOCH, Lifetime(IDLE_S), 5.0)
    stored = request(2, "websocket")
    entry = session.request(stored, 5.0)
    session.report(stored.token, state(stored, "synthesizing", 4), 5.1)
    assert session.poll(5.1) == [Begin(entry)]
    assert not [effect for effect in session.poll(1e6) if isinstance(effect, LookUp)]


def test_a_request_whose_writer_died_before_tidying_is_tidied_after_a_wait() -> None:
    bench = Bench()
    bench.ask(2)
    bench.report(2, "delivered")
    assert bench.poll() == []
    bench.now = 5.0
    assert bench.poll() == ["Tidy 2"]
    assert bench.poll() == []
    bench.now = 10.0
    assert bench.poll() == ["Tidy 2"], "repeated until it is done"
    bench.tidied(2)
    bench.now = 99.0
    assert bench.poll() == [] and bench.session.idle
    assert done(bench.session) == {2}
    bench.session.forget(0)
    assert not bench.session.entries and bench.session.may_ack(2, 0)
    bench.session.forget(2)
    assert bench.session.may_ack(2, 2), "a read has shown that it is deleted"


def test_a_claimed_request_that_was_deleted_does_not_keep_the_session() -> None:
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
    bench.tidied(2)
    bench.now = 4 * CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [2, 2]


def test_wakeups_of_requests_that_others_end_may_be_acked() -> None:
    bench = Bench()
    bench.ask(2, "http")
    bench.ask(3, "websocket")
    bench.ask(4, None)
    bench.ask(5, "none")
    assert done(bench.session) == {2}, "no synth has claimed 5"
    bench.report(5, "synthesizing", "none")
    assert done(bench.session) == {2, 5}
    bench.report(4, "synthesizing", "http")
    assert done(bench.session) == {2, 4, 5}
    assert not bench.session.idle


@pytest.mark.parametrize(
    ("transport", "status", "epoch", "leaves"),
    [
        ("websocket", "delivering", EPOCH + 1, True),
        ("websocket", "synthesizing", EPOCH + 1, True),
        ("websocket", "delivering", EPOCH, False),
        ("websocket", "delivering", EPOCH - 1, False),
        ("websocket", "delivered", EPOCH + 1, False),  # its writer may have ended
        ("http", "delivering", EPOCH + 1, False),  # the owner of the other kind of bridge
    ],
)
def test_an_owner_leaves_when_a_report_shows_one_with_a_higher_epoch(
    transport: Transport, status: Status, epoch: int, leaves: bool
) -> None:
    bench = Bench()
    of = bench.ask(2, transport)
    bench.ask(3)
    bench.session.report(of.token, state(of, status, 1, epoch=epoch), bench.now)
    assert (bench.session.lifetime.leave_reason is not None) == leaves
    if leaves:
        bench.ask(4, ttlSeconds=1)
        bench.now = 1e6
        assert bench.session.poll(bench.now) == [], "an owner that leaves writes nothing more"
    assert bench.session.over(bench.now, current=True) == leaves


def test_the_report_of_a_request_without_a_claimed_transport_does_not_make_an_owner_leave() -> None:
    bench = Bench()
    of, unknown = bench.ask(2, None), request(9)
    bench.session.report(of.token, ReportState(of.report("queued").with_(epoch=EPOCH + 1), 1, 0.0), bench.now)
    bench.session.report(unknown.token, state(unknown, "delivering", 2, epoch=EPOCH + 1), bench.now)
    assert bench.session.lifetime.leave_reason is None


# ---- outcomes


@pytest.mark.parametrize("purpose", list(Purpose))
def test_an_owner_leaves_when_its_report_is_refused_because_of_a_higher_epoch(purpose: Purpose) -> None:
    bench = Bench()
    of = bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    bench.written(2, purpose, Verdict.SUPERSEDED, state(of, "delivering", 9, epoch=EPOCH + 1))
    assert bench.session.lifetime.leave_reason is not None
    bench.delivery_ends(2)
    assert bench.poll() == [] and bench.session.over(bench.now, current=True)


def test_an_end_that_is_refused_lets_the_request_go_on() -> None:
    """It was claimed meanwhile: it is begun in its turn."""
    bench = Bench()
    of = bench.ask(2, None, ttlSeconds=1)
    bench.now = 1 + EXPIRY_GRACE_S
    assert bench.poll() == ["End 2 expired"]
    bench.written(2, Purpose.END, Verdict.FINAL, state(of, "synthesizing", 1, "websocket"))
    assert bench.poll() == ["Begin 2"]


def test_an_abandoned_request_that_was_claimed_meanwhile_is_begun_again() -> None:
    bench = Bench()
    of = bench.ask(2, ttlSeconds=1)
    assert bench.poll() == ["Begin 2"]
    bench.now = 1 + EXPIRY_GRACE_S
    assert bench.poll() == ["Abandon 2", "End 2 expired"]
    bench.written(2, Purpose.END, Verdict.FINAL, state(of, "synthesizing", 1))
    assert bench.poll() == ["Begin 2"]


def test_an_end_that_another_process_wrote_first_is_not_repeated() -> None:
    bench = Bench()
    of = bench.ask(2, ttlSeconds=1)
    bench.session.cancel(cancel(3))
    assert bench.poll() == ["End 2 cancelled"]
    bench.written(2, Purpose.END, Verdict.FINAL, state(of, "expired", 1))
    assert bench.poll() == []
    bench.now = TIDY_AFTER_S
    assert bench.effects() == [Tidy(bench.entry(2))]


@pytest.mark.parametrize("purpose", [Purpose.CHECKPOINT, Purpose.FENCE])
def test_a_checkpoint_of_a_stopped_delivery_does_not_begin_it_again(purpose: Purpose) -> None:
    bench = Bench()
    of = bench.ask(2)
    bench.report(2, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    bench.session.cancel(cancel(3))
    assert bench.poll() == ["Stop 2"]
    bench.written(2, purpose, Verdict.WRITTEN, state(of, "delivering", 9, epoch=EPOCH))
    assert bench.poll() == [] and bench.entry(2).stage is Stage.ENDING


def test_a_delivery_that_ended_without_a_final_report_is_begun_again() -> None:
    bench = Bench()
    bench.ask(2)
    assert bench.poll() == ["Begin 2"] and bench.poll() == []
    bench.delivery_ends(2)
    assert bench.poll() == ["Begin 2"]


@pytest.mark.parametrize("purpose", [Purpose.DELIVERY_END, Purpose.END])
def test_this_owners_final_report_is_tidied_at_once(purpose: Purpose) -> None:
    """And once: the machine returns `Tidy` again only after TIDY_AFTER_S seconds without an outcome."""
    bench = Bench()
    of = bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    bench.written(2, purpose, Verdict.WRITTEN, state(of, "delivered", 9, epoch=EPOCH))
    bench.delivery_ends(2)
    entry = bench.entry(2)
    assert [x for x in bench.effects() if isinstance(x, Tidy)] == [Tidy(entry, just_written=True)]
    bench.now += TIDY_AFTER_S - 0.1
    assert bench.effects() == []
    bench.now += 0.2
    assert bench.effects() == [Tidy(entry)]


def test_a_checkpoint_is_not_tidied() -> None:
    bench = Bench()
    of = bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    bench.written(2, Purpose.CHECKPOINT, Verdict.WRITTEN, state(of, "delivering", 9, epoch=EPOCH))
    assert bench.poll() == []


def test_failed_tidying_is_repeated_after_a_second() -> None:
    bench = Bench()
    bench.ask(2)
    bench.report(2, "delivered")
    bench.session.apply(TidyFailed(bench.session.entries[2]), bench.now)
    bench.now = TIDY_AGAIN_S - 0.1
    assert bench.poll() == []
    bench.now = TIDY_AGAIN_S
    assert bench.poll() == ["Tidy 2"]


def test_a_written_final_report_applies_before_the_feed_returns_it() -> None:
    bench = Bench()
    bench.ask(2)
    bench.ask(3)
    bench.report(3, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    entry = bench.session.entries[2]
    bench.written(2, Purpose.DELIVERY_END, Verdict.WRITTEN, state(entry.stored, "delivered", 9, epoch=EPOCH))
    bench.delivery_ends(2)
    assert bench.poll() == ["Tidy 2", "Begin 3"]


@pytest.mark.parametrize(
    ("status", "taken_over", "fence"),
    [("synthesizing", False, False), ("delivering", False, True), ("synthesizing", True, True), (None, True, True)],
)
def test_a_fence_is_needed_if_an_earlier_owner_may_still_run(
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


@given(st.permutations([30.0, 10.0, 20.0]))
def test_a_request_keeps_the_time_of_the_first_cancel_that_covers_it(times: list[float]) -> None:
    bench = Bench()
    bench.ask(2)
    bench.session.cancel(cancel(3, b'{"requestId":"other"}', stored_at_s=1.0))
    assert not bench.entry(2).cancelled and bench.entry(2).cancelled_at_s is None
    for stored_at_s in times:
        bench.session.cancel(cancel(int(stored_at_s), stored_at_s=stored_at_s))
    assert bench.entry(2).cancelled and bench.entry(2).cancelled_at_s == 10.0


def test_a_refused_report_of_a_forgotten_request_makes_the_owner_leave_too() -> None:
    bench = Bench()
    of = bench.ask(2)
    assert bench.poll() == ["Begin 2"]
    entry = bench.entry(2)
    bench.tidied(2)
    bench.session.forget(2)
    refused = state(of, "delivering", 9, epoch=EPOCH + 1)
    bench.session.apply(ReportWritten(entry, Purpose.DELIVERY_END, Verdict.SUPERSEDED, refused), bench.now)
    assert bench.session.lifetime.leave_reason is not None


def test_a_session_is_released_when_it_is_idle_and_the_feed_is_current() -> None:
    bench = Bench()
    assert not bench.session.over(0.0, current=False) and bench.session.next_time(0.0) is None
    assert not bench.session.over(2 * IDLE_S, current=True), "the idle time begins when the feed is current"
    assert bench.session.next_time(2 * IDLE_S) == 3 * IDLE_S
    bench.ask(2, ttlSeconds=3600)
    assert not bench.session.over(3 * IDLE_S, current=True)
    assert bench.poll() == ["Begin 2"]
    bench.delivered(2)
    bench.tidied(2)
    assert not bench.session.over(4 * IDLE_S, current=True)
    assert bench.session.over(5 * IDLE_S, current=True)


def test_an_owner_leaves_although_the_report_with_a_higher_epoch_is_the_first_to_name_the_transport() -> None:
    bench = Bench()
    of = bench.ask(2, None)
    bench.session.report(of.token, state(of, "delivering", 9, "websocket", epoch=EPOCH + 1), bench.now)
    assert bench.poll() == [] and bench.session.lifetime.leave_reason is not None


def test_an_owner_leaves_although_the_report_with_a_higher_epoch_is_read_before_its_request() -> None:
    bench = Bench()
    of = request(2, "websocket")
    bench.session.report(of.token, state(of, "delivering", 9, epoch=EPOCH + 1), bench.now)
    bench.session.request(of, bench.now)
    assert bench.poll() == [] and bench.session.lifetime.leave_reason is not None


def test_an_unclaimed_request_that_was_deleted_fails_and_does_not_block_later_ones() -> None:
    """Nobody can claim it any more. Its delivery may have begun: it waits for a claim."""
    bench = Bench()
    bench.ask(2, ttlSeconds=3600)
    bench.ask(3, ttlSeconds=3600)
    bench.ask(4, ttlSeconds=3600)
    bench.report(4, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    bench.now = CHECK_STORED_S
    assert bench.effects() == [CheckStored(bench.entry(2))], "one at a time, however long the queue is"
    bench.session.apply(NotStored(bench.entry(2)), bench.now)
    failed = session_errors.deleted()
    assert bench.effects() == [
        Abandon(bench.entry(2)),
        End(bench.entry(2), "failed", failed, exact=True),  # at revision 0: a claim that is written meanwhile counts
        CheckStored(bench.entry(3)),
    ]
    bench.session.apply(NotStored(bench.entry(3)), bench.now)
    assert bench.effects() == [End(bench.entry(3), "failed", failed, exact=True)]
    for sequence in (2, 3):
        of = bench.asked[sequence]
        bench.written(sequence, Purpose.END, Verdict.WRITTEN, state(of, "failed", 90 + sequence, epoch=EPOCH))
    assert bench.poll() == ["Tidy 2", "Tidy 3", "Begin 4"]


def test_a_claimed_request_that_was_deleted_is_delivered() -> None:
    """Its audio is stored. If it is not, the delivery ends it as stalled."""
    bench = Bench()
    bench.ask(2, ttlSeconds=3600)
    bench.ask(3, ttlSeconds=3600)
    bench.report(2, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    bench.now = CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [3]
    bench.report(3, "synthesizing")
    bench.session.apply(NotStored(bench.entry(3)), bench.now)
    bench.now = 10 * CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [3]
    bench.delivered(2)
    assert "Begin 3" in bench.poll()


def test_a_request_whose_final_report_is_lost_does_not_block_for_ever() -> None:
    """Its bridge lives, and has ended it: nobody ends it again."""
    bench = Bench()
    bench.ask(2, "http", ttlSeconds=3600)
    bench.ask(3, ttlSeconds=3600)
    bench.report(2, "synthesizing", "http")
    bench.report(3, "synthesizing")
    assert bench.poll() == [], "its turn begins"
    bench.now = STUCK_S
    while bench.now <= STUCK_S + ABANDONED_S + (STUCK_LOOKS - 1) * INSPECT_EVERY_S:
        assert bench.poll() == ["Inspect 2"] and not bench.checked
        bench.inspected(2, undelivered=False)
        bench.now += INSPECT_EVERY_S
    assert bench.poll() == ["Inspect 2"]
    bench.inspected(2, undelivered=False)
    assert bench.poll() == ["End 2 failed"]


def test_that_for_which_all_wait_is_looked_for_first() -> None:
    """A request of transport `none`, or a duplicate, is before it and stays long: nobody waits for that."""
    bench = Bench()
    bench.ask(2, "none", ttlSeconds=3600)
    bench.report(2, "synthesizing", "none")
    bench.ask(3, ttlSeconds=3600)
    bench.ask(4, ttlSeconds=3600)
    bench.report(4, "synthesizing")
    assert bench.poll() == ["Begin 3"]
    bench.now = CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [3]


def test_a_duplicate_that_was_deleted_does_not_keep_the_session() -> None:
    bench = Bench()
    bench.ask(2, "http", requestId="same")
    bench.report(2, "synthesizing", "http")
    bench.ask(3, "websocket", requestId="same")
    assert bench.entry(3).duplicate
    bench.now = CHECK_STORED_S
    assert bench.poll() == [] and bench.checked == [3]
    bench.session.apply(NotStored(bench.entry(3)), bench.now)
    assert bench.entry(3).closed


def test_after_a_loss_of_all_requests_unclaimed_ones_are_looked_for_soon_and_claimed_ones_go_on() -> None:
    bench = Bench()
    bench.ask(2, ttlSeconds=3600)
    bench.ask(3, ttlSeconds=3600)
    bench.report(2, "synthesizing")
    assert bench.poll() == ["Begin 2"]
    bench.now = 5.0
    bench.session.requests_lost(bench.now)
    bench.ask(7)
    bench.now = 5.0 + LOST_GRACE_S
    assert bench.poll() == [] and bench.checked == [3], "synth may still hold 2, and 7 came later"
    bench.now += 1
    assert bench.poll() == [] and bench.checked == [3], "once"


def test_a_deleted_request_is_noticed_before_the_other_bridge_calls_its_followers_stuck() -> None:
    assert LOST_GRACE_S < CHECK_STORED_S < STUCK_S / 1.5
