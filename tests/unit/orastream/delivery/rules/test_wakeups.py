"""When a wake-up may be acked: never while the owner has work left for it, and always in the end.

A state machine drives an owner's `Session` and the `FeedMerge` of its feed, as `session_runner.py` does, with a model
of the stream. Live copies are lost, late or repeated; other bridges delete messages that they may delete; wake-ups come
before or after these events.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from orastream.contract.messages import Status
from orastream.contract.report_state import ReportState
from orastream.contract.stored_requests import StoredCancel, StoredRequest, read_stored
from orastream.delivery.rules.lifetime import Lifetime
from orastream.delivery.rules.session import Session
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
from orastream.delivery.rules.session_outcomes import CancelOutcome, LookedUp, Tidied
from orastream.jetstream.feed_merge import FeedMerge
from tests.support.names import NAMES

pytestmark = pytest.mark.unit

StoredMessage = StoredRequest | StoredCancel


class Item:
    """A stored message with the fields that the merge uses."""

    def __init__(self, stored: StoredMessage) -> None:
        self.stored = stored
        kind = NAMES.session_request if isinstance(stored, StoredRequest) else NAMES.session_cancel
        self.subject, self.sequence, self.size = kind("s"), stored.sequence, 1


class Owner(RuleBasedStateMachine):
    """The WebSocket bridge's owner of session `s`."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.last = 0
        self.revision = 0
        self.stored: dict[int, Item] = {}
        self.replica: dict[int, Item] = {}
        self.copies: list[tuple[Item, int]] = []
        self.session = Session("websocket", 1, Lifetime(30.0))
        self.merge: FeedMerge[Item] = FeedMerge(0)
        self.reading = False
        self.on_their_way: list[int] = []
        self.wakeups: set[int] = set()

    # ---- the stream

    def _store(self, subject: str, payload: bytes) -> None:
        self.last += 1
        item = Item(read_stored(NAMES, subject, self.last, 0.0, payload, max_text_chars=100))
        before = max((x.sequence for x in self.stored.values() if x.subject == item.subject), default=0)
        self.stored[self.last] = item
        self.copies.append((item, before))
        self.on_their_way.append(self.last)

    @rule(transport=st.sampled_from([None, "websocket", "http", "none"]), number=st.integers(0, 3))
    def a_request_is_stored(self, transport: str | None, number: int) -> None:
        body = {"text": "a", "sessionId": "s", "phoneId": "p", "requestId": f"r{number}", "transport": transport}
        self._store(NAMES.session_request("s"), json.dumps(body).encode())

    @rule(payload=st.sampled_from([b"", b"{", b'{"requestId":"r0"}', b'{"requestId":"r1"}']))
    def a_cancel_is_stored(self, payload: bytes) -> None:
        self._store(NAMES.session_cancel("s"), payload)

    def _requests(self) -> list[StoredRequest]:
        return [x.stored for x in self.stored.values() if isinstance(x.stored, StoredRequest)]

    def _end(self, of: StoredRequest, status: Status) -> None:
        """Some process writes the final report and deletes the request; this owner receives the report."""
        self.revision += 1
        report = of.report(status, transport=of.stated_transport or "websocket")
        self.session.report(of.token, ReportState(report, self.revision, 0.0), self.now)
        self.stored.pop(of.sequence, None)

    @precondition(lambda self: self._requests())
    @rule(data=st.data(), status=st.sampled_from(["delivered", "failed", "cancelled", "expired"]))
    def a_request_ends_elsewhere(self, data: st.DataObject, status: Status) -> None:
        self._end(data.draw(st.sampled_from(self._requests())), status)

    @rule()
    def another_bridge_deletes_the_cancels_that_it_may(self) -> None:
        lowest = min((of.sequence for of in self._requests()), default=self.last + 1)
        for sequence, item in list(self.stored.items()):
            if isinstance(item.stored, StoredCancel) and sequence < lowest:
                del self.stored[sequence]

    # ---- messages to the owner

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data())
    def a_wakeup_comes(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.on_their_way))
        self.on_their_way.remove(sequence)
        self._woken(sequence)

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def a_wakeup_comes_again(self, data: st.DataObject) -> None:
        self._woken(data.draw(st.integers(1, self.last)))

    def _woken(self, sequence: int) -> None:
        self.wakeups.add(sequence)
        self.merge.exists(sequence)

    @precondition(lambda self: self.copies)
    @rule(lost=st.booleans())
    def a_live_copy_comes(self, lost: bool) -> None:
        item, before = self.copies.pop(0)
        if not lost:
            self._give(self.merge.live(item, before))

    @rule()
    def the_replica_catches_up(self) -> None:
        self.replica = dict(self.stored)

    @rule()
    def a_step_of_a_read(self) -> None:
        """Read a page from the replica, which may lag. If it has no more, read one message from the leader or end."""
        if not self.reading:
            self.merge.begin_read()
            self.reading = True
        page = [x for s, x in sorted(self.replica.items()) if s > self.merge.verified][:2]
        page = page or [x for s, x in sorted(self.stored.items()) if s > self.merge.verified][:1]
        if page:
            self._give(self.merge.page(page))
        else:
            self._give(self.merge.end_read())
            self.reading = False

    def _give(self, items: list[Item]) -> None:
        for item in items:
            if isinstance(item.stored, StoredRequest):
                self.session.request(item.stored, self.now)
            else:
                self.session.cancel(item.stored)

    # ---- a round of the owner

    @rule(passed_s=st.sampled_from([0.0, 1.0, 6.0, 40.0]))
    def a_round(self, passed_s: float) -> None:
        self.now += passed_s
        for effect in self.session.poll(self.now):
            self._carry_out(effect)
        verified = self.merge.verified
        self.session.forget(verified)
        assert all(sequence > verified for sequence in self.session._done._sequences), "kept though a read has shown it"
        for sequence in [s for s in self.wakeups if self.session.may_ack(s, verified)]:
            self.wakeups.remove(sequence)
            self._check_ack(sequence)
            self.session.acked(sequence)

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Begin(entry):
                self._end(entry.stored, "delivered")
                self.session.delivery_ended(entry)
            case Stop(entry) | Abandon(entry):
                raise AssertionError(f"no delivery runs: {entry}")
            case End(entry, status):
                self._end(entry.stored, status)
                self.session.apply(Tidied(entry), self.now)
            case Tidy(entry):
                self.stored.pop(entry.sequence, None)
                self.session.apply(Tidied(entry), self.now)
            case CheckStored(entry):
                if entry.sequence not in self.stored:
                    self.session.apply(Tidied(entry), self.now)
            case DropCancel(sequence):
                if any(of.sequence < sequence for of in self._requests()):
                    self.session.apply(CancelOutcome(sequence, dropped=False), self.now)
                else:
                    self.stored.pop(sequence, None)
                    self.session.apply(CancelOutcome(sequence, dropped=True), self.now)
            case LookUp(entry):
                self.session.apply(LookedUp(entry, None), self.now)
            case _:
                pass

    def _check_ack(self, sequence: int) -> None:
        item = self.stored.get(sequence)
        if item is None:
            return
        assert isinstance(item.stored, StoredRequest), "acked, and the cancel is stored: nobody would delete it"
        others = item.stored.stated_transport in ("http", "none")
        assert others or self.session.entries[sequence].closed, "acked, and the request is stored"

    def teardown(self) -> None:
        """In the end all wake-ups come, all reads complete and all requests end."""
        while self.on_their_way:
            self._woken(self.on_their_way.pop())
        for _ in range(200):
            self.a_step_of_a_read()
            for of in self._requests():
                self._end(of, "failed")
            self.a_round(6.0)
            if not self.wakeups and not self.stored and self.session.idle and not self.reading:
                break
        assert not self.wakeups, f"never acked: {sorted(self.wakeups)}"
        assert self.session.idle and not self.stored


TestOwner = Owner.TestCase
TestOwner.settings = settings(max_examples=150, stateful_step_count=40)
