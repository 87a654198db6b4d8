"""What the bridge does with what OraServer sends: broken rules, error codes, cancels, turns and wake-ups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello, CancelUtterances
from orastream.contract.oraserver.from_server import (
    PlayedUntil,
    ServerError,
    ServerHello,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
)
from orastream.contract.oraserver.wire import WireMessage
from orastream.delivery.rules.streams.multiplex import CHECK_S, ProtocolFault
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.stream_terms import SILENT_S, SendingLimits, StreamState
from orastream.delivery.rules.streams.turns import QUANTUM
from tests.unit.orastream.delivery.rules.streams.connection_kit import BRIDGE, NOW, SERVER, Kit, ranges_of

pytestmark = pytest.mark.unit


# ---- what the bridge finds


@pytest.mark.parametrize("message", [StreamAck(1, 0, 0, 0), StreamOpened(1, 0, 0), ServerError("busy", stream=1)])
def test_the_first_message_is_hello(message: WireMessage) -> None:
    with pytest.raises(ProtocolFault, match="before `hello`"):
        Kit(hello=None).mux.received(message, NOW)


def test_a_second_hello_ends_the_connection() -> None:
    with pytest.raises(ProtocolFault, match="second"):
        Kit().mux.received(SERVER, NOW)


def test_another_version_ends_the_connection() -> None:
    with pytest.raises(ProtocolFault, match="version 3"):
        Kit(ServerHello(3, 4096, 1, ("wav",), 0))


def test_a_credit_that_is_too_low_ends_the_connection() -> None:
    assert [message.TYPE for message in Kit(replace(SERVER, credit=4096)).poll()] == ["hello"]
    kit = Kit(hello=None)
    with pytest.raises(ProtocolFault, match="`credit` of 4095 bytes, and the least is 4096"):
        kit.mux.received(replace(SERVER, credit=4095), NOW)
    assert kit.poll() == []


def test_hello_is_answered_before_anything_else() -> None:
    kit = Kit(hello=None)
    kit.mux.cancel(CancelUtterances("s", 7, before=2))
    kit.stream()
    kit.mux.received(SERVER, NOW)
    assert [message.TYPE for message in kit.poll()] == ["hello", "cancel", "open"]
    assert isinstance(kit.sent[0], BridgeHello)


@pytest.mark.parametrize("number", [1, 99])
def test_seen_above_what_was_sent_ends_the_connection(number: int) -> None:
    kit = Kit()
    kit.opened(500)
    with pytest.raises(ProtocolFault, match="has seen 4 frames"):
        kit.mux.received(StreamAck(number, 0, 1000, kit.mux.frames + 1), NOW)


@pytest.mark.parametrize(
    "ack",
    [
        {"upto": 501},
        {"upto": 0, "ranges": ((100, 501),)},
        {"upto": 399},
        {"upto": 500, "size": 501},
        {"upto": 500, "size": 499},
    ],
)
def test_bytes_that_were_not_sent_or_are_taken_back_break_the_stream(ack: dict[str, Any]) -> None:
    kit = Kit()
    stream, other = kit.opened(500, ended=True), kit.opened(500, seq=2, session="t")
    kit.ack(stream, 400)
    kit.ack(stream, **ack)
    assert stream.state is StreamState.BROKEN
    assert other.state is StreamState.SENDING
    assert stream in kit.mux.changed


def test_more_bytes_than_there_are_break_the_stream() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 0, 9000, ((400, 900),)), NOW)
    kit.offer(stream, 0, bytes(500))
    kit.finish(stream)
    kit.poll()
    assert stream.state is StreamState.ENDED
    kit.ack(stream, 900)
    assert stream.state is StreamState.BROKEN, "it could never be delivered"


def test_more_bytes_than_there_are_from_the_beginning_break_the_stream() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 900, 9000, size=900), NOW)
    stream.finish("complete", 0, size=500)
    kit.mux.offered(stream, NOW)
    assert stream.state is StreamState.BROKEN
    assert stream in kit.mux.changed


def test_a_size_that_differs_breaks_the_stream_when_the_end_is_known() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 300, 9000, size=400), NOW)
    kit.offer(stream, 300, bytes(200))
    kit.finish(stream)
    assert stream.state is StreamState.BROKEN


def test_an_ack_with_a_lower_seen_is_ignored() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.ack(stream, 500)
    kit.ack(stream, 0, seen=1)
    assert (stream.state, stream.upto, kit.poll()) == (StreamState.SENDING, 500, [])


def test_a_lower_limit_is_ignored() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.ack(stream, 500, limit=2000)
    kit.ack(stream, 500, limit=1000)
    kit.offer(stream, 500, bytes(1000))
    assert ranges_of(kit.poll()) == [(500, 1500)]


@pytest.mark.parametrize("fresh", [True, False])
def test_a_second_opened_is_ignored(fresh: bool) -> None:
    kit = Kit(ServerHello(2, 4096, 9, ("wav",), 0))
    stream = kit.stream(fresh=fresh, paced=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 0, 4096), NOW)
    kit.offer(stream, 0, bytes(9000))
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 50, 9000, ((60, 70),)), NOW + 5)
    assert kit.poll() == []
    assert (stream.upto, stream.opened_upto) == (0, 0)
    kit.mux.check(NOW + SILENT_S)
    assert stream.over, "it is no ack"


def test_a_message_for_a_stream_that_is_over_or_unknown_is_ignored() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.mux.drop(stream)
    kit.mux.changed.clear()
    for number in (stream.number, 99):
        kit.mux.received(StreamAck(number, 500, 1000, 1), NOW)
        kit.mux.received(StreamOpened(number, 500, 1000), NOW)
        kit.mux.received(PlayedUntil(number, 5), NOW)
        kit.mux.received(ServerError("failed", stream=number), NOW)
    assert (kit.mux.changed, kit.poll(), stream.state) == ([], [], StreamState.DROPPED)


# ---- error codes


@pytest.mark.parametrize("code", ["stale_epoch", "cancelled", "refused", "failed", "weather"])
def test_an_error_of_a_stream_breaks_it_with_its_code(code: str) -> None:
    kit = Kit()
    stream, other = kit.opened(500), kit.opened(500, seq=2, session="t")
    kit.mux.received(ServerError(code, "words", stream=stream.number), NOW)
    assert stream.state is StreamState.BROKEN
    assert stream.fault is not None
    assert (stream.fault.code, stream.fault.reason) == (code, f"OraServer has answered {code}: words")
    assert not other.over
    assert kit.mux.changed[-1] is stream


@pytest.mark.parametrize(
    "error",
    [ServerError("failed"), ServerError("failed", stream=1, fatal=True), ServerError("x", session="s", fatal=True)],
)
def test_an_error_of_the_connection_ends_it(error: ServerError) -> None:
    kit = Kit()
    kit.opened(500)
    with pytest.raises(ProtocolFault, match=error.code):
        kit.mux.received(error, NOW)


def test_a_cancel_of_a_former_owner_is_stale() -> None:
    kit = Kit()
    ours, other = [kit.mux.cancel(CancelUtterances(session, 7, before=2)) for session in "st"]
    kit.poll()
    kit.mux.received(ServerError("stale_epoch", session="s"), NOW)
    assert (ours.stale, ours.lost, ours.over, other.over) == (True, False, True, False)
    assert kit.mux.changed == [ours]


def test_a_cancel_that_oraserver_could_not_carry_out_is_sent_again() -> None:
    kit = Kit()
    cancel = kit.mux.cancel(CancelUtterances("s", 7, before=2))
    kit.poll()
    kit.mux.received(ServerError("failed", session="s"), NOW)
    assert (cancel.stale, cancel.lost, cancel.over) == (False, True, True)


def test_formats_that_oraserver_does_not_take_are_refused_however_many_they_are() -> None:
    kit = Kit(ServerHello(2, 4096, 9, ("opus",), 0))
    streams = [kit.stream(seq, session=f"s{seq}") for seq in range(1, 3000)]
    assert [message.TYPE for message in kit.poll()] == ["hello"]
    assert {stream.fault.code for stream in streams if stream.fault is not None} == {"refused"}
    assert all(stream.over for stream in streams)
    assert kit.mux.idle


# ---- cancels


def test_a_cancel_overtakes_audio_and_is_answered() -> None:
    kit = Kit()
    stream = kit.opened()
    kit.offer(stream, 0, bytes(90_000))
    assert isinstance(kit.mux.poll(NOW), AudioRange)
    message = CancelUtterances("s", 7, seq=1)
    cancel = kit.mux.cancel(message)
    later = kit.stream(2)
    assert [one.TYPE for one in kit.poll()] == ["cancel", "open"]
    assert (stream.state, later.state, cancel.over) == (StreamState.DROPPED, StreamState.SENDING, False)
    kit.mux.received(UtterancesCleared("s", (), seq=9), NOW)
    kit.mux.received(UtterancesCleared("t", (), seq=1), NOW)
    assert not cancel.over
    answer = UtterancesCleared("s", (("r.1", 1, 40),), seq=1)
    kit.mux.received(answer, NOW)
    assert cancel.cleared == answer
    assert kit.mux.changed[-1] is cancel


@pytest.mark.parametrize(
    ("place", "dropped"), [({"before": 3}, [True, True, False]), ({"seq": 2}, [False, True, False])]
)
def test_what_a_cancel_covers(place: dict[str, int], dropped: list[bool]) -> None:
    kit = Kit()
    streams = [kit.stream(seq) for seq in (1, 2, 3)]
    other = kit.stream(1, session="t")
    kit.mux.cancel(CancelUtterances("s", 7, **place))
    assert [stream.over for stream in streams] == dropped
    assert not other.over


def test_a_cancel_without_an_answer_is_lost_and_only_a_silent_oraserver_ends_the_connection() -> None:
    kit = Kit()
    first = kit.mux.cancel(CancelUtterances("s", 7, before=2))
    kit.mux.check(NOW + 50)
    kit.poll(NOW + 50)
    kit.mux.check(NOW + 59)
    kit.hear(NOW + 59)  # of other sessions
    kit.mux.check(NOW + 60)
    assert first.lost and first in kit.mux.changed
    second = kit.mux.cancel(CancelUtterances("s", 7, before=2))
    kit.poll(NOW + 60)
    with pytest.raises(ProtocolFault, match="nothing for"):
        kit.mux.check(NOW + 70)
    kit.mux.lose("no answer")
    assert second.lost


def test_a_lost_connection_loses_everything_and_is_idle() -> None:
    kit = Kit(ServerHello(2, 4096, 1, ("wav",), 0))
    streams = [kit.stream(seq) for seq in (1, 2)]
    sent = kit.mux.cancel(CancelUtterances("t", 7, before=2))
    kit.poll()
    unsent = kit.mux.cancel(CancelUtterances("u", 7, before=2))
    kit.mux.lose("gone")
    assert [stream.state for stream in streams] == [StreamState.BROKEN] * 2
    assert (sent.lost, unsent.lost, kit.mux.idle) == (True, True, True)
    assert {*streams, sent, unsent} <= set(kit.mux.changed)
    assert (kit.poll(), kit.mux.next_time(NOW)) == ([], None)


# ---- wake-ups


def test_the_check_comes_however_often_other_things_happen() -> None:
    kit = Kit()
    silent, lively = kit.opened(500), kit.opened(500, seq=2, session="t")
    now, check_at = NOW, kit.mux.next_time(NOW)
    while now < NOW + SILENT_S + 2 * CHECK_S:
        now += 0.3
        kit.ack(lively, 500, now)
        kit.poll(now)
        check_at = kit.mux.next_time(now)
        if check_at is not None and check_at <= now:
            kit.mux.check(now)
    assert silent.state is StreamState.BROKEN
    assert not lively.over


def full_socket() -> tuple[Kit, OutStream, float]:
    """A stream that waits for its listener until the time returned. Then the socket takes nothing."""
    kit = Kit(ServerHello(2, 10**9, 9, ("wav",), 0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(900_000))
    kit.poll()
    assert (at := stream.resumes_at(NOW)) is not None
    return kit, stream, at


def test_while_the_socket_is_full_no_time_that_has_passed_comes_again() -> None:
    kit, _, at = full_socket()
    now = at
    for _ in range(8):
        kit.hear(now)
        kit.mux.check(now)
        following = kit.mux.next_time(now, room=False)
        assert following is not None and now < following <= now + CHECK_S
        now = following
    assert kit.mux.next_time(now, room=True) == at, "when there is room again"
    assert ranges_of(kit.poll(now))


@given(times=st.lists(st.floats(0.0, 3.0), max_size=20), room=st.lists(st.booleans(), min_size=20, max_size=20))
def test_a_loop_that_does_what_next_time_says_never_spins(times: list[float], room: list[bool]) -> None:
    """After `check`, and `poll` if there is room, the next time lies ahead."""
    kit, stream, now = full_socket()
    for later, has_room in zip(times, room, strict=False):
        now += later
        kit.hear(now)
        kit.mux.check(now)
        if has_room:
            kit.poll(now)
        kit.ack(stream, 900_000 - stream.unsent_bytes, now)
        if has_room:
            kit.poll(now)
        following = kit.mux.next_time(now, room=has_room)
        assert following is not None and following > now


def test_nothing_to_do() -> None:
    kit = Kit()
    assert [message.TYPE for message in kit.poll()] == ["hello"]
    assert (kit.poll(), kit.mux.idle, kit.mux.next_time(NOW)) == ([], True, None)
    assert kit.sent == [BRIDGE]


def test_a_stream_that_is_over_is_not_waited_for() -> None:
    kit = Kit(ServerHello(2, 10**9, 9, ("wav",), 0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(900_000))
    kit.poll()
    assert stream.resumes_at(NOW) is not None
    kit.mux.drop(stream)
    assert (kit.mux.idle, kit.mux.next_time(NOW)) == (True, None)


# ---- turns


@settings(max_examples=50)
@given(
    paced=st.lists(st.booleans(), min_size=2, max_size=5),
    max_frame=st.sampled_from([700, 5000, 16_384, 40_000]),
    joins=st.integers(0, 40),
    rounds=st.integers(1, 150),
)
def test_streams_with_data_and_credit_send_the_same(paced: list[bool], max_frame: int, joins: int, rounds: int) -> None:
    kit = Kit(ServerHello(2, 10**9, 99, ("wav",), 0), SendingLimits(max_frame, max_lead_s=1e9))
    first, *others = [kit.stream(seq, session=f"s{seq}", paced=each) for seq, each in enumerate(paced, 1)]
    kit.poll()

    def offer(stream: OutStream) -> None:
        kit.offer(stream, 0, bytes(8_000_000))

    offer(first)
    for _ in range(joins):
        alone = kit.mux.poll(NOW)
        assert isinstance(alone, AudioRange)
        assert len(alone.data) <= max_frame
    for stream in others:
        offer(stream)
    sent = dict.fromkeys(range(1, len(paced) + 1), 0)
    for _ in range(rounds):
        message = kit.mux.poll(NOW)
        assert isinstance(message, AudioRange)
        assert len(message.data) <= min(max_frame, 16 << 10)
        sent[message.stream] += len(message.data)
        assert max(sent.values()) - min(sent.values()) <= 2 * QUANTUM + min(max_frame, 16 << 10)


def test_a_stalled_stream_stops_no_other() -> None:
    kit = Kit()
    stalled, other = kit.stream(1, paced=False), kit.stream(2, session="t", paced=False)
    kit.poll()
    kit.offer(stalled, 0, bytes(200_000))
    kit.offer(other, 0, bytes(200_000))
    kit.poll()
    sent = 200_000 - other.unsent_bytes
    assert abs(stalled.unsent_bytes - other.unsent_bytes) < QUANTUM and sent <= 100_000
    kit.ack(other, sent, limit=300_000)
    audio = [message for message in kit.poll() if isinstance(message, AudioRange)]
    assert ranges_of(list(audio)) == [(sent, 200_000)]
    assert {message.stream for message in audio} == {other.number}
    assert len(audio[0].data) == 32 << 10, "a stream that may not send does not compete"


def test_a_stream_whose_end_is_never_confirmed_breaks() -> None:
    kit = Kit()
    stream = kit.opened(500, ended=True)
    kit.ack(stream, 500, NOW + 1)
    for second in range(2, 11):
        kit.ack(stream, 500, NOW + second)  # without `size`
        kit.mux.check(NOW + second)
    assert stream.state is StreamState.BROKEN


def test_a_stream_that_gains_no_byte_for_a_minute_breaks_although_it_is_answered() -> None:
    kit = Kit()
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(200_000))
    kit.poll()
    for second in range(1, 60):
        kit.ack(stream, 0, NOW + second, limit=SERVER.credit, seen=2)
        kit.mux.check(NOW + second)
    assert not stream.over
    kit.ack(stream, 0, NOW + 60, limit=SERVER.credit, seen=2)
    kit.mux.check(NOW + 60)
    assert stream.state is StreamState.BROKEN


def test_a_stream_that_oraserver_never_takes_breaks() -> None:
    kit = Kit(ServerHello(2, 4096, 1, ("wav",), 0))
    first, second = kit.stream(1), kit.stream(2)
    kit.poll()
    for moment in range(5, 61, 5):
        kit.ack(first, 0, NOW + moment)
        kit.mux.check(NOW + moment)
    assert second.state is StreamState.BROKEN


def test_the_words_of_oraserver_are_cut_and_cleaned() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.mux.received(ServerError("failed", "x\n" * 5_000, stream=stream.number), NOW)
    assert stream.fault is not None and len(stream.fault.reason) < 300 and "\n" not in stream.fault.reason


def test_the_reason_of_an_error_without_a_code() -> None:
    kit = Kit()
    stream = kit.opened()
    kit.mux.received(ServerError("", stream=stream.number), NOW)
    assert stream.fault is not None
    assert stream.fault.reason == "OraServer has answered an error without a code"
