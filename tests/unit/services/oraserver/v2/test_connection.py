"""The state tables and rules of docs/reference/oraserver-v2.md, one by one."""

from __future__ import annotations

import pytest

from orastream.contract.oraserver.from_server import (
    PlayedUntil,
    ServerError,
    StreamAck,
    StreamOpened,
    UtterancesCleared,
)
from services.oraserver.stream_faults import StreamFaults
from services.oraserver.v2.terms import StreamTerms
from tests.support.bridge_frames import TERMS, Bench, audio, cancel, end, fresh, opening, text

pytestmark = pytest.mark.unit

CREDIT = TERMS.credit


# ---- an utterance at OraServer


def test_an_utterance_from_open_to_whole() -> None:
    bench = Bench()
    assert bench.send(fresh()) == [StreamOpened(1, 0, CREDIT)]
    assert bench.send(text(), audio(0, 1_000)) == [StreamAck(1, 1_000, CREDIT + 1_000, seen=4)], "the first audio"
    assert bench.send(audio(1_000, 600)) == []
    assert bench.send(end(1_600)) == [StreamAck(1, 1_600, CREDIT + 1_600, seen=6, size=1_600)]
    assert bench.given() == audio(0, 1_600).data
    assert bench.wait(60) == [] and bench.rules == []


def test_an_open_without_fresh_is_answered_with_what_is_stored() -> None:
    bench = Bench()
    bench.send(fresh(), audio(0, 100), audio(300, 50), audio(500, 50))
    bench.link.closed(bench.now)
    second = bench.connect()
    assert bench.send(opening(1, attempt=2, acked=100), on=second) == []
    ranges = ((300, 350), (500, 550))
    assert bench.wait(0.1, second) == [StreamOpened(1, 100, CREDIT + 100, ranges)]
    bench.send(audio(100, 200), audio(350, 150), on=second)
    assert bench.given() == audio(0, 550).data and bench.rules == []


def test_an_open_of_a_whole_utterance_is_answered_with_its_size() -> None:
    bench = Bench()
    bench.send(fresh(), audio(0, 160), end(160))
    assert bench.send(opening(2)) == []
    limit = CREDIT + 160
    assert bench.wait(0.1) == [StreamOpened(2, 160, limit, size=160), StreamAck(2, 160, limit, 5, size=160)]


def test_words_come_with_a_text_of_their_sentence_and_are_kept_once() -> None:
    bench = Bench()
    bench.send(fresh(), text(first=0, past=9), audio(0, 800), text(first=0, past=9, words=((0, 2, 0, 100),)))
    bench.send(audio(800, 800), text(first=0, past=9, words=((3, 4, 100, 150), (3, 4, 150, 200))))
    bench.link.closed(bench.now)
    second = bench.connect()
    again = text(first=0, past=9, words=((3, 4, 100, 150), (3, 4, 150, 200), (8, 1, 200, 250)))
    bench.send(opening(1, attempt=2), on=second)
    bench.wait(0.1, second)
    bench.send(again, text(1, 260), on=second)
    kept = bench.store.utterances[1].sentences
    assert kept[0].words == ((0, 2, 0, 100), (3, 4, 100, 150), (3, 4, 150, 200), (8, 1, 200, 250))
    assert kept[1].words is None and bench.rules == []
    bench.restart()
    assert bench.store.utterances[1].sentences == kept


def test_a_sentence_that_begins_again_at_another_time_loses_its_words() -> None:
    bench = Bench()
    bench.send(
        fresh(), text(words=((0, 2, 0, 40),)), audio(0, 800), text(ms=50, words=((0, 2, 50, 90), (3, 1, 90, 99)))
    )
    kept = bench.store.utterances[1].sentences[0]
    assert (kept.ms, kept.words, bench.rules) == (50, ((0, 2, 50, 90), (3, 1, 90, 99)), [])


def test_an_open_of_a_later_utterance_ends_the_earlier_one() -> None:
    bench = Bench()
    bench.send(fresh(), audio(0, 160), audio(320, 160), fresh(2, seq=11, request="r2"))
    first = bench.store.utterances[1]
    assert first.final is not None and (first.final.state, first.final.size) == ("whole", 160)
    assert bench.send(audio(160, 160)) == [], "frames of the superseded stream are ignored"
    assert bench.given() == audio(0, 160).data and bench.rules == []


@pytest.mark.parametrize("later", [{}, {"seq": 11, "request": "r2"}], ids=["the same utterance", "the next one"])
def test_a_superseded_stream_leaves_its_place_to_the_one_that_supersedes_it(later: dict[str, object]) -> None:
    bench = Bench(StreamTerms(streams=1))
    bench.send(fresh(), audio(0, 160))
    (other,) = bench.send(fresh(2, session="s2", request="r9"))
    assert isinstance(other, ServerError) and other.code == "busy"
    assert bench.send(opening(3, **later)) == []
    assert isinstance(bench.wait(0.1)[0], StreamOpened)
    assert bench.link.unfinished == 1
    assert bench.rules == ["v2-streams"], "of the other session alone"


