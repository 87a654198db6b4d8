"""The states of a stream at the bridge, and its retransmission, flow and texts (docs/reference/oraserver-v2.md)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orastream.contract.oraserver.from_bridge import AudioRange, CancelUtterances, OpenStream, SentenceText, StreamEnd
from orastream.contract.oraserver.from_server import PlayedUntil, ServerError, ServerHello, StreamOpened
from orastream.delivery.rules.streams.listener import Listener
from orastream.delivery.rules.streams.out_stream import OutStream
from orastream.delivery.rules.streams.stream_terms import SILENT_S, SendingLimits, StreamState
from tests.unit.orastream.delivery.rules.streams.connection_kit import NOW, RATE, SERVER, Kit, ranges_of

pytestmark = pytest.mark.unit

SECOND = int(RATE)


# ---- the table "States"


def test_waiting_until_hello() -> None:
    kit = Kit(hello=None)
    stream = kit.stream()
    assert kit.poll() == []
    assert stream.state is StreamState.WAITING
    kit.mux.received(SERVER, NOW)
    assert [message.TYPE for message in kit.poll()] == ["hello", "open"]


def test_waiting_while_oraserver_has_as_many_streams_as_it_takes() -> None:
    kit = Kit(ServerHello(2, 100_000, 1, ("wav",), 0))
    first, second = kit.stream(1), kit.stream(2, session="t")
    kit.poll()
    assert (first.state, second.state) == (StreamState.SENDING, StreamState.WAITING)
    kit.finish(first)
    kit.poll()
    assert second.state is StreamState.WAITING, "an ended one is unfinished"
    kit.ack(first, 0, size=0)
    assert first.state is StreamState.DELIVERED
    assert [message.TYPE for message in kit.poll()] == ["open"]


def test_a_fresh_stream_is_sending_at_once_up_to_the_credit() -> None:
    kit = Kit()
    stream = kit.stream(paced=False)
    (_, opened) = kit.poll()
    assert isinstance(opened, OpenStream)
    assert opened.fresh
    assert (stream.state, stream.opened_upto) == (StreamState.SENDING, 0)
    kit.offer(stream, 0, bytes(200_000))
    (sent,) = ranges_of(kit.poll())
    assert sent[0] == 0 and SERVER.credit - kit.mux.limits.max_frame_bytes // 2 < sent[1] <= SERVER.credit
    kit.ack(stream, sent[1], limit=SERVER.credit)
    assert ranges_of(kit.poll()) == [(sent[1], SERVER.credit)], "the small rest waits until nothing is in flight"


def test_another_stream_is_opening_until_opened() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False, acked=70)
    (_, opened) = kit.poll()
    assert isinstance(opened, OpenStream)
    assert (opened.fresh, opened.acked) == (False, 70)
    assert (stream.state, stream.opened_upto) == (StreamState.OPENING, None)
    kit.mux.received(StreamOpened(stream.number, 50, 1000), NOW)
    assert (stream.state, stream.opened_upto) == (StreamState.SENDING, 50)
    assert kit.mux.changed[-1] is stream
    kit.offer(stream, 40, bytes(100))
    assert ranges_of(kit.poll()) == [(50, 140)], "from the first byte that is not stored"


def test_it_sends_what_is_not_stored() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 50, 1000, ((60, 70), (90, 95))), NOW)
    kit.offer(stream, 0, bytes(200))
    assert ranges_of(kit.poll()) == [(50, 60), (70, 90), (95, 200)]
    kit.ack(stream, 200)
    assert stream.state is StreamState.SENDING


def test_a_range_that_begins_at_upto_is_stored_too() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 50, 1000, ((50, 70),)), NOW)
    kit.offer(stream, 40, bytes(160))
    assert ranges_of(kit.poll()) == [(70, 200)]


def test_ended_when_everything_is_sent() -> None:
    kit = Kit()
    stream = kit.opened(500)
    assert stream.unsent_bytes == 0
    stream.finish("failed", 11, "engine_failed")
    kit.mux.offered(stream, NOW)
    assert kit.poll() == [StreamEnd(stream.number, "failed", 500, 11, "engine_failed")]
    assert stream.state is StreamState.ENDED


def test_delivered_by_an_ack_of_the_whole() -> None:
    kit = Kit()
    stream = kit.opened(500, ended=True)
    kit.ack(stream, 500)
    assert stream.state is StreamState.ENDED, "OraServer has not stored `end`"
    kit.ack(stream, 500, size=500)
    assert stream.state is StreamState.DELIVERED
    assert kit.mux.changed[-1] is stream
    assert (kit.mux.idle, kit.mux.next_time(NOW), stream.unsent_bytes) == (True, None, 0)


def test_delivered_at_once_if_oraserver_has_it_all_already() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 500, 1000, size=500), NOW)
    kit.finish(stream)
    assert stream.state is StreamState.DELIVERED
    assert kit.mux.idle


@pytest.mark.parametrize("state", [StreamState.WAITING, StreamState.OPENING, StreamState.SENDING, StreamState.ENDED])
def test_a_cancel_ends_it_in_any_state(state: StreamState) -> None:
    kit = Kit()
    stream = kit.stream(fresh=state is not StreamState.OPENING)
    if state is not StreamState.WAITING:
        kit.poll()
    if state in {StreamState.SENDING, StreamState.ENDED}:
        kit.offer(stream, 0, bytes(90_000))
    if state is StreamState.ENDED:
        kit.finish(stream)
        kit.poll()
    assert stream.state is state
    message = CancelUtterances("s", 7, before=2)
    kit.mux.cancel(message)
    assert stream.state is StreamState.DROPPED
    assert stream in kit.mux.changed
    assert [one for one in kit.poll() if one.TYPE != "hello"] == [message]


def break_it(kit: Kit, number: int, how: str) -> None:
    if how == "connection":
        kit.mux.lose("it was closed")
    elif how == "error":
        kit.mux.received(ServerError("failed", stream=number), NOW)
    else:
        kit.hear(NOW + 1)
        kit.mux.check(NOW + SILENT_S)


@pytest.mark.parametrize("how", ["connection", "error", "silence"])
@pytest.mark.parametrize("state", [StreamState.OPENING, StreamState.SENDING, StreamState.ENDED])
def test_broken(state: StreamState, how: str) -> None:
    kit = Kit()
    stream = kit.stream(fresh=state is not StreamState.OPENING)
    kit.poll()
    if state is StreamState.ENDED:
        kit.finish(stream)
        kit.poll()
    assert stream.state is state
    kit.mux.check(NOW + SILENT_S - 0.1)
    assert stream.state is state
    break_it(kit, stream.number, how)
    assert stream.state is StreamState.BROKEN
    assert stream.fault is not None
    assert stream.fault.code == ("failed" if how == "error" else None)
    assert stream in kit.mux.changed
    assert kit.mux.idle


def test_each_answer_gives_oraserver_time_for_the_next_one() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.ack(stream, 0, NOW + 6)
    kit.hear(NOW + 7)
    kit.mux.check(NOW + 15.9)
    assert not stream.over
    kit.mux.check(NOW + 16)
    assert stream.over


def test_a_stream_that_is_over_takes_nothing() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.mux.drop(stream)
    kit.offer(stream, 500, bytes(9))
    stream.finish("complete", 0)
    stream.broke("late")
    assert (stream.state, stream.fault, stream.unsent_bytes) == (StreamState.DROPPED, None, 0)
    assert kit.poll() == []


# ---- a fresh stream of which an earlier bridge has sent some all the same: its report was lost


def fresh_and_stored(
    upto: int, ranges: tuple[tuple[int, int], ...] = (), size: int | None = None, *, before: int = 0
) -> tuple[Kit, OutStream]:
    """A fresh stream that has sent `before` bytes when OraServer says what it has."""
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0), SendingLimits(max_frame_bytes=1000))
    stream = kit.stream(paced=False)
    kit.poll()
    if before:
        kit.offer(stream, 0, bytes(before))
        assert ranges_of(kit.poll()) == [(0, before)]
    kit.mux.received(StreamOpened(stream.number, upto, upto + 1000, ranges, size), NOW)
    return kit, stream


@pytest.mark.parametrize("before", [0, 300, 500, 700])
def test_a_fresh_stream_goes_on_behind_what_is_stored(before: int) -> None:
    kit, stream = fresh_and_stored(500, ((600, 650), (900, 950)), before=before)
    kit.offer(stream, before, bytes(1200 - before))
    expected = {0: [(500, 600), (650, 900), (950, 1200)], 700: [(700, 900), (950, 1200)]}
    assert ranges_of(kit.poll()) == expected.get(before, expected[0])
    assert stream.retransmitted_bytes == 0
    kit.ack(stream, 1200)
    kit.finish(stream)
    kit.poll()
    kit.ack(stream, 1200, size=1200)
    assert stream.state is StreamState.DELIVERED


def test_what_is_stored_already_is_not_kept() -> None:
    kit, stream = fresh_and_stored(5000)
    for first in range(0, 5000, 500):
        kit.offer(stream, first, bytes(500))
        assert (stream.unsent_bytes, stream.upto) == (0, 5000)
        assert stream._window.base == stream.offered_bytes  # noqa: SLF001 - what it holds in memory
    assert kit.poll() == []
    kit.offer(stream, 5000, bytes(100))
    assert ranges_of(kit.poll()) == [(5000, 5100)]


def test_of_what_a_fresh_stream_has_sent_only_what_is_lost_is_sent_again() -> None:
    kit, stream = fresh_and_stored(500, ((2000, 3000),), before=4000)
    kit.ack(stream, 500, ranges=((2000, 3000),))
    assert ranges_of(kit.poll()) == [(500, 2000), (3000, 4000)]
    assert stream.retransmitted_bytes == 2500


def test_the_sentences_of_a_fresh_stream_come_once_and_before_their_audio() -> None:
    kit = Kit()
    stream = kit.stream(paced=False)
    kit.poll()
    stream.offer(0, bytes(500), 0, [SentenceText(1, 0, 0, "sent")])
    kit.mux.offered(stream, NOW)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 900, 10_000), NOW)
    stream.offer(500, bytes(500), 10, [SentenceText(1, 1, 10, "not sent")])
    kit.mux.offered(stream, NOW)
    second, audio = kit.poll()
    assert isinstance(second, SentenceText) and second.text == "not sent"
    assert isinstance(audio, AudioRange) and (audio.at, len(audio.data)) == (900, 100)


@pytest.mark.parametrize(
    ("upto", "ranges", "size", "state"),
    [
        (800, (), None, StreamState.SENDING),
        (800, (), 800, StreamState.DELIVERED),
        (500, (), 800, StreamState.SENDING),
        (900, (), None, StreamState.BROKEN),
        (700, (), 700, StreamState.BROKEN),
    ],
)
def test_the_end_of_a_fresh_stream(
    upto: int, ranges: tuple[tuple[int, int], ...], size: int | None, state: StreamState
) -> None:
    kit = Kit()
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(800))
    stream.finish("complete", 0)
    kit.mux.received(StreamOpened(stream.number, upto, 10_000, ranges, size), NOW)
    assert stream.state is state
    if state is StreamState.SENDING:
        *audio, end = kit.poll()
        assert ranges_of(audio) == ([(upto, 800)] if upto < 800 else [])
        assert isinstance(end, StreamEnd) and end.size == 800


def test_what_an_earlier_bridge_has_sent_does_not_count_as_the_lead() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(20 * SECOND))
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 5 * SECOND, 10_000_000), NOW)
    assert 3.0 <= stream.listener.lead_s(NOW) < 4.0
    (sent,) = ranges_of(kit.poll())
    assert 13.0 <= sent[1] / RATE < 14.0


# ---- retransmission


def test_only_what_was_lost_is_sent_again_before_new_bytes() -> None:
    kit = Kit(limits=SendingLimits(max_frame_bytes=1000))
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(5000))
    audio = [message for message in kit.poll() if isinstance(message, AudioRange)]
    assert [message.at for message in audio] == [0, 1000, 2000, 3000, 4000]
    kit.offer(stream, 5000, bytes(500))
    # The third frame was dropped. The last two are still on their way.
    kit.ack(stream, 2000, seen=kit.mux.frames - 2)
    again = [message for message in kit.poll() if isinstance(message, AudioRange)]
    assert [(message.at, len(message.data)) for message in again] == [(2000, 1000), (5000, 500)]
    assert stream.retransmitted_bytes == 1000
    kit.ack(stream, 2000, ranges=((3000, 5500),), seen=kit.mux.frames)
    assert ranges_of(kit.poll()) == [(2000, 3000)], "it was lost once more"
    kit.ack(stream, 5500)
    assert kit.poll() == []


def test_what_was_lost_is_sent_after_the_end() -> None:
    kit = Kit()
    stream = kit.opened(500, ended=True)
    kit.ack(stream, 0, size=500)
    assert ranges_of(kit.poll()) == [(0, 500)]
    kit.ack(stream, 500, size=500)
    assert stream.state is StreamState.DELIVERED


def test_what_oraserver_has_dropped_again_is_sent_again() -> None:
    kit = Kit(limits=SendingLimits(max_frame_bytes=1000))
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(4000))
    kit.finish(stream)
    kit.poll()
    kit.ack(stream, 0, ranges=((1000, 4000),), size=4000)
    assert ranges_of(kit.poll()) == [(0, 1000)]
    kit.ack(stream, 1000, ranges=((3000, 4000),), size=4000)
    assert ranges_of(kit.poll()) == [(1000, 3000)], "the ranges need not survive a restart, nor a lack of memory"
    kit.ack(stream, 4000, size=4000)
    assert stream.state is StreamState.DELIVERED


def test_what_an_earlier_stream_has_sent_and_oraserver_has_dropped_again_is_sent() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 50, 1000, ((100, 200), (300, 350))), NOW)
    kit.offer(stream, 50, bytes(100))
    assert ranges_of(kit.poll()) == [(50, 100)]
    kit.ack(stream, 100, ranges=((180, 200), (300, 350)))
    assert ranges_of(kit.poll()) == [(100, 150)], "the rest was not offered yet"
    kit.ack(stream, 150)
    kit.offer(stream, 150, bytes(250))
    assert ranges_of(kit.poll()) == [(150, 400)]
    kit.ack(stream, 400)
    assert kit.poll() == []


def test_oraserver_may_have_more_ranges_than_it_can_list() -> None:
    kit = Kit(limits=SendingLimits(max_frame_bytes=1000))
    stream = kit.stream(fresh=False, paced=False)
    kit.poll()
    stored = [(10 * n, 10 * n + 5) for n in range(1, 70)]
    kit.mux.received(StreamOpened(stream.number, 5, 10_000, tuple(stored[:64])), NOW)
    kit.offer(stream, 0, bytes(700))
    assert ranges_of([kit.mux.poll(NOW)]) == [(5, 10)]  # type: ignore[list-item]
    kit.ack(stream, 15, ranges=tuple(stored[1:65]))
    assert stream.fault is None, "the 65th range was sent by an earlier stream"
    sent = ranges_of(kit.poll())
    assert sent[0] == (15, 20) and sent[-1][1] == 700
    kit.ack(stream, 700)
    kit.finish(stream)
    kit.poll()
    kit.ack(stream, 700, size=700)
    assert stream.state is StreamState.DELIVERED


def test_what_brings_nothing_is_sent_again_more_and_more_seldom() -> None:
    kit, now = Kit(), NOW
    stream = kit.opened(500)
    sent = []
    while not stream.over and now < NOW + 100:
        kit.ack(stream, 0, now)
        kit.mux.check(now)
        if kit.poll(now):
            sent.append(round(now - NOW, 2))
        at = kit.mux.next_time(now)
        now = min(now + 0.01, at) if at is not None and at > now else now + 0.01
    assert sent[:6] == pytest.approx([0, 0.11, 0.32, 0.73, 1.54, 3.15], abs=0.1)
    assert len(sent) < 40, "it breaks after a minute, and OraServer had the same bytes all the time"
    kit = Kit(limits=SendingLimits(max_frame_bytes=1000))
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(20_000))
    kit.poll()
    sent = 1
    while (sent := sent + 1) <= kit.mux.frames:  # an ack for each frame
        kit.ack(stream, 0, seen=sent)
        kit.poll()
    assert stream.retransmitted_bytes <= 40_000, "each byte is lost at most twice"
    kit = Kit()
    stream = kit.opened(500)
    for _ in range(3):
        kit.ack(stream, 0)
        kit.poll()
    assert (at := kit.mux.next_time(NOW)) is not None
    assert kit.poll(at - 0.001) == []
    assert ranges_of(kit.poll(at)) == [(0, 500)], "it wakes by itself"
    kit.ack(stream, 200, at)
    assert ranges_of(kit.poll(at)) == [(200, 500)], "at once: it has stored enough"


@pytest.mark.parametrize("lost", [True, False])
def test_what_was_sent_stays_known_when_the_stream_is_over(lost: bool) -> None:
    kit = Kit()
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(4 * SECOND))
    kit.poll()
    before_s = stream.sent_s
    assert 0 < before_s <= 4.0
    if lost:
        kit.mux.lose("the connection broke")
    else:
        stream.drop()
    assert stream.over and stream.sent_s == before_s


def test_what_was_skipped_is_not_sent_again() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.ack(stream, 500, skipped=40)
    assert (kit.poll(), stream.skipped_bytes) == ([], 40)


def test_a_gap_that_was_skipped_below_what_was_stored() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 0, 10_000, ((300, 400),)), NOW)
    data = bytes(range(250)) * 2
    kit.offer(stream, 0, data[:100])
    kit.poll()
    kit.ack(stream, 400, skipped=200)
    kit.offer(stream, 100, data[100:350])
    kit.offer(stream, 350, data[350:])
    (audio,) = kit.poll()
    assert isinstance(audio, AudioRange)
    assert (audio.at, audio.data) == (400, data[400:]), "the bytes belong to their offset"


# ---- what OraServer has differs from what there is


def reopened(message: StreamOpened, *, busy: bool = False) -> tuple[Kit, OutStream]:
    """A stream that is opened with this answer; with `busy` it was fresh before, and 500 bytes were offered."""
    kit = Kit()
    stream = kit.stream(fresh=busy)
    kit.poll()
    if busy:
        kit.offer(stream, 0, bytes(500))
        kit.poll()
        kit.mux.received(ServerError("busy", stream=stream.number), NOW)
        kit.poll(NOW + 1)
    kit.mux.received(replace(message, stream=stream.number), NOW + 1)
    return kit, stream


def test_audio_above_a_size_that_oraserver_knows_is_refused() -> None:
    kit, stream = reopened(StreamOpened(1, 300, 9000, size=400))
    kit.offer(stream, 300, bytes(100))
    assert ranges_of(kit.poll()) == [(300, 400)]
    kit.offer(stream, 400, bytes(1))
    assert (stream.state, kit.poll()) == (StreamState.BROKEN, [])
    assert stream.fault is not None
    assert (stream.fault.code, stream.fault.reason) == (
        "refused",
        "OraServer has ended it with 400 bytes, and there are more",
    )


def test_audio_that_was_offered_before_the_size_is_known_is_refused_too() -> None:
    kit, stream = reopened(StreamOpened(1, 300, 9000, size=400), busy=True)
    assert (stream.state, kit.poll(NOW + 1)) == (StreamState.BROKEN, [])
    assert stream.fault is not None and stream.fault.code == "refused"


@pytest.mark.parametrize("finished_before", [False, True])
@pytest.mark.parametrize(("upto", "ranges"), [(300, ((600, 700),)), (600, ())])
def test_a_failed_end_below_what_is_stored_is_not_sent(
    upto: int, ranges: tuple[tuple[int, int], ...], finished_before: bool
) -> None:
    """An earlier owner has sent more. The end would say that there are fewer bytes than OraServer has."""
    message = StreamOpened(1, upto, 9000, ranges)
    if finished_before:
        kit = Kit()
        stream = kit.stream()
        kit.poll()
        kit.offer(stream, 0, bytes(500))
        stream.finish("failed", code="engine_failed")
        kit.mux.received(message, NOW)
    else:
        kit, stream = reopened(message)
        if upto < 500:
            kit.offer(stream, upto, bytes(500 - upto))
        stream.finish("failed", code="engine_failed", size=500)
        kit.mux.offered(stream, NOW)
    assert (stream.state, kit.poll(), kit.mux.idle) == (StreamState.DROPPED, [], True)


def test_a_failed_end_of_what_is_stored_is_sent() -> None:
    kit, stream = reopened(StreamOpened(1, 300, 9000, ((400, 500),)))
    kit.offer(stream, 300, bytes(200))
    stream.finish("failed", code="engine_failed")
    kit.mux.offered(stream, NOW)
    *audio, end = kit.poll()
    assert ranges_of(audio) == [(300, 400)]
    assert isinstance(end, StreamEnd) and (end.status, end.size) == ("failed", 500)


# ---- flow


def test_nothing_above_the_limit() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False, paced=False)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, 0, 700), NOW)
    kit.offer(stream, 0, bytes(2000))
    assert ranges_of(kit.poll()) == [(0, 700)]
    assert stream.unsent_bytes == 1300
    kit.ack(stream, 700, limit=900)
    assert ranges_of(kit.poll()) == [(700, 900)]


def test_it_pauses_when_the_listener_has_enough_and_goes_on_at_next_time() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0), SendingLimits(max_lead_s=8.0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(20 * SECOND))
    sent = ranges_of(kit.poll())[0][1]
    assert 8.0 <= sent / RATE < 9.0
    at = kit.mux.next_time(NOW)
    assert at is not None
    while sent < 15 * SECOND:
        assert kit.poll(at - 1e-3) == []
        found = kit.poll(at)  # not a moment later: it must not wait at the time that it has named
        if found:
            sent = ranges_of(found)[0][1]
            assert sent / RATE - (at - NOW) < 9.0
        kit.ack(stream, sent, at)
        kit.mux.check(at)
        at = kit.mux.next_time(at)
        assert at is not None


def test_a_caller_who_waits_for_the_report_has_no_pauses_and_large_frames() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    stream = kit.stream(paced=False)
    kit.poll()
    kit.offer(stream, 0, bytes(20 * SECOND))
    audio = kit.poll()
    assert ranges_of(audio) == [(0, 20 * SECOND)]
    assert isinstance(audio[0], AudioRange)
    assert len(audio[0].data) == kit.mux.limits.max_frame_bytes


def test_the_first_frames_are_small_and_grow_with_the_lead() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(SECOND))
    sizes = [len(message.data) for message in kit.poll() if isinstance(message, AudioRange)]
    assert sizes[:4] == [3528, 3528, 4096, 4096]
    kit.ack(stream, SECOND, NOW + 0.05)
    kit.offer(stream, SECOND, bytes(19 * SECOND), NOW + 0.05)
    sizes = [len(message.data) for message in kit.poll(NOW + 0.05) if isinstance(message, AudioRange)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == kit.mux.limits.max_frame_bytes


def test_a_report_of_the_phone_lets_it_go_on_earlier() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(SECOND))
    kit.poll()
    kit.ack(stream, SECOND, NOW + 0.05)
    kit.offer(stream, SECOND, bytes(19 * SECOND), NOW + 0.05)
    sent_s = ranges_of(kit.poll(NOW + 0.05))[-1][1] / RATE
    assert (before := kit.mux.next_time(NOW + 0.05)) is not None
    kit.mux.received(PlayedUntil(stream.number, round((sent_s - 8.1) * 1000)), NOW + 0.1)
    assert kit.poll(NOW + 0.1) == []
    assert (at := kit.mux.next_time(NOW + 0.1)) is not None
    assert at < before, "the listener has less than it seemed"
    kit.mux.received(PlayedUntil(stream.number, 4000), NOW + 0.2)
    assert ranges_of(kit.poll(NOW + 0.2))


def test_a_report_about_one_utterance_lets_the_next_one_of_the_session_go_on() -> None:
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    first, second = kit.stream(1, paced=False), kit.stream(2)
    second.listener = first.listener
    kit.poll()
    kit.offer(first, 0, bytes(9 * SECOND))
    kit.finish(first)
    kit.poll()
    kit.offer(second, 0, bytes(SECOND))
    assert kit.poll() == []
    kit.mux.received(PlayedUntil(first.number, 3000), NOW)
    assert ranges_of(kit.poll()) == [(0, SECOND)]


def broken_and_opened_again(sent_s: int, acked_s: int, upto_s: int, later_s: float = 0.0) -> tuple[Kit, OutStream]:
    """A stream that is broken when so much was acked, and the next one of the same owner, opened `later_s` later."""
    hello = ServerHello(2, 10_000_000, 9, ("wav",), 0)
    kit = Kit(hello, SendingLimits(max_lead_s=9.0))
    stream = kit.stream()
    kit.poll()
    kit.offer(stream, 0, bytes(sent_s * SECOND))
    kit.poll()
    kit.ack(stream, acked_s * SECOND)
    kit.mux.lose("it was closed")
    again = Kit(hello)
    second = again.stream(fresh=False, acked=stream.upto)
    second.listener = stream.listener
    again.poll()
    again.mux.received(StreamOpened(second.number, upto_s * SECOND, 10_000_000), NOW + later_s)
    return again, second


@pytest.mark.parametrize("later_s", [0.0, 0.5])
@pytest.mark.parametrize(("acked_s", "upto_s"), [(1, 1), (8, 8), (1, 8), (8, 1), (0, 0)])
def test_after_a_break_the_listener_has_what_oraserver_has(acked_s: int, upto_s: int, later_s: float) -> None:
    _, second = broken_and_opened_again(8, acked_s, upto_s, later_s)
    assert second.listener.lead_s(NOW + later_s) == pytest.approx(max(upto_s - later_s, 0), abs=0.01)


def test_after_a_break_no_more_than_the_lead_is_sent_ahead() -> None:
    again, second = broken_and_opened_again(7, 7, 7, 0.5)
    again.offer(second, 7 * SECOND, bytes(20 * SECOND), NOW + 0.5)
    sent = ranges_of(again.poll(NOW + 0.5))
    assert 8.5 <= sent[-1][1] / RATE < 9.5, "8 s ahead of a listener that has played half a second"


def test_a_stream_that_was_never_opened_again_leaves_what_the_listener_has() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False)
    send_ahead(stream, 5.0)
    kit.poll()
    kit.mux.received(ServerError("busy", stream=stream.number), NOW)
    kit.mux.lose("it was closed")
    assert stream.listener.lead_s(NOW) == pytest.approx(5.0)


def send_ahead(stream: OutStream, seconds: float) -> None:
    """An earlier stream of its utterance has sent so much."""
    stream.listener.sent(stream.request.seq, 0, round(seconds * RATE), seconds, NOW)


def test_audio_that_oraserver_has_forgotten_is_not_counted() -> None:
    kit = Kit()
    stream = kit.stream(fresh=False, acked=5 * SECOND)
    send_ahead(stream, 6.0)
    kit.poll()
    kit.mux.received(StreamOpened(stream.number, SECOND, 10_000_000), NOW)
    assert stream.listener.lead_s(NOW) == pytest.approx(1.0)


@pytest.mark.parametrize(("place", "left_s"), [({"before": 2}, 2.0), ({"seq": 1}, 2.0), ({"seq": 2}, 9.0)])
def test_a_cancel_drops_what_it_covers_alone(place: dict[str, int], left_s: float) -> None:
    """What waits for the listener goes on at once."""
    kit = Kit(ServerHello(2, 10_000_000, 9, ("wav",), 0))
    listener = Listener()
    listener.sent(1, 0, 9 * SECOND, 9.0, NOW)
    second = kit.stream(2)
    second.listener = listener
    listener.sent(2, 0, 2 * SECOND, 2.0, NOW)
    kit.poll()
    kit.offer(second, 0, bytes(20 * SECOND))
    assert ranges_of(kit.poll()) == []
    listener.cancelled(NOW, **place)
    assert listener.lead_s(NOW) == pytest.approx(left_s)
    kit.mux.cancel(CancelUtterances("s", 7, **place))
    kit.mux.listener_changed(listener, NOW)
    assert bool(ranges_of(kit.poll())) is (left_s < 8.0)


# ---- busy


def test_a_fresh_stream_that_oraserver_is_too_busy_for_is_sent_again() -> None:
    kit = Kit()
    stream = kit.stream()
    kit.poll()
    text = SentenceText(1, 0, 0, "text")
    stream.offer(0, bytes(500), 0, [text])
    kit.mux.offered(stream, NOW)
    assert [message.TYPE for message in kit.poll()] == ["text", "audio"]
    kit.mux.received(ServerError("busy", stream=stream.number), NOW)
    assert (stream.state, stream.opened_upto, kit.mux.idle) == (StreamState.WAITING, None, False)
    assert stream.listener.lead_s(NOW) == 0
    assert kit.poll(NOW + 0.9) == []
    (opened,) = kit.poll(NOW + 1)
    assert isinstance(opened, OpenStream)
    assert (opened.stream, opened.fresh, opened.attempt) == (2, False, 2)
    kit.mux.received(StreamOpened(2, 0, 10_000), NOW + 1)
    assert [message.TYPE for message in kit.poll(NOW + 1)] == ["text", "audio"]
    kit.finish(stream, NOW + 1)
    kit.poll(NOW + 1)
    kit.ack(stream, 500, NOW + 1, size=500)
    assert stream.state is StreamState.DELIVERED


def test_it_is_busy_for_half_a_minute_at_most() -> None:
    kit, now = Kit(), NOW
    stream = kit.stream()
    while not stream.over and now < NOW + 60:
        kit.poll(now)
        if stream.state is not StreamState.WAITING:
            kit.mux.received(ServerError("busy", stream=stream.number), now)
        now += 0.5
    assert stream.fault is not None
    assert stream.fault.code == "busy"
    assert NOW + 30 <= now <= NOW + 32


def test_busy_after_an_answer_breaks_it() -> None:
    kit = Kit()
    stream = kit.opened(500)
    kit.mux.received(ServerError("busy", stream=stream.number), NOW)
    assert stream.state is StreamState.BROKEN


# ---- texts and checksums


def test_a_sentence_comes_before_the_audio_in_which_it_begins() -> None:
    kit = Kit()
    stream = kit.stream()
    kit.poll()
    stream.offer(0, bytes(3000), 0, [SentenceText(1, 0, 0, "first")])
    stream.offer(3000, bytes(9000), 68, [SentenceText(1, 1, 68, "second")])
    stream.offer(12_000, b"", 272, [SentenceText(1, 2, 272, "third")])
    kit.finish(stream)
    found: list[str] = []
    reached = 0
    for message in kit.poll():
        if isinstance(message, SentenceText):
            assert message.stream == stream.number
            assert reached <= (0, 3000, 12_000)[message.number]
            found.append(message.text)
        elif isinstance(message, AudioRange):
            reached = message.at + len(message.data)
    assert (found, reached) == (["first", "second", "third"], 12_000)
    assert isinstance(kit.sent[-1], StreamEnd)


def test_checksums_if_oraserver_wants_them_and_times_where_a_chunk_begins() -> None:
    kit = Kit(ServerHello(2, 100_000, 9, ("wav",), 0, crc=True))
    stream = kit.stream()
    kit.poll()
    stream.offer(0, b"123456789", 0)
    kit.mux.offered(stream, NOW)
    assert kit.poll() == [AudioRange(1, 0, b"123456789", 0, 0xCBF43926)]
