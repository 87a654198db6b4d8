"""The oracle's rules with exceptions: each finds a violation, and leaves alone what the contract permits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.composed.example_run import Run, an_honest_run, parts, request_of
from tests.chaos.composed.history import Frame, Request
from tests.chaos.composed.oracle import CANCEL_S, LATE_FRAME_S, QUICK_CANCEL_S
from tests.chaos.composed.oracle.afterwards import LEFT_S
from tests.chaos.composed.oracle.facts import ANSWER_S, RECOVERY_S
from tests.chaos.composed.oracle.outcomes import MAX_PENDING

pytestmark = pytest.mark.unit


def error(code: str) -> dict[str, str]:
    return {"code": code, "message": ""}


def frame_of(run: Run, name: str, kind: str, index: int = 0) -> Frame:
    return next(f for f in run.history.frames if (f.request, f.kind) == (name, kind) and index in (f.index, -1))


# ---- one final report


def test_a_request_whose_ack_was_lost_needs_a_final_report_once_it_has_a_report() -> None:
    run = an_honest_run()
    request = run.ask("later")
    request.seq, seq = None, request.seq
    assert run.violations() == set()
    run.report(request, "synthesizing", requestSeq=seq)
    assert run.violations() == {"no final report"}


@pytest.mark.parametrize(("waited_s", "rules"), [(ANSWER_S - 1, set()), (ANSWER_S + 1, {"a caller waited in vain"})])
def test_a_caller_who_waits_learns_of_the_final_report_soon(waited_s: float, rules: set[str]) -> None:
    run = an_honest_run()
    request_of(run, "g").gave_up_at = run.history.reports[-1].stored_at + waited_s
    assert run.violations() == rules
    run.fault("server_stop", "0", 1)
    assert run.violations() == set()


def test_only_a_full_session_is_refused() -> None:
    for others, rules in ((MAX_PENDING, set()), (MAX_PENDING - 1, {"refused although there was room"})):
        run = an_honest_run()
        run.tick(60)
        waiting = [run.ask(f"n{number}", "crowd", "none") for number in range(others)]
        refused = run.ask("refused", "crowd", "none")
        refused.seq, refused.refused_at = None, run.tick()
        run.cancel("crowd")
        cancelled_at = run.now
        for request in waiting:
            run.now = cancelled_at
            run.report(request, "cancelled")
        assert run.violations() == rules


def test_a_report_that_was_stored_after_the_loss_stays() -> None:
    run = an_honest_run()
    run.tick(60)
    before = run.ask("before")
    run.speak(before)
    run.report(before, "delivered")
    run.fault("delete_stream", "TTS_REPORTS", 0.1, lost=["TTS_REPORTS"])
    run.report(before, "delivered")
    assert run.violations() == set()
    after = run.deliver("after")
    run.report(after, "failed", **run.numbers(after, "delivered"))
    assert run.violations() == {"two final reports"}


def test_a_deletion_excuses_something_only_if_it_may_have_happened() -> None:
    """A cluster that answers with an error may delete the stream later."""
    run = an_honest_run()
    run.ask("later")
    loss = run.fault("delete_stream", "TTS_SESSIONS", 0.1, lost=["TTS_SESSIONS"])
    loss.failed = "AssertionError: STREAM.DELETE.TTS_SESSIONS: JetStream system temporarily unavailable"
    assert run.violations() == set()
    loss.lost = []
    assert run.violations() == {"no final report"}


# ---- reasons


def expired(run: Run, after_s: float = 65.0) -> Request:
    request = run.ask("later", session="late")
    run.tick(after_s)
    run.report(request, "expired", error=error("expired"))
    return request


def test_a_request_expires_only_if_synths_were_kept_from_it() -> None:
    run = an_honest_run()
    expired(run)
    assert run.violations() == {"expired without a reason"}
    request = request_of(run, "later")
    for synth, began in (("synth-1", 1.0), ("synth-2", 15.0), ("synth-1", 40.0)):
        run.now = request.sent_at + began
        run.fault("stop", synth, 8.0)
    assert run.violations() == set()


def busy(run: Run, wait_s: float, sessions: int) -> Request:
    """A request that expires while other sessions take turns; each of their requests waits so long for its claim."""
    request = run.ask("later", session="late")
    begin = run.now
    for number in range(60):
        run.now = begin + number
        other = run.ask(f"n{number}", f"busy-{number % sessions}", "none")
        run.tick(wait_s)
        run.report(other, "synthesizing")
        run.speak(other)
        run.report(other, "delivered")
    run.now = begin + 65
    run.report(request, "expired", error=error("expired"))
    return request


def test_an_overloaded_node_lets_requests_expire_but_no_session_without_a_turn() -> None:
    for wait_s, sessions, rules in ((20.0, 30, set()), (1.0, 30, {"expired without a reason"})):
        run = an_honest_run()
        busy(run, wait_s, sessions)
        assert run.violations() == rules
    for restart_s, rules in ((2.0, {"expired without a reason"}), (12.0, set())):
        run = an_honest_run()
        request = busy(run, 20.0, sessions=3)
        run.now = request.sent_at + 1.0
        run.fault("restart", "synth-1", restart_s)
        assert run.violations() == rules, "after a fault of a synth the queues are unequal"


@pytest.mark.parametrize(
    ("stream", "code", "permitted"),
    [
        ("TTS_SESSIONS", "internal", True),
        ("TTS_SESSIONS", "synth_stalled", True),
        ("TTS_SESSIONS", "engine_error", False),
        ("TTS_REPORTS", "internal", False),
        ("TTS_AUDIO", "synth_stalled", True),
        ("TTS_AUDIO", "oraserver_unreachable", False),
    ],
)
def test_a_loss_excuses_only_the_errors_it_can_cause(stream: str, code: str, permitted: bool) -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later")
    run.fault("delete_stream", stream, 0.1, lost=[stream])
    run.report(request, "failed", error=error(code))
    assert run.violations() == (set() if permitted else {"failed without a reason"})


@pytest.mark.parametrize("early_s", [0.5, 3.0])
def test_a_loss_excuses_nothing_that_was_final_before(early_s: float) -> None:
    run = an_honest_run()
    run.report(run.ask("later"), "failed", error=error("internal"))
    run.tick(early_s)
    run.fault("delete_stream", "TTS_SESSIONS", 0.1, lost=["TTS_SESSIONS"])
    assert run.violations() == (set() if early_s < 1 else {"failed without a reason"})


@pytest.mark.parametrize(
    ("kinds", "permitted"),
    [
        (("kill synth-1", "nats_cut synth-2", "exit synth-1"), True),
        (("relay synth-1", "stop synth-2"), True),
        (("nats_cut ws_bridge-1", "nats_hold http_bridge-1", "nats_hole ws_bridge-2"), False),
    ],
)
def test_only_faults_of_synths_and_servers_excuse_an_engine_error(kinds: tuple[str, ...], permitted: bool) -> None:
    run = an_honest_run()
    request = run.ask("later")
    for kind in kinds:
        run.fault(*kind.split(), seconds=1.0)
    run.report(request, "failed", error=error("engine_error"))
    assert ("failed without a reason" in run.violations()) is not permitted


def test_a_cancel_that_was_sent_after_the_final_report_is_no_reason() -> None:
    run = an_honest_run()
    request = run.ask("later")
    run.report(request, "cancelled")
    run.tick()
    run.cancel()
    assert run.violations() == {"cancelled without a cancel"}


# ---- cancels


@pytest.mark.parametrize("transport", ["none", "websocket"])
def test_a_cancelled_request_becomes_final_in_time(transport: str) -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later", transport=transport)
    cancel = run.cancel()
    run.tick(CANCEL_S + 0.1)
    run.report(request, "cancelled")
    assert run.violations() == {"not cancelled in time"}
    assert cancel.accepted_at is not None
    run.now = cancel.accepted_at - RECOVERY_S
    run.fault("nats_hold", "ws_bridge-1", 1.0)
    assert run.violations() == set()


def test_a_post_that_began_before_its_cancel_may_end() -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later", transport="http")
    run.speak(request)
    run.cancel()
    run.tick(CANCEL_S + 1)
    run.report(request, "delivered")
    assert run.violations() == set()


def test_a_cancel_stops_the_frames_at_once_if_nothing_is_disturbed() -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later")
    run.cancel()
    at = run.now
    run.report(request, "cancelled")
    run.now = at + QUICK_CANCEL_S
    run.frame(request, "chunk", 0, parts(request.text)[0])
    assert run.violations() == {"spoken after its cancel"}
    run.now = at - 1
    run.fault("nats_cut", "ws_bridge-1", 0.5)
    assert run.violations() == set()


# ---- delivery


def test_delivered_means_that_oraserver_had_it_before() -> None:
    for name, kind in (("a", "chunk"), ("a", "complete"), ("b", "post")):
        run = an_honest_run()
        final = next(r for r in run.history.reports if r.request == name)
        frame_of(run, name, kind, -1).received_at = final.stored_at + 0.01
        assert "delivered before it was received" in run.violations()


def test_a_repeat_after_the_report_does_not_make_it_early() -> None:
    run = an_honest_run()
    frame = frame_of(run, "a", "complete", -1)
    repeat = replace(frame, sent_at=frame.sent_at + 0.15, received_at=frame.received_at + 0.15, connection=2)
    run.history.frames.append(repeat)
    assert run.violations() == set()


def test_a_post_without_an_answer_was_not_delivered() -> None:
    run = an_honest_run()
    post = frame_of(run, "b", "post")
    post.status = None
    assert run.violations() == {"delivered, but not received"}
    again = replace(post, sent_at=post.sent_at + 0.05, received_at=post.received_at + 0.05, status=200)
    run.history.frames.append(again)
    assert run.violations() == set()


def test_a_report_counts_only_what_was_received() -> None:
    run = an_honest_run()
    request = request_of(run, "d")
    pieces = parts(request.text)
    final = next(r for r in run.history.reports if r.request == "d")
    final.body |= {"deliveredChunks": 2, "bytes": sum(map(len, pieces[:2]))}
    assert run.violations() == set()
    final.body["bytes"] = 1
    assert run.violations() == {"wrong numbers"}
    final.body["deliveredChunks"] = 3
    assert run.violations() == {"counted before it was received"}


@pytest.mark.parametrize(("name", "field"), [("a", "totalChunks"), ("b", "bytes"), ("c", "deliveredChunks")])
def test_the_numbers_of_a_delivered_request_are_those_of_the_file(name: str, field: str) -> None:
    run = an_honest_run()
    next(r for r in run.history.reports if r.request == name).body[field] = 3
    assert run.violations() == {"wrong numbers"}


def test_the_epoch_does_not_fall_and_an_owner_does_not_forget() -> None:
    run = an_honest_run()
    request = run.ask("later")
    size = len(parts(request.text)[0])
    run.report(request, "delivering", epoch=5)
    run.frame(request, "chunk", 0, parts(request.text)[0])
    run.report(request, "delivering", epoch=5, deliveredChunks=1, bytes=size)
    run.report(request, "delivering", epoch=9)  # a new owner, which has not read the last one
    run.cancel()
    ended = run.report(request, "cancelled", epoch=7)  # by a bridge of the other transport
    assert run.violations() == set()
    ended.body["epoch"] = 9
    old = run.report(request, "delivering", epoch=5)
    ended.seq, old.seq = old.seq, ended.seq
    assert run.violations() == {"numbers of a report fall"}
    old.body |= {"epoch": 9, "deliveredChunks": 1, "bytes": size}
    assert run.violations() == {"numbers of a report fall"}


def test_a_loss_of_reports_does_not_change_bytes() -> None:
    for stream, rules in (("TTS_AUDIO", set()), ("TTS_REPORTS", {"a repeat differs"})):
        run = an_honest_run()
        frame = frame_of(run, "a", "chunk", 1)
        run.history.frames.append(replace(frame, digest="other", sent_at=frame.sent_at + 0.05))
        run.now = frame.sent_at
        run.fault("delete_stream", stream, 0.1, lost=[stream])
        assert run.violations() == rules


def test_a_repeated_request_is_spoken_once_under_either_sequence() -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later")
    request.repeats.append(run.next_seq())
    run.speak(request)
    run.report(request, "delivered", requestSeq=request.repeats[0])
    assert run.violations() == set()
    run.history.audio[request.key].other_attempts = 1
    assert run.violations() == {"spoken twice"}
    run.tick(60)
    run.fault("delete_stream", "TTS_REPORTS", 0.1, lost=["TTS_REPORTS"])
    assert run.violations() == {"spoken twice"}
    run.report(request, "synthesizing", requestSeq=request.seq)
    assert "spoken twice" not in run.violations(), "the node has forgotten that it was spoken"
    del run.history.reports[-1], run.history.disturbances[-1]
    run.history.audio[request.key].other_attempts = 0
    run.history.reports[-1].body["requestSeq"] = 1
    assert "a report of another request" in run.violations()


# ---- what must not be sent


def barged_in(run: Run, bridge: str, connection: int) -> Frame:
    """A frame of a cancelled request that came after the next one had begun."""
    earlier, later = run.ask("earlier"), run.ask("later")
    run.cancel(request="earlier")
    run.report(earlier, "cancelled")
    begun = run.tick(0.01)
    run.speak(later)
    run.report(later, "delivered")
    frame = run.frame(earlier, "chunk", 0, parts(earlier.text)[0], bridge=bridge, connection=connection)
    frame.sent_at = frame.received_at = begun + 0.15
    return frame


@pytest.mark.parametrize(("bridge", "connection"), [("ws_bridge-1", 1), ("ws_bridge-1", 2), ("ws_bridge-2", 2)])
def test_nothing_of_an_earlier_request_comes_after_a_later_one_has_begun(bridge: str, connection: int) -> None:
    run = an_honest_run()
    barged_in(run, bridge, connection)
    assert run.violations() == {"went on after a later request had begun"}


@pytest.mark.parametrize(("bridge", "fault"), [("ws_bridge-1", True), ("ws_bridge-2", False)])
def test_what_had_left_its_bridge_before_may_come_later(bridge: str, fault: bool) -> None:
    run = an_honest_run()
    frame = barged_in(run, bridge, 2)
    frame.sent_at -= 0.2
    if fault:
        run.now = frame.sent_at
        run.fault("receiver_stop", "oraserver", 0.1)
    assert run.violations() == set()


def test_one_frame_may_leave_a_bridge_that_was_stopped_before_the_write() -> None:
    run = an_honest_run()
    final = next(r for r in run.history.reports if r.request == "a" and r.final)
    run.now = final.stored_at
    run.fault("stop", "ws_bridge-1", LATE_FRAME_S + 1)
    request = request_of(run, "a")
    frame = run.frame(request, "chunk", 0, parts(request.text)[0], connection=2)
    frame.sent_at = frame.received_at = run.now - 0.05
    run.history.disturbances[-1].ended = run.now - 0.09
    late = {"a frame after the final report", "went on after a later request had begun"}
    assert not late & run.violations()
    run.history.frames.append(replace(frame, sent_at=frame.sent_at + 0.01, received_at=frame.received_at + 0.01))
    assert "a frame after the final report" in run.violations()


# ---- processes and leftovers


@pytest.mark.parametrize(
    ("kind", "detail", "failed", "rules"),
    [
        ("restart", "exit code 0", "", set()),
        ("restart", "exit code 0 after 11.0 s", "", set()),
        ("restart", "exit code 1", "", {"a process ended with an error"}),
        ("rolling", "exit code 0, exit code -11", "", {"a process ended with an error"}),
        ("rolling", "exit code 0 after 1.0 s, exit code 0 after 12.1 s", "", {"a process did not end in time"}),
        ("restart", "", "synth-1 did not end within 20 s of SIGTERM", {"a process did not end"}),
        ("exit", "exit code 0", "", {"a process ended by itself"}),
    ],
)
def test_processes_end_at_a_signal_only_and_soon(kind: str, detail: str, failed: str, rules: set[str]) -> None:
    run = an_honest_run()
    run.fault(kind, "synth-1", 1.0, detail=detail, failed=failed)
    assert run.violations() == rules


def test_what_a_sweep_deletes_is_judged_if_it_had_time() -> None:
    for waited_s, rules in (
        (LEFT_S - 1, set()),
        (LEFT_S, {"pieces of texts stay stored", "owner records of dead bridges stay"}),
    ):
        run = an_honest_run()
        after = run.history.aftermath
        after.texts, after.owners_dead, after.waited_s = 3, ["ws_bridge.s by ws_bridge-1"], waited_s
        assert run.violations() == rules


def test_pieces_of_requests_that_were_lost_may_stay() -> None:
    run = an_honest_run()
    run.fault("delete_stream", "TTS_SESSIONS", 0.1, lost=["TTS_SESSIONS"])
    run.history.aftermath.texts, run.history.aftermath.waited_s = 3, LEFT_S
    assert "pieces of texts stay stored" not in run.violations()


def test_after_a_loss_of_reports_the_other_request_with_its_id_may_get_one() -> None:
    run = an_honest_run()
    run.tick(60)
    request = run.ask("later")
    request.repeats.append(run.next_seq())
    run.speak(request)
    run.report(request, "delivered")
    run.tick(30)
    run.fault("delete_stream", "TTS_REPORTS", 0.1, lost=["TTS_REPORTS"])
    run.tick(1)
    run.report(request, "failed", requestSeq=request.repeats[0], error={"code": "internal", "message": "deleted"})
    assert "a report of another request" not in run.violations()


def test_a_consumer_that_is_missing_is_found() -> None:
    run = an_honest_run()
    run.history.aftermath.missing_consumers = ["synth"]
    assert run.violations() == {"a consumer is missing"}