def test_an_unfinished_utterance_is_kept_for_keep_ms() -> None:
    bench = Bench(StreamTerms(keep_s=5))
    bench.send(fresh(), audio(0, 160), audio(320, 160))
    bench.link.closed(bench.now)
    for seconds, final in ((4.9, False), (0.2, True)):
        bench.now += seconds
        bench.store.poll(bench.now)
        assert (bench.store.utterances[1].final is not None) is final
    bench.restart()
    bench.send(opening(1, attempt=2))
    assert isinstance(answer := bench.wait(0.1)[0], StreamOpened)
    assert (answer.upto, answer.size, answer.ranges) == (160, 160, ()), "it ends at upto"
    bench.send(audio(160, 160), end(480))
    assert (bench.given(), bench.rules) == (audio(0, 160).data, [])


def test_reopening_ends_the_time_of_keep_ms() -> None:
    bench = Bench(StreamTerms(keep_s=5))
    bench.send(fresh(), audio(0, 160))
    bench.link.closed(bench.now)
    link = bench.connect()
    bench.send(opening(1, attempt=2), on=link)
    bench.wait(20, link)
    assert bench.store.utterances[1].final is None


# ---- acknowledgement


def acks(bench: Bench, seconds: float) -> list[float]:
    """When acks are sent within this time, in seconds from now."""
    begin, found = bench.now, []
    while bench.now < begin + seconds - 1e-9:
        found += [round(bench.now - begin + 0.01, 2) for _ in bench.wait(0.01)]
    return found


def test_an_ack_comes_every_2_s_while_nothing_comes() -> None:
    bench = Bench()
    bench.send(fresh())
    assert acks(bench, 5) == pytest.approx([2, 4], abs=0.05)


def test_an_ack_comes_250_ms_after_the_last_one_while_data_comes() -> None:
    bench = Bench()
    bench.send(fresh())
    times = []
    for index in range(110):
        bench.send(audio(index * 10, 10))
        times += [bench.now for _ in bench.wait(0.01)]
    assert len(times) == 4 and times[1] - times[0] == pytest.approx(0.25, abs=0.02)


def test_the_acks_of_all_streams_go_together() -> None:
    bench = Bench(StreamTerms(credit=1_000_000))
    numbers = range(1, 6)
    for number in numbers:
        bench.send(fresh(number, session=f"s{number}", request=f"r{number}"), audio(0, 10, number))
    times = []
    for at in range(10, 1_010, 10):
        for number in numbers:
            bench.send(audio(at, 10, number))
            times += [bench.now for _ in bench.wait(0.002)]
    assert len(set(times)) == pytest.approx(1 / 0.25, abs=1)
    assert len(times) == len(numbers) * len(set(times))


def test_the_last_frame_has_an_ack_after_250_ms_even_if_it_was_dropped() -> None:
    bench = Bench(faults=StreamFaults(drop_audio=1))
    bench.send(fresh(), audio(0, 100), audio(100, 100))
    assert bench.wait(0.25) == [StreamAck(1, 0, CREDIT, seen=4)]
    assert bench.counts.dropped_bytes == 200


def test_an_ack_comes_after_64_kib() -> None:
    bench = Bench(StreamTerms(credit=10_000_000))
    bench.send(fresh())
    answers = [bench.send(audio(index * 4_096, 4_096)) for index in range(33)]
    assert [index for index, found in enumerate(answers) if found] == [0, 16, 32]


def test_an_ack_comes_at_once_when_a_gap_comes_or_goes() -> None:
    bench = Bench()
    bench.send(fresh(), audio(0, 10))
    sent = [(10, 90), (200, 50), (250, 50), (100, 50), (150, 50), (300, 10)]
    answers = [bench.send(audio(*range_)) for range_ in sent]
    assert [bool(found) for found in answers] == [False, True, False, False, True, False]
    assert answers[1] == [StreamAck(1, 100, CREDIT + 100, 5, ((200, 250),))]


def test_an_ack_comes_at_once_after_damage() -> None:
    bench = Bench(StreamTerms(credit=CREDIT, crc=True), StreamFaults(damage_audio=1))
    bench.send(fresh())
    assert bench.send(audio(0, 100, crc=True)) == [StreamAck(1, 0, CREDIT, 3)]
    assert (bench.counts.damaged_bytes, bench.rules) == (100, [])


def test_an_ack_comes_at_once_when_the_limit_has_risen_by_a_quarter_of_credit() -> None:
    bench = Bench(StreamTerms(credit=4_096))
    bench.send(fresh(), audio(0, 1))
    assert bench.send(audio(1, 1_023)) == []
    assert bench.send(audio(1_024, 1)) == [StreamAck(1, 1_025, 4_096 + 1_025, 5)]


