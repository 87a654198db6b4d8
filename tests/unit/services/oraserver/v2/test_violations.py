"""Each rule of protocol v2 that a bridge can break, broken once."""

from __future__ import annotations

from typing import Any, get_args

import msgpack
import pytest

from orastream.contract.audio import PcmSpec, wav_header
from orastream.contract.oraserver.from_bridge import AudioRange, BridgeHello, CancelUtterances
from orastream.contract.oraserver.from_server import ServerError
from services.oraserver.stream_faults import StreamFaults
from services.oraserver.v2.answers import CloseConnection
from services.oraserver.v2.connection import BridgeConnection
from services.oraserver.v2.storage import MemoryStorage
from services.oraserver.v2.store import Store
from services.oraserver.v2.terms import StreamTerms
from services.oraserver.violations import StreamRule
from tests.support.bridge_frames import HELLO, Bench, audio, cancel, end, fresh, opening, text

pytestmark = pytest.mark.unit

TERMS = StreamTerms(credit=5_000, streams=2, formats=("pcm16", "wav", "opus"))
SECOND = {"session": "s2", "request": "r2"}
WORDS = ((0, 2, 0, 100), (3, 2, 100, 200))

USED: list[tuple[str, str, list[Any]]] = [
    ("a large text", "v2-frame-size", [fresh(), text(words=tuple((i, 1, 0, 0) for i in range(65_000)))]),
    ("three streams", "v2-streams", [fresh(), fresh(2, **SECOND), fresh(3, session="s3")]),
    ("an empty id", "v2-ids", [fresh(session="")]),
    ("an id with a line break", "v2-ids", [fresh(request="a\nb")]),
    ("mp3", "v2-format", [fresh(format="mp3")]),
    ("try twice", "v2-try", [fresh(), opening(2, attempt=1)]),
    ("try falls", "v2-try", [fresh(attempt=5), opening(2, attempt=4)]),
    ("try 0 after a cancel", "v2-try", [cancel(before=3), fresh(attempt=0)]),
    ("a lower sequence", "v2-order", [fresh(), fresh(2, seq=9, request="r0")]),
    ("another language", "v2-changed", [fresh(), opening(2, language="en")]),
    ("acked above upto", "v2-acked", [fresh(), audio(0, 100), audio(100, 100), opening(2, acked=101)]),
    ("fresh twice", "v2-fresh", [fresh(), audio(0, 100), fresh(2)]),
    ("audio before opened", "v2-before-opened", [opening(), audio(0, 10)]),
    ("other bytes", "v2-bytes-differ", [fresh(), audio(0, 100), audio(50, 100, fill=1)]),
    ("wrong time of audio", "v2-audio-time", [fresh(), audio(1_600, 10, ms=200)]),
    ("a late text", "v2-text-late", [fresh(), text(), audio(0, 3_200), text(1, 100)]),
    ("text falls", "v2-text-order", [fresh(), text(1, 0), text(0, 0)]),
    ("text twice", "v2-text-order", [fresh(), text(0, 0), text(0, 0)]),
    ("text back in time", "v2-text-order", [fresh(), text(0, 50), text(1, 40)]),
    ("words of the sentence before", "v2-text-order", [fresh(), text(0, 0), text(1, 50), text(0, 0, words=WORDS)]),
    ("late words", "v2-text-late", [fresh(), text(0, 0), audio(0, 3_600), text(0, 0, words=WORDS)]),
    ("one late word", "v2-text-late", [fresh(), text(words=WORDS[:1]), audio(0, 3_600), text(words=WORDS)]),
    ("overlapping texts", "v2-text-range", [fresh(), text(0, 0, first=0, past=6), text(1, 50, first=5, past=9)]),
    ("text from behind", "v2-text-range", [fresh(), text(0, 0, first=6, past=0)]),
    ("only from", "v2-text-range", [fresh(), text(0, 0, first=6)]),
    ("words outside", "v2-text-range", [fresh(), text(0, 0, first=0, past=4, words=WORDS)]),
    ("words out of order", "v2-text-range", [fresh(), text(0, 0, first=0, past=9, words=WORDS[::-1])]),
    ("size too large", "v2-end-size", [fresh(), audio(0, 160), end(320)]),
    ("wrong duration", "v2-end-time", [fresh(), audio(0, 1_600), end(1_600, ms=150)]),
    ("text after end", "v2-after-end", [fresh(), audio(0, 160), end(160), text()]),
    ("end twice", "v2-after-end", [fresh(), audio(0, 160), end(160), end(160)]),
    ("audio after cancel", "v2-after-cancel", [fresh(), cancel(before=11), audio(0, 10)]),
    ("end after cancel", "v2-after-cancel", [fresh(), cancel(seq=10), end(0)]),
    ("no WAV", "v2-file", [fresh(format="wav"), audio(0, 44), end(44, ms=0)]),
    ("no Ogg", "v2-file", [fresh(format="opus"), audio(0, 44), end(44, ms=0)]),
]

