"""Bridges and the store with all its faults, breaks, takeovers and restarts: each byte is given once, in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orastream.contract.oraserver.from_server import unpack_from_server
from orastream.contract.oraserver.wire import WireMessage
from services.oraserver.stream_faults import StreamCounts, StreamFaults, StreamMischief
from services.oraserver.v2.answers import CloseConnection
from services.oraserver.v2.connection import BridgeConnection
from services.oraserver.v2.storage import MemoryStorage
from services.oraserver.v2.store import Store
from services.oraserver.v2.terms import StreamTerms
from tests.support.streaming_bridge import BridgeStream, Spoken, StreamingBridge, wav

pytestmark = pytest.mark.unit

SESSIONS = ("s1", "s2")
MAX_FRAMES = 64


class Delivery(RuleBasedStateMachine):
    """One bridge process after the other (a takeover raises the epoch), and one OraServer that may restart."""

    @initialize(
        seed=st.integers(0, 1_000),
        drop=st.sampled_from([0.0, 0.2, 0.6]),
        damage=st.sampled_from([0.0, 0.3]),
        lose=st.sampled_from([0.0, 0.3]),
        again=st.sampled_from([0.0, 0.5]),
        delay=st.sampled_from([0.0, 100.0]),
        real_time=st.booleans(),
        credit=st.sampled_from([4_096, 9_000]),
    )
    def begin(self, seed: int, drop: float, damage: float, lose: float, again: float, **more: Any) -> None:
        self.faults = StreamFaults(
            seed=seed,
            drop_audio=drop,
            damage_audio=damage,
            lose_acks=lose,
            ask_again=again,
            ack_delay_ms=more["delay"],
            real_time=more["real_time"],
        )
        self.terms = StreamTerms(credit=more["credit"], crc=True, played=True)
        self.now = 100.0
        self.storage = MemoryStorage()
        self.counts = StreamCounts()
        self.mischief = StreamMischief(self.faults)
        self.spoken: dict[str, list[Spoken]] = {name: [] for name in SESSIONS}
        self.cancelled: list[Spoken] = []
        self.epoch = self.next_seq = 1
        self.bridge = StreamingBridge(frame_bytes=200)
        self.new_store()
        self.connect()
        self.speak("s1", 8_000, failed=False)
        self.send(12)

    def new_store(self) -> None:
        self.store = Store(self.storage, real_time=lambda: self.mischief.real_time)
        self.store.replay(list(self.storage.events), self.now)

    def connect(self) -> None:
        self.bridge.connect()
        self.server = BridgeConnection(self.store, self.terms, self.mischief, self.counts)
        self.deliver(self.server.opened())
        self.exchange()

    def deliver(self, out: list[WireMessage | CloseConnection]) -> None:
        for message in out:
            assert not isinstance(message, CloseConnection), out
            decoded = unpack_from_server(message.pack())
            assert decoded is not None
            self.bridge.receive(decoded)

    def exchange(self, frames: int = MAX_FRAMES) -> None:
        """Let the bridge's frames arrive."""
        for _ in range(min(frames, len(self.bridge.out))):
            self.deliver(self.server.received(self.bridge.out.popleft(), self.now))

    def stream_of(self, spoken: Spoken) -> BridgeStream | None:
        found = [one for one in self.bridge.streams.values() if one.spoken is spoken and not one.over]
        return found[-1] if found else None

    @rule(session=st.sampled_from(SESSIONS), size=st.sampled_from([8_000, 3_000, 500, 0]), failed=st.booleans())
    def speak(self, session: str, size: int, failed: bool) -> None:
        """The next utterance of a session, which begins when the one before it is delivered."""
        before = self.spoken[session]
        if before and not before[-1].delivered and before[-1] not in self.cancelled:
            return
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        status = "failed" if failed else "complete"
        spoken = Spoken(wav(size, seq), seq, session, f"r{seq}", session, status=status)
        before.append(spoken)
        self.bridge.open(spoken, fresh=True)
        self.send(4)

    @rule(frames=st.sampled_from([3, 12, 40]))
    def send(self, frames: int) -> None:
        """Frames arrive, 20 ms one after the other; acks come in between."""
        for _ in range(frames):
            self.bridge.pump()
            self.exchange(2)
            self.wait(0.02)

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.deliver(self.server.poll(self.now))

    @rule()
    def poll_when_due(self) -> None:
        time = self.server.next_time(self.now)
        if time is not None:
            self.now = max(self.now, time)
            self.deliver(self.server.poll(self.now))

    @rule(lost=st.booleans())
    def break_connection(self, lost: bool) -> None:
        if not lost:
            self.exchange()
        self.server.closed(self.now)
        self.connect()
        self.reopen()

    def reopen(self) -> None:
        for spoken in (one for several in self.spoken.values() for one in several[-1:]):
            if not spoken.delivered and spoken not in self.cancelled:
                self.bridge.open(spoken)
        self.exchange()
        self.send(6)

    @rule()
    def restart(self) -> None:
        """OraServer dies; what its storage has is all that is left."""
        self.new_store()
        self.connect()
        self.reopen()

    @rule()
    def take_over(self) -> None:
        """Another bridge goes on. What the first one still sends on its connection is ignored."""
        older, server = self.bridge, self.server
        self.epoch += 1
        self.bridge = StreamingBridge(epoch=self.epoch, frame_bytes=150)
        self.connect()
        self.reopen()
        for _ in range(3):
            older.pump()
        while older.out:
            server.received(older.out.popleft(), self.now)

    @precondition(lambda self: len(self.bridge.out) == 0)
    @rule(session=st.sampled_from(SESSIONS), really=st.integers(0, 3))
    def barge_in(self, session: str, really: int) -> None:
        if really != 3:
            return
        session_state = self.store.session(("tts", session))
        self.exchange()
        live = {u.begun.request for u in session_state.utterances.values() if u.final is None}
        for _ in range(2):  # the second one is a repetition, and has the same answer
            self.bridge.cancel(session, before=self.next_seq)
        self.exchange()
        first, second = self.bridge.cleared[-2:]
        assert first == second
        ended = {utterance.begun.request for utterance in self.store.utterances.values() if utterance.cancelled}
        assert live <= {request for request, _, _ in first.utterances} <= ended
        assert all(not u.play_ended or not u.cancelled for u in self.store.utterances.values())
        self.cancelled += [one for one in self.spoken[session] if one not in self.cancelled]

    @invariant()
    def only_true_bytes_are_given(self) -> None:
        for utterance in self.store.utterances.values() if hasattr(self, "store") else ():
            (spoken,) = [one for one in self.spoken[utterance.begun.session] if one.seq == utterance.seq]
            given = bytes(self.storage.given[utterance.number])
            assert given == spoken.file[: len(given)] and len(given) == utterance.given
            if spoken.delivered:
                assert utterance.upto == len(spoken.file)

    @invariant()
    def nobody_breaks_a_rule(self) -> None:
        if hasattr(self, "store"):
            assert self.bridge.problems == []
            broken = [*self.store.connection_violations.values()]
            broken += [utterance.violations for utterance in self.store.utterances.values()]
            assert [violation for one in broken for violation in one.by_kind] == []

    def teardown(self) -> None:
        """In the end, without new faults, everything is delivered and played."""
        if not hasattr(self, "store"):
            return
        self.mischief.set(StreamFaults())
        self.break_connection(lost=True)
        for _ in range(400):
            waiting = [one for several in self.spoken.values() for one in several if one not in self.cancelled]
            played = all(u.play_ended or u.cancelled for u in self.store.utterances.values())
            if played and all(one.delivered for one in waiting):
                break
            self.send(5)
            self.now += 0.1
            self.deliver(self.server.poll(self.now))
        assert [one.seq for one in waiting if not one.delivered] == []
        for utterance in self.store.utterances.values():
            assert utterance.cancelled or utterance.play_ended
        self.only_true_bytes_are_given()
        self.nobody_breaks_a_rule()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(
    max_examples=150,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