def test_an_ack_has_at_most_64_ranges() -> None:
    bench = Bench()
    bench.send(fresh())
    for index in range(1, 71):
        answer = bench.send(audio(index * 20, 10))
    (ack,) = answer
    assert isinstance(ack, StreamAck) and len(ack.ranges) == 64 and ack.ranges[0] == (20, 30)


# ---- flow, and the clock


def test_a_stalled_phone_stops_its_own_stream() -> None:
    bench = Bench(StreamTerms(credit=4_096), StreamFaults(stall_phone="p1"))
    other = fresh(2, session="s2", phone="p2", request="r2")
    bench.send(fresh(), other, audio(0, 4_096), audio(0, 4_096, 2))
    limits = {ack.stream: ack.limit for ack in bench.wait(3) if isinstance(ack, StreamAck)}
    assert limits == {1: 4_096, 2: 8_192}
    bench.mischief.set(StreamFaults())
    assert [ack.limit for ack in bench.wait(2.1) if isinstance(ack, StreamAck) and ack.stream == 1] == [8_192]


def test_limit_and_played_follow_the_play_clock() -> None:
    bench = Bench(StreamTerms(credit=8_000, played=True), StreamFaults(real_time=True))
    bench.send(fresh(), audio(0, 8_000))
    out = bench.wait(0.3)
    assert [ack.limit for ack in out if isinstance(ack, StreamAck)][-1] == pytest.approx(8_000 + 4_000, abs=1_700)
    bench.send(end(8_000))
    out = bench.wait(1)
    played = [message for message in out if isinstance(message, PlayedUntil)]
    assert played[-1] == PlayedUntil(1, 500, done=True)
    assert bench.given() == audio(0, 8_000).data


def test_utterances_of_a_session_are_played_one_after_the_other() -> None:
    bench = Bench(StreamTerms(played=True), StreamFaults(real_time=True))
    bench.send(fresh(), audio(0, 16_000), end(16_000))
    bench.send(fresh(2, seq=11, request="r2"), audio(0, 16_000, 2), end(16_000, 2))
    bench.wait(0.9)
    assert (len(bench.given(1)) > 12_000, bench.given(2)) == (True, b"")
    out = bench.wait(1.3)
    done = [message.stream for message in out if isinstance(message, PlayedUntil) and message.done]
    assert done == [1, 2], "the first is reported on its stream, which a later one has superseded"


def test_a_gap_is_skipped_when_its_time_has_passed() -> None:
    bench = Bench(faults=StreamFaults(real_time=True, skip_gaps=True))
    bench.send(fresh(), audio(0, 1_600), audio(3_200, 1_600))
    out = bench.wait(0.15)
    assert bench.store.utterances[1].holes.total == 0
    out += bench.wait(0.4)
    out += bench.send(end(4_800))
    last = out[-1]
    assert isinstance(last, StreamAck) and (last.upto, last.skipped, last.size) == (4_800, 1_600, 4_800)
    bench.wait(1)
    assert bench.given() == audio(0, 1_600).data + audio(3_200, 1_600).data


def test_a_stream_that_is_superseded_before_opened_is_never_due() -> None:
    bench = Bench(StreamTerms(played=True))
    bench.send(opening(1), fresh(2, seq=11, request="r2"))
    assert [type(message).__name__ for message in bench.wait(2.1)] == ["StreamAck"]
    assert bench.link.next_time(bench.now) == pytest.approx(bench.now + 2, abs=0.2)


def test_the_time_after_a_frame_is_that_of_its_stream() -> None:
    bench = Bench(StreamTerms(played=True))
    bench.send(fresh(), audio(0, 160))
    bench.wait(0.1)
    assert bench.link.new_time() == bench.link.next_time(bench.now)


# ---- barge-in


def test_a_cancel_ends_what_it_covers_and_refuses_it_later() -> None:
    bench = Bench(faults=StreamFaults(real_time=True))
    bench.send(fresh(), audio(0, 16_000))
    bench.wait(0.5)
    cleared = UtterancesCleared("s1", (("r1", 10, 500),), before=11)
    assert bench.send(cancel(before=11)) == [cleared]
    assert bench.send(cancel(before=11)) == [cleared], "the answer may have been lost"
    assert bench.wait(5) == []
    (refused,) = bench.send(opening(2))
    assert isinstance(refused, ServerError) and (refused.code, refused.stream) == ("cancelled", 2)
    assert isinstance(bench.send(fresh(3, seq=11))[0], StreamOpened), "a higher sequence is not covered"
    assert bench.given() == audio(0, 8_000).data