FATAL: list[tuple[str, str, list[Any]]] = [
    ("no msgpack", "v2-frame", [b"\xc1"]),
    ("no map", "v2-frame", [msgpack.packb([1])]),
    ("a missing key", "v2-frame", [msgpack.packb({"t": "end", "s": 1})]),
    ("a wrong type", "v2-frame", [fresh(), msgpack.packb({"t": "audio", "s": 1, "at": "0", "data": b"x"})]),
    ("cancel of nothing", "v2-frame", [CancelUtterances("s1", 5)]),
    ("cancel of two", "v2-frame", [CancelUtterances("s1", 5, 1, 2)]),
    ("hello twice", "v2-hello", [HELLO]),
    ("audio of no stream", "v2-unknown-stream", [audio(0, 10)]),
    ("text of no stream", "v2-unknown-stream", [fresh(), text(stream=2)]),
    ("end of no stream", "v2-unknown-stream", [end(0)]),
    ("a stream again", "v2-stream-number", [fresh(), opening(1, attempt=2)]),
    ("audio above the limit", "v2-limit", [fresh(), audio(4_000, 1_001)]),
    ("audio above the size", "v2-size", [fresh(), audio(0, 160), end(160), audio(150, 20)]),
    ("another size", "v2-size", [fresh(), audio(0, 160), end(160), end(100)]),
    ("another size in a later stream", "v2-size", [fresh(), audio(0, 160), end(160), opening(2), end(100, 2)]),
]


def after(messages: list[Any]) -> tuple[Bench, list[Any]]:
    bench, out = Bench(TERMS), []
    for message in messages:
        if bench.link.next_time(bench.now) is not None and not isinstance(message, AudioRange):
            bench.wait(0.006)
        payload = message if isinstance(message, bytes) else message.pack()
        out += bench.link.received(payload, bench.now)
    return bench, out


@pytest.mark.parametrize(("rule", "messages"), [case[1:] for case in USED], ids=[case[0] for case in USED])
def test_a_broken_rule_is_recorded_and_the_connection_goes_on(rule: str, messages: list[Any]) -> None:
    bench, out = after(messages)
    assert bench.rules == [rule]
    assert not any(isinstance(answer, CloseConnection) for answer in out)


@pytest.mark.parametrize(("rule", "messages"), [case[1:] for case in FATAL], ids=[case[0] for case in FATAL])
def test_a_fatal_one_closes_the_connection(rule: str, messages: list[Any]) -> None:
    bench, out = after(messages)
    assert bench.rules == [rule]
    error, close = out[-2:]
    assert isinstance(error, ServerError) and (error.code, error.fatal) == ("protocol", True)
    assert close == CloseConnection(1002)
    assert bench.send(fresh(9, attempt=9)) == [] and bench.link.next_time(bench.now) is None


def new_link() -> tuple[Store, BridgeConnection]:
    store = Store(MemoryStorage())
    return store, BridgeConnection(store, TERMS)


@pytest.mark.parametrize("message", [fresh(), BridgeHello(1, "tts", "b", "s")])
def test_hello_comes_first(message: Any) -> None:
    store, link = new_link()
    assert link.received(message.pack(), 1.0)[-1] == CloseConnection(1002)
    assert [violation.rule for violation in store.connection_violations[None].by_kind] == ["v2-hello"]


def test_text_frames_are_refused() -> None:
    store, link = new_link()
    assert link.received_text()[-1] == CloseConnection(1002)
    assert [violation.rule for violation in store.connection_violations[None].by_kind] == ["v2-text-frame"]


@pytest.mark.parametrize("frame", [audio(0, 10), AudioRange(1, 0, b"x", crc=1)])
def test_a_checksum_that_was_asked_for_is_there_and_matches(frame: AudioRange) -> None:
    bench = Bench(StreamTerms(crc=True))
    bench.send(fresh(), frame)
    assert bench.rules == ["v2-crc"]


def test_each_rule_has_a_case() -> None:
    elsewhere = {"v2-text-frame", "v2-crc"}
    assert {case[1] for case in (*USED, *FATAL)} | elsewhere == set(get_args(StreamRule))


def test_valid_streams_break_no_rule() -> None:
    bench = Bench(StreamTerms(credit=100_000))
    file = wav_header(PcmSpec(8_000)) + bytes(3_200)
    bench.send(fresh(format="wav"), text(0, 0, first=0, past=5, words=WORDS))
    bench.send(
        AudioRange(1, 0, file[:1_644], 0), text(1, 100, first=5, past=9), AudioRange(1, 1_644, file[1_644:], 100)
    )
    bench.send(end(len(file), ms=200), text_of_another_session := fresh(2, **SECOND))
    assert text_of_another_session.session == "s2"
    bench.send(opening(3, format="wav", acked=3_244))
    bench.wait(0.1)
    bench.send(end(len(file), 3, ms=200))
    assert bench.rules == []


def test_large_frames_are_counted_while_streams_compete() -> None:
    bench = Bench(StreamTerms())
    bench.send(fresh(), audio(0, 20_000), fresh(2, **SECOND), audio(20_000, 20_000), audio(0, 16_384, 2))
    assert (bench.counts.large_frames, bench.rules) == (1, [])


def test_repeats_of_what_was_dropped_are_retransmitted_and_no_duplicates() -> None:
    bench = Bench(faults=StreamFaults(drop_audio=1))
    bench.send(fresh(), audio(0, 100))
    bench.mischief.set(StreamFaults())
    bench.send(audio(0, 100), audio(50, 100))
    utterance = bench.store.utterances[1]
    assert (utterance.again_bytes, utterance.duplicate_bytes, utterance.repeats) == (150, 50, 1)
    assert (bench.counts.retransmitted_bytes, bench.counts.duplicate_bytes) == (150, 50)
