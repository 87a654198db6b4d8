"""The oracle of the chaos suite: an honest history has no violation, and each kind of violation is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.composed.example_run import Run, an_honest_run, parts, request_of
from tests.chaos.composed.history import Disturbance, Request, Usage
from tests.chaos.composed.oracle import CANCEL_S, LATE_FRAME_S

pytestmark = pytest.mark.unit


def test_an_honest_run_has_no_violation() -> None:
    run = an_honest_run()
    run.history.last_reports = [report for report in run.history.reports if report.final]
    assert run.judge() == []


def without_final(run: Run) -> None:
    run.history.reports = [r for r in run.history.reports if r.request != "a"]


def second_final(run: Run) -> None:
    run.report(request_of(run, "a"), "failed", error={"code": "internal", "message": ""})


def overwritten(run: Run) -> None:
    run.report(request_of(run, "a"), "delivering")


def changed_at_the_end(run: Run) -> None:
    run.history.last_reports = [replace(run.history.reports[0], seq=5000, body={"status": "failed", "requestSeq": 101})]


def other_answer(run: Run) -> None:
    request_of(run, "a").answer = {"status": "failed"}


def cancelled_without(run: Run) -> None:
    run.history.cancels.clear()


def cancelled_by_an_earlier_one(run: Run) -> None:
    run.cancel()
    run.report(run.ask("later"), "cancelled")


def failed_without(run: Run) -> None:
    run.report(run.ask("later"), "failed", error={"code": "synth_stalled", "message": ""})


def expired_early(run: Run) -> None:
    request = run.ask("later")
    run.tick(request.ttl_s - 1)
    run.report(request, "expired", error={"code": "expired", "message": ""})


def expired_although_claimed(run: Run) -> None:
    request = run.ask("later")
    run.report(request, "synthesizing")
    run.tick(request.ttl_s)
    run.report(request, "expired", error={"code": "expired", "message": ""})


def missing_chunk(run: Run) -> None:
    del run.history.frames[1]


def missing_last_chunk(run: Run) -> None:
    a = request_of(run, "a")
    last = max(f.index for f in run.history.frames if f.key == a.key and f.kind == "chunk")
    run.history.frames = [f for f in run.history.frames if (f.key, f.kind, f.index) != (a.key, "chunk", last)]


def missing_complete(run: Run) -> None:
    run.history.frames = [f for f in run.history.frames if f.kind != "complete"]


def missing_post(run: Run) -> None:
    run.history.frames = [f for f in run.history.frames if f.kind != "post"]


def refused_post(run: Run) -> None:
    next(f for f in run.history.frames if f.kind == "post").status = 503


def wrong_post(run: Run) -> None:
    next(f for f in run.history.frames if f.kind == "post").digest = "other"


def wrong_chunk(run: Run) -> None:
    run.history.frames[2].digest = "other"


def other_repeat(run: Run) -> None:
    first = run.history.frames[1]
    run.history.frames.append(replace(first, digest="other", sent_at=first.sent_at + 0.05))


def other_stored(run: Run) -> None:
    stored = run.history.audio["s", "a"]
    run.history.audio["s", "a"] = replace(stored, chunks=stored.chunks[:-1])


def stored_without_end(run: Run) -> None:
    stored = run.history.audio["s", "c"]
    run.history.audio["s", "c"] = replace(stored, end=None)


def late_frame(run: Run) -> None:
    final = next(r for r in run.history.reports if r.request == "a" and r.final)
    run.now = final.stored_at + LATE_FRAME_S + 0.01
    run.frame(request_of(run, "a"), "chunk", 0, parts("text a")[0])


def spoken_after_cancel(run: Run) -> None:
    run.now += 100
    request = run.ask("later")
    run.cancel()
    run.tick(CANCEL_S + 0.1)
    run.speak(request)
    run.report(request, "delivered")


def not_fenced(run: Run) -> None:
    request = run.ask("later")
    pieces = parts(request.text)
    run.report(request, "delivering", epoch=5)
    run.frame(request, "chunk", 0, pieces[0])
    run.frame(request, "chunk", 1, pieces[1], bridge="ws_bridge-2")
    run.report(request, "delivering", epoch=9)
    run.cancel()
    run.report(request, "cancelled", epoch=9)


def out_of_order(run: Run) -> None:
    first, second = run.ask("first"), run.ask("second")
    run.speak(second)
    run.report(second, "delivered")
    run.speak(first)
    run.report(first, "delivered")


def before_a_cancelled_one(run: Run) -> None:
    first, second = run.ask("first"), run.ask("second", transport="http")
    run.cancel(request="first")
    run.speak(second)
    run.report(first, "cancelled")
    run.report(second, "delivered")


def unknown(run: Run) -> None:
    run.frame(Request("s", "nobody", "websocket", "wav", "x", 0.0), "chunk", 0, b"x")


def growing(run: Run) -> None:
    run.history.aftermath.before = [Usage("synth-1", 100.0, 20)]
    run.history.aftermath.after = [Usage("synth-1", 300.0, 100)]


def slow(run: Run) -> None:
    run.history.aftermath.latency_before_s = [0.2, 0.2, 0.3]
    run.history.aftermath.latency_after_s = [0.2, 3.0, 4.0]


def leftovers(run: Run) -> None:
    run.history.aftermath.requests = 1
    run.history.aftermath.cancels = 2
    run.history.aftermath.unacked = {"synth": 0, "ws_bridge": 3}
    run.history.aftermath.owners_alive = ["ws_bridge.s"]
    run.history.aftermath.unready = ["synth-1"]
    run.history.aftermath.broken_rules = {"base64": 1}


@pytest.mark.parametrize(
    ("breaks", "rules"),
    [
        (without_final, {"no final report"}),
        (second_final, {"two final reports", "numbers of a report fall"}),
        (overwritten, {"a final report was overwritten", "numbers of a report fall"}),
        (changed_at_the_end, {"two final reports", "numbers of a report fall"}),
        (other_answer, {"a caller got another report than is stored"}),
        (cancelled_without, {"cancelled without a cancel"}),
        (cancelled_by_an_earlier_one, {"cancelled without a cancel"}),
        (failed_without, {"failed without a reason"}),
        (expired_early, {"expired too early"}),
        (expired_although_claimed, {"expired without a reason"}),
        (missing_chunk, {"wrong bytes were sent", "delivered, but not received", "counted before it was received"}),
        (missing_last_chunk, {"delivered, but not received", "counted before it was received"}),
        (missing_complete, {"delivered, but not received"}),
        (missing_post, {"delivered, but not received"}),
        (refused_post, {"delivered, but not received"}),
        (wrong_post, {"wrong bytes were sent"}),
        (wrong_chunk, {"wrong bytes were sent"}),
        (other_repeat, {"a repeat differs"}),
        (other_stored, {"stored audio differs"}),
        (stored_without_end, {"stored audio differs"}),
        (late_frame, {"a frame after the final report", "went on after a later request had begun"}),
        (spoken_after_cancel, {"spoken after its cancel", "not cancelled in time"}),
        (not_fenced, {"a takeover without a fence"}),
        (out_of_order, {"out of order", "went on after a later request had begun"}),
        (before_a_cancelled_one, {"out of order"}),
        (unknown, {"sent without a request"}),
        (growing, {"descriptors grow", "memory grows"}),
        (slow, {"latency did not come back"}),
        (
            leftovers,
            {
                "requests stay stored",
                "cancels stay stored",
                "unacked messages",
                "owner records stay",
                "a process is not ready",
                "protocol v1 was broken",
            },
        ),
    ],
)
def test_each_violation_is_found(breaks: Callable[[Run], None], rules: set[str]) -> None:
    run = an_honest_run()
    breaks(run)
    assert {violation.rule for violation in run.judge()} == rules


def test_a_loss_permits_what_the_contract_says_and_nothing_else() -> None:
    run = an_honest_run()
    run.now += 100
    run.ask("lost")  # has no final report
    again = run.ask("again", session="x")
    run.speak(again)
    run.report(again, "delivered")
    streams = ["TTS_SESSIONS", "TTS_REPORTS", "TTS_AUDIO"]
    run.history.disturbances.append(Disturbance("lost_data", "0", run.now, run.tick(1), lost=streams))
    run.report(again, "delivered")
    assert run.judge() == []
    run.now += 100
    run.ask("after")
    assert {(v.rule, v.request) for v in run.judge()} == {("no final report", "after")}


def test_a_refusing_oraserver_permits_a_failure_at_its_time_only() -> None:
    for distance_s, violations in ((0.0, 0), (60.0, 1)):
        run = an_honest_run()
        run.history.disturbances.append(Disturbance("receiver_403", "oraserver", run.now, run.tick(0.5)))
        run.now += distance_s
        run.report(run.ask("later"), "failed", error={"code": "oraserver_refused", "message": ""})
        assert len(run.judge()) == violations


def test_a_fenced_takeover_and_one_that_was_not_seen_whole_are_no_violation() -> None:
    for fenced in (True, False):
        run = an_honest_run()
        request = run.ask("later")
        pieces = parts(request.text)
        run.report(request, "delivering", epoch=5)
        run.frame(request, "chunk", 0, pieces[0])
        if fenced:
            run.report(request, "delivering", epoch=9)
        else:
            run.next_seq()  # a report that the recorder has missed
        run.frame(request, "chunk", 1, pieces[1], bridge="ws_bridge-2")
        run.report(request, "delivering", epoch=9)
        run.cancel()
        run.report(request, "cancelled", epoch=9)
        assert run.judge() == []


def test_a_frame_that_the_proxy_did_not_take_is_not_late() -> None:
    run = an_honest_run()
    late_frame(run)
    run.history.frames[-1].held_up, run.history.frames[-1].connection = True, 2
    assert run.judge() == []


@given(repeats=st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 0.09)), max_size=8))
def test_repeats_before_the_final_report_are_no_violation(repeats: list[tuple[int, float]]) -> None:
    run = an_honest_run()
    for index, later_s in repeats:
        original = run.history.frames[index]
        run.history.frames.append(replace(original, sent_at=original.sent_at + later_s, connection=2))
    assert run.judge() == []


@given(dropped=st.sets(st.integers(0, 30), min_size=1))
def test_no_frame_of_a_delivered_request_may_be_missing(dropped: set[int]) -> None:
    run = an_honest_run()
    cancelled = ("s", "d")
    gone = [frame for at, frame in enumerate(run.history.frames) if at in dropped and frame.key != cancelled]
    run.history.frames = [frame for frame in run.history.frames if frame not in gone]
    found = {(v.session, v.request) for v in run.judge()}
    assert {frame.key for frame in gone} <= found
