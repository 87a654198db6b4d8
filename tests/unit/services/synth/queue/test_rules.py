"""The rules of synth's queue: which request is next, and the decision about a delivered request."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.audio_messages import EndError
from orastream.contract.messages import Report, ReportError, Status
from orastream.contract.stored_requests import StoredRequest, read_stored
from orastream.jetstream.peer_watch import HOLDS_LIFE_S, PeerWatch
from orastream.jetstream.peers import CONFIRM_CLUSTER_S, PROBE_EVERY_S
from orastream.jetstream.topology import SYNTH_ACK_WAIT_S
from services.synth.job.abort_watch import ends_it, error_of
from services.synth.job.hold import KEEP_EVERY_S
from services.synth.queue.admission import Admission, ClaimAnswers, admit
from services.synth.queue.fair_queue import MAX_REMEMBERED, FairQueue
from services.synth.queue.rescue import MARK_S
from tests.support.names import NAMES

pytestmark = pytest.mark.unit


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40))))
def test_queue_alternates_between_sessions_in_the_order_of_each_session(items: list[tuple[str, int]]) -> None:
    turns: FairQueue[tuple[str, int]] = FairQueue()
    for session, sequence in items:
        turns.put(session, sequence, (session, sequence))
    waiting = {session: sorted({q for s, q in items if s == session}) for session in "abc"}
    assert len(turns) == sum(map(len, waiting.values()))
    taken: list[tuple[str, int]] = []
    while (item := turns.take()) is not None:
        taken.append(item)
    assert {s: [q for t, q in taken if t == s] for s in "abc"} == waiting
    for session in "abc":
        places = [place for place, (taker, _) in enumerate(taken) if taker == session]
        for before, after in itertools.pairwise(places):
            between = [s for s, _ in taken[before + 1 : after]]
            assert len(between) == len(set(between)), "another session had two turns between two turns of this one"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40))), st.integers(0, 12), st.integers(0, 5))
def test_surplus_returns_the_items_that_take_would_return_last(
    items: list[tuple[str, int]], keep: int, before: int
) -> None:
    """The kept items are those that `take` would return next, in the same order; each other one is returned once."""
    turns, twin = FairQueue[tuple[str, int]](), FairQueue[tuple[str, int]]()
    for session, sequence in items:
        for one in (turns, twin):
            one.put(session, sequence, (session, sequence))
    for _ in range(before):
        assert turns.take() == twin.take()
    surplus = turns.surplus(keep)
    expected = [item for _ in range(len(twin)) if (item := twin.take()) is not None]
    assert len(turns) == min(keep, len(expected))
    kept = [item for _ in range(len(turns)) if (item := turns.take()) is not None]
    assert kept == expected[:keep]
    assert sorted(surplus) == sorted(expected[keep:])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 40)), unique=True), st.integers(0, 12))
def test_items_that_may_not_begin_stay_behind_and_are_the_first_surplus(
    items: list[tuple[str, int]], keep: int
) -> None:
    """Odd ones may not begin. Each session keeps its order: what is behind an odd one of its session waits, too."""
    turns, twin = FairQueue[tuple[str, int]](), FairQueue[tuple[str, int]]()
    for session, sequence in items:
        for one in (turns, twin):
            one.put(session, sequence, (session, sequence))

    def may(item: tuple[str, int]) -> bool:
        return item[1] % 2 == 0

    taken = []
    while (item := turns.take(may)) is not None:
        taken.append(item)
    for session in "abc":
        mine = sorted(sequence for owner, sequence in items if owner == session)
        first_odd = next((place for place, sequence in enumerate(mine) if sequence % 2), len(mine))
        assert [sequence for owner, sequence in taken if owner == session] == mine[:first_odd]
    in_order = [(session, sequence) for session, sequence, _ in twin.in_order(may)]
    assert in_order[: len(taken)] == taken, "the order is not that in which they are taken"
    assert twin.can_take(may) == bool(taken)
    stays = {item for item in in_order[::3]}
    surplus = twin.surplus(keep, may, stays.__contains__)
    assert surplus == [item for item in in_order[keep:] if item not in stays]
    assert sorted(surplus + twin.all()) == sorted(items)


OWNERS = {"a": "one", "b": "one", "c": "one", "d": "two", "e": "three"}


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 40)), unique=True), st.integers(0, 6))
def test_callers_alternate_however_many_sessions_each_has(items: list[tuple[str, int]], before: int) -> None:
    turns, twin = FairQueue[tuple[str, int]](), FairQueue[tuple[str, int]]()
    for session, sequence in items:
        for one in (turns, twin):
            one.put(session, sequence, (session, sequence), OWNERS[session])
    for _ in range(before):
        assert turns.take() == twin.take()
    in_order = [(session, sequence) for session, sequence, _ in twin.in_order()]
    taken = []
    while (item := turns.take()) is not None:
        taken.append(item)
    assert taken == in_order
    callers = [OWNERS[session] for session, _ in taken]
    for caller in set(callers):
        places = [place for place, taker in enumerate(callers) if taker == caller]
        for first, second in itertools.pairwise(places):
            between = callers[first + 1 : second]
            assert len(between) == len(set(between)), "another caller had two turns between two turns of this one"
            assert set(callers[second:]) <= {caller, *between}, "a caller with waiting items had no turn in a round"


def test_session_of_two_callers_keeps_its_order() -> None:
    turns: FairQueue[str] = FairQueue()
    turns.put("s", 2, "second", "two")
    turns.put("s", 1, "first", "one")
    assert (turns.take(), turns.take(), turns.take()) == ("first", "second", None)


def test_discard_takes_out_only_that_item() -> None:
    turns: FairQueue[list[int]] = FairQueue()
    first, again = [1], [1]
    turns.put("a", 1, first)
    assert not turns.discard("b", 1, first) and not turns.discard("a", 2, first)
    turns.put("a", 1, again)
    assert not turns.discard("a", 1, first), "a newer delivery of the same message"
    assert turns.discard("a", 1, again) and turns.take() is None


def test_redelivered_item_keeps_its_place() -> None:
    turns: FairQueue[str] = FairQueue()
    for number in range(3):
        turns.put("a", number, f"a{number}")
    turns.put("b", 10, "b")
    turns.put("c", 11, "c")
    assert turns.surplus(2) == ["c", "a1", "a2"]
    assert (turns.take(), turns.take()) == ("a0", "b")
    for number in range(1, 3):
        turns.put("a", number, f"a{number}")
    turns.put("c", 11, "c")
    assert turns.take() == "c", "an item that was put again lost its place"
    assert turns.take() == "a1"


def test_queue_remembers_a_bounded_number_of_sessions() -> None:
    turns: FairQueue[int] = FairQueue()
    turns.put("held", 0, 0, "held")
    for number in range(1, 3 * MAX_REMEMBERED):
        turns.put(f"s{number}", number, number, f"c{number}")
        assert turns.take() is not None
        assert max(len(turns._places), len(turns._caller_places)) <= MAX_REMEMBERED + 2


def test_clear_returns_every_item_once() -> None:
    turns: FairQueue[int] = FairQueue()
    turns.put("a", 1, 1)
    turns.put("a", 1, 11)
    turns.put("b", 2, 2)
    assert sorted(turns.all()) == [2, 11]
    assert sorted(turns.clear()) == [2, 11]
    assert len(turns) == 0 and turns.take() is None


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("status", ["synthesizing", "delivering", "delivered", "cancelled", "failed", "expired"])
def test_admit_checks_the_answers_in_the_documented_order(
    stored: bool, cancelled: bool, ours: bool, status: str
) -> None:
    report = Report.model_validate(
        {"requestId": "r", "sessionId": "s", "requestSeq": 7 if ours else 3, "status": status}
    )
    admission = admit(ClaimAnswers(7, stored, cancelled, report))
    if not stored:
        assert admission is Admission.GONE
    elif not ours:
        assert admission is Admission.DUPLICATE
    elif report.final:
        assert admission is Admission.FINAL
    elif cancelled:
        assert admission is Admission.CANCELLED
    else:
        assert admission is Admission.OURS


@pytest.mark.parametrize(
    ("status", "ends"),
    [
        ("synthesizing", False),
        ("delivering", False),
        ("delivered", False),  # its `end` is stored: there is nothing to stop
        ("failed", True),
        ("cancelled", True),
        ("expired", True),
    ],
)
def test_final_report_ends_only_the_speech_of_its_own_request(status: Status, ends: bool) -> None:
    payload = b'{"text":"a","sessionId":"s","phoneId":"p","requestId":"r"}'
    stored = read_stored(NAMES, NAMES.session_request("s"), 7, 0.0, payload, max_text_chars=100)
    assert isinstance(stored, StoredRequest)
    report = stored.report(status)
    assert ends_it(report, stored) == ends
    assert not ends_it(report.with_(request_seq=6), stored), (
        "the report of an older request with the same id ended the speech"
    )


def test_error_of_returns_the_error_of_the_report() -> None:
    report = Report(request_id="r", session_id="s", phone_id="p", request_seq=7, status="cancelled")
    assert error_of(None) is None and error_of(report) is None
    failed = report.with_(status="failed", error=ReportError.of("oraserver_unreachable", "gone"))
    assert error_of(failed) == EndError("oraserver_unreachable", "gone")


def test_what_a_dead_synth_held_is_handed_back_after_the_wait_in_a_cluster_and_before_the_redelivery() -> None:
    """It was not if the wait and the probes together took longer than its last known deliveries counted (3 s)."""
    watch, last_probe = PeerWatch("a", CONFIRM_CLUSTER_S), 100.0
    watch.connected(0.0)
    watch.heard("b", ("$JS.ACK.b",), last_probe)
    at, held = last_probe, None
    while held is None:
        at += PROBE_EVERY_S * 1.05  # a probe that is answered takes a while, too
        held = watch.refused("b", at)
    assert held == ("$JS.ACK.b",)
    assert at - last_probe + PROBE_EVERY_S <= HOLDS_LIFE_S
    # Its last progress reached the server at most KEEP_EVERY_S before its last sign of life (0.2 s on the way).
    assert HOLDS_LIFE_S + MARK_S + 0.2 <= SYNTH_ACK_WAIT_S - KEEP_EVERY_S