def test_a_cancel_reaches_what_is_whole_and_not_played_over_any_connection() -> None:
    bench = Bench(faults=StreamFaults(real_time=True))
    bench.send(fresh(), audio(0, 16_000), end(16_000))
    bench.link.closed(bench.now)
    bench.restart()
    assert bench.send(cancel(seq=10)) == [UtterancesCleared("s1", (("r1", 10, 0),), seq=10)]
    assert bench.given() == b""


def test_a_cancel_of_nothing_is_answered_and_covers_what_comes_later() -> None:
    bench = Bench()
    assert bench.send(cancel(before=11)) == [UtterancesCleared("s1", (), before=11)]
    bench.restart()
    (refused,) = bench.send(opening())
    assert isinstance(refused, ServerError) and refused.code == "cancelled"


def test_frames_of_another_connection_are_ignored_after_a_cancel() -> None:
    bench = Bench()
    bench.send(fresh(), audio(0, 100))
    bench.send(cancel(before=11), on=bench.connect())
    assert bench.send(audio(100, 100), end(200)) == [] and bench.rules == []


# ---- the fence


@pytest.mark.parametrize(("epoch", "attempt", "accepted"), [(5, 4, True), (6, 1, True), (5, 2, False), (4, 9, False)])
def test_only_a_higher_fence_is_accepted(epoch: int, attempt: int, accepted: bool) -> None:
    bench = Bench()
    bench.send(fresh(attempt=3), audio(0, 100))
    bench.restart()
    other = bench.connect()
    bench.send(opening(epoch=epoch, attempt=attempt), on=other)
    assert (bench.store.utterances[1].opens == 2) is accepted


def test_a_stale_bridge_is_refused_and_its_frames_are_ignored() -> None:
    bench = Bench()
    older, newer = bench.link, bench.connect()
    bench.send(fresh(), audio(0, 100), on=older)
    bench.send(opening(epoch=6), on=newer)
    assert bench.send(audio(100, 100), on=older) == []
    (refused,) = bench.send(opening(2), on=older)
    assert isinstance(refused, ServerError) and (refused.code, refused.stream) == ("stale_epoch", 2)
    (refused,) = bench.send(cancel(before=20), on=older)
    assert isinstance(refused, ServerError) and (refused.code, refused.session) == ("stale_epoch", "s1")
    assert bench.store.utterances[1].upto == 100 and bench.rules == []


def test_a_session_of_another_node_has_a_fence_of_its_own() -> None:
    bench = Bench()
    bench.send(fresh(epoch=9))
    link = bench.connect()
    link.hello = type(link.hello)(2, "other", "b", "s")  # type: ignore[misc, operator]
    assert isinstance(bench.send(fresh(epoch=1), on=link)[0], StreamOpened)
    assert len(bench.store.utterances) == 2


# ---- faults


def test_ask_again_never_falls_below_upto() -> None:
    bench = Bench(StreamTerms(credit=4_096), StreamFaults(ask_again=1))
    bench.send(fresh())
    uptos = [
        ack.upto for index in range(8) for ack in bench.send(audio(index * 512, 512)) if isinstance(ack, StreamAck)
    ]
    assert uptos == sorted(uptos) and bench.counts.asked_again > 0
    out = [*bench.send(end(4_096)), *bench.wait(0.6)]
    assert isinstance(out[-1], StreamAck) and out[-1].upto == 4_096


def test_acks_are_lost_or_late() -> None:
    bench = Bench(faults=StreamFaults(lose_acks=1))
    bench.send(fresh(), audio(0, 10))
    assert bench.wait(5) == [] and bench.counts.lost_acks == 3
    bench.mischief.set(StreamFaults(ack_delay_ms=500))
    assert bench.send(audio(10, 10), end(20)) == []
    assert bench.wait(0.49) == []
    *_, last = bench.wait(0.02)
    assert isinstance(last, StreamAck) and (last.upto, last.size) == (20, 20)


def test_open_errors_happen_so_often() -> None:
    bench = Bench(faults=StreamFaults(open_error="busy", open_errors=2))
    answers = [bench.send(fresh(stream))[0] for stream in (1, 2, 3)]
    assert [getattr(answer, "code", "opened") for answer in answers] == ["busy", "busy", "opened"]
    assert bench.send(audio(0, 10, 1)) == [] and bench.rules == []


def test_a_server_that_forgets_ends_its_streams_and_says_so() -> None:
    bench = Bench(faults=StreamFaults(forget_after_bytes=100))
    bench.send(fresh())
    (failed,) = bench.send(audio(0, 100))
    assert isinstance(failed, ServerError) and (failed.code, failed.stream) == ("failed", 1)
    assert bench.send(audio(100, 100)) == []
    bench.send(opening(2, acked=0))
    (opened,) = bench.wait(0.1)
    assert isinstance(opened, StreamOpened) and opened.upto == 0 and bench.rules == []
