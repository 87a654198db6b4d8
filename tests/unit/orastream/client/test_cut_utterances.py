"""Which utterances a cancel has cut, and when what was heard of them is settled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.client.cut_utterances import CutUtterances
from orastream.contract.heard import Heard
from orastream.contract.messages import FINAL, Report, Status, Transport

pytestmark = pytest.mark.unit

CANCEL = 100
MARK = 1_000
"""The last report that was stored before the cancel."""


def report(status: Status, seq: int = 7, request: str = "r", **fields: Any) -> Report:
    return Report(request_id=request, session_id="s", request_seq=seq, status=status, **fields)


def record(seq: int = 7, request: str = "r", *, done: bool = True, cancel: int | None = CANCEL) -> Heard:
    played = {"played_ms": 400, "heard_text": "one", "unheard_text": "two"} if done else {}
    return Heard(
        request_id=request,
        session_id="s",
        request_seq=seq,
        done=done,
        heard_by="sent",
        cancel_seq=cancel if done else None,
        **played,
    )


def cut(*events: Report | Heard, at: int = MARK + 1, request_id: str | None = None) -> CutUtterances:
    """What is known after these events, stored one after the other from sequence `at` on."""
    found = CutUtterances(CANCEL, request_id, reports_before=MARK)
    for sequence, event in enumerate(events, at):
        if isinstance(event, Report):
            found.add_report(event, sequence)
        else:
            found.add_record(event, sequence)
    return found


def test_nothing_is_known_so_nothing_was_cut() -> None:
    assert cut().settled and cut().result() == ()


@pytest.mark.parametrize("status", ["synthesizing", "delivering", "delivered", "cancelled"])
def test_the_record_that_names_the_cancel_is_the_result(status: Status) -> None:
    found = cut(report(status, transport="websocket"), record(done=False))
    assert not found.settled
    found.add_record(record(), MARK + 9)
    assert found.settled and found.result() == (record(),)


@pytest.mark.parametrize("cancel", [None, CANCEL - 1, CANCEL + 1])
def test_a_record_of_another_end_is_settled_and_no_part_of_the_result(cancel: int | None) -> None:
    found = cut(report("delivered", transport="websocket"), record(cancel=cancel))
    assert found.settled and found.result() == ()


@pytest.mark.parametrize("status", ["delivered", "failed", "expired"])
def test_what_ended_by_itself_without_a_record_was_not_cut(status: Status) -> None:
    assert cut(report(status, transport="websocket")).settled and cut(report(status)).result() == ()


@pytest.mark.parametrize("status", ["delivered", "failed"])
def test_what_was_sent_gets_its_first_record_perhaps_after_its_final_report(status: Status) -> None:
    ended = report(status, transport="websocket", sent_seconds=0.6)
    found = cut(ended)
    assert not found.settled and [part.done for part in found.result()] == [False]
    found.add_record(record(done=False), 1)
    assert not found.settled
    found.add_record(record(), 2)
    assert found.settled and found.result() == (record(),)
    assert cut(ended, at=MARK).settled, "its records are as old"
    without_mark = CutUtterances(CANCEL)
    without_mark.add_report(ended, MARK + 1)
    assert without_mark.settled, "else all of the last hour would be waited for whose records were removed"


def test_a_cancelled_request_waits_for_its_record() -> None:
    found = cut(report("cancelled", transport="websocket"))
    assert not found.settled
    (part,) = found.result()
    assert (part.request_seq, part.done, part.heard_by, part.played_ms) == (7, False, "unknown", None)
    found.add_record(record(), 1)
    assert found.settled and found.result() == (record(),)


@pytest.mark.parametrize("event", [None, record(done=False), record(cancel=CANCEL - 50)])
def test_what_was_cancelled_before_this_cancel_is_not_waited_for(event: Heard | None) -> None:
    found = cut(report("cancelled", transport="websocket"), *([event] if event else []), at=MARK)
    assert found.settled and found.result() == ()


def test_without_a_mark_each_cancelled_request_may_have_been_cut() -> None:
    found = CutUtterances(CANCEL)
    found.add_report(report("cancelled", transport="websocket"), 1)
    assert not found.settled


@pytest.mark.parametrize("fields", [{"transport": "http"}, {"transport": "none"}, {"fallback": "http"}])
def test_a_file_is_settled_by_its_final_report(fields: dict[str, Any]) -> None:
    fields = {"transport": "websocket"} | fields
    unknown = record(cancel=None).with_(heard_by="unknown", played_ms=None, heard_text=None, unheard_text=None)
    assert not cut(report("delivering", **fields), unknown).settled
    assert cut(report("delivering", **fields), unknown).result() == (unknown.with_(done=False),)
    for status in FINAL:
        found = cut(report(status, **fields), unknown)
        assert found.settled and found.result() == ((unknown,) if status == "cancelled" else ())
    without = cut(report("cancelled", **fields))
    assert without.settled and without.result() == ()
    assert cut(report("cancelled", **fields), unknown, at=MARK).result() == (), "by an earlier cancel"


def test_a_stored_request_is_waited_for_until_its_report() -> None:
    found = cut()
    found.add_queued("s", "r", 7)
    assert not found.settled and [(part.request_id, part.done) for part in found.result()] == [("r", False)]
    found.add_report(report("failed"), MARK + 1)
    assert found.settled and found.result() == ()


def test_a_record_that_is_done_is_enough_without_a_report() -> None:
    found = cut(record(cancel=None))
    found.add_queued("s", "r", 7)
    assert found.settled and found.result() == ()


def test_a_record_that_names_the_cancel_and_is_not_done_is_not_settled() -> None:
    found = cut(report("cancelled", transport="websocket"), record(done=False).with_(cancel_seq=CANCEL))
    assert not found.settled and [part.done for part in found.result()] == [False]


def test_a_duplicate_never_gets_a_report_and_is_not_waited_for() -> None:
    found = cut(report("delivered", seq=5))
    found.add_queued("s", "r", 7)
    assert found.settled and found.result() == ()


def test_later_requests_and_others_than_the_named_one_do_not_count() -> None:
    later = (report("delivering", seq=CANCEL), record(seq=CANCEL + 1, done=False))
    assert cut(*later).settled and cut(*later).result() == ()
    named = cut(report("delivering", 7, "r"), report("cancelled", 8, "x"), record(8, "x"), request_id="x")
    assert named.settled and [part.request_id for part in named.result()] == ["x"]


def test_an_older_message_that_comes_later_changes_nothing() -> None:
    found = CutUtterances(CANCEL, reports_before=MARK)
    found.add_record(record(), 20)
    found.add_record(record(done=False), 10)
    found.add_report(report("cancelled"), MARK + 5)
    found.add_report(report("delivering"), MARK + 4)
    assert found.settled and found.result() == (record(),)


# ---- any requests, in any order


@dataclass(frozen=True)
class Story:
    """How one request goes: the statuses of its reports and the states of its record, each with its sequence."""

    seq: int
    transport: Transport | None
    fallback: Transport | None
    end: Status
    before: bool
    """Its reports were stored before the cancel."""
    records: tuple[bool, ...]
    """Whether each record is done."""
    cancel: int | None

    @property
    def request(self) -> str:
        return f"r{self.seq}"

    @property
    def is_file(self) -> bool:
        return self.transport in ("http", "none") or self.fallback is not None

    def events(self) -> list[tuple[int, Report | Heard]]:
        first = self.seq if self.before else MARK + self.seq * 10
        more: dict[str, Any] = {"transport": self.transport, "fallback": self.fallback}
        found: list[tuple[int, Report | Heard]] = [
            (first, report("delivering", self.seq, self.request, **more)),
            (first + 1, report(self.end, self.seq, self.request, **more)),
        ]
        for number, done in enumerate(self.records):
            found.append((self.seq * 10 + number, record(self.seq, self.request, done=done, cancel=self.cancel)))
        return found

    @property
    def is_cut(self) -> bool:
        """Whether the result must have it, said in another way than the code."""
        last = record(self.seq, self.request, done=self.records[-1], cancel=self.cancel) if self.records else None
        if self.seq >= CANCEL:
            return False
        if last is not None and last.cancel_seq == CANCEL:
            return True
        if self.end == "cancelled":
            return not self.before and (last is not None if self.is_file else last is None or not last.done)
        return not self.is_file and last is not None and not last.done

    @property
    def waits(self) -> bool:
        return self.seq < CANCEL and self.is_cut and not self.is_file and not (self.records and self.records[-1])


TRANSPORTS = st.sampled_from([*get_args(Transport), None])
STORIES = st.builds(
    Story,
    seq=st.integers(1, 120),
    transport=TRANSPORTS,
    fallback=st.sampled_from([None, None, "http"]),
    end=st.sampled_from(sorted(FINAL)),
    before=st.booleans(),
    records=st.sampled_from([(), (False,), (False, True), (True,), (False, True, True)]),
    cancel=st.sampled_from([None, CANCEL, CANCEL, 50, 101]),
).filter(lambda story: not story.is_file or False not in story.records)  # a record of a file is done from the first on
SESSIONS = st.lists(STORIES, max_size=5, unique_by=lambda story: story.seq)


@given(SESSIONS, st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_in_which_it_becomes_known(stories: list[Story], random: Any) -> None:
    events = [event for story in stories for event in story.events()]
    events += random.choices(events, k=3) if events else []  # some arrive twice
    random.shuffle(events)
    found = CutUtterances(CANCEL, reports_before=MARK)
    for story in random.sample(stories, len(stories) // 2):
        found.add_queued("s", story.request, story.seq)
    for sequence, event in events:
        (found.add_report if isinstance(event, Report) else found.add_record)(event, sequence)  # type: ignore[operator]
    wanted = sorted((story for story in stories if story.is_cut), key=lambda story: story.seq)
    assert [part.request_seq for part in found.result()] == [story.seq for story in wanted]
    assert found.settled == (not any(story.waits for story in stories))
    assert [part.done for part in found.result()] == [not story.waits for story in wanted]


@given(SESSIONS)
def test_only_what_is_not_settled_is_uncertain_at_each_moment(stories: list[Story]) -> None:
    """So a caller whose time is over knows which records it may rely on."""
    found = CutUtterances(CANCEL, reports_before=MARK)
    for story in stories:
        for sequence, event in story.events():
            (found.add_report if isinstance(event, Report) else found.add_record)(event, sequence)  # type: ignore[operator]
            parts = found.result()
            assert all(part.request_seq < CANCEL for part in parts)
            assert found.settled == all(part.done for part in parts)
            for part in parts:
                if part.done and part.cancel_seq != CANCEL:
                    assert any(story.seq == part.request_seq and story.is_file for story in stories)
