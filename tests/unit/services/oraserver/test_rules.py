"""The reference OraServer's rules of protocol v1: each rule broken once, and valid frames that must not be reported."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract import subjects
from orastream.contract.audio import PcmSpec, wav_header
from services.oraserver.rules import Book, ConnectionRules, header_matches
from services.oraserver.utterances import Event, ReceivedUtterance, StoredChunk
from services.oraserver.wav import has_true_sizes, true_header

pytestmark = pytest.mark.unit

NOW = 1_700_000_000.5
HEADERS = {"session-id": "s1", "phone-id": "p1"}
AUDIO = [b"one", b"two", b"three", b"four"]


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def metadata(request: str = "r1", **changes: Any) -> dict[str, Any]:
    base = {"sessionId": "s1", "requestId": request, "phoneId": "p1", "text": "안녕", "engine": "espeak"}
    return base | {"language": "ko-KR"} | changes


def init(**changes: Any) -> dict[str, Any]:
    return {"type": "init", "session_id": "s1", "phone_id": "p1"} | changes


def chunk(index: int, request: str = "r1", audio: bytes | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "audioDataBase64": base64.b64encode(AUDIO[index] if audio is None else audio).decode(),
        "fileName": f"{subjects.token(request)}.wav",
        "chunkIndex": index,
        "isFirst": index == 0,
        "metadata": metadata(request),
    } | changes


def complete(total: int, request: str = "r1", **changes: Any) -> dict[str, Any]:
    return {"status": "complete", "totalChunks": total, "metadata": metadata(request)} | changes


def end(status: str = "cancelled", request: str = "r1", **changes: Any) -> dict[str, Any]:
    return {"status": status, "metadata": metadata(request, **changes)}


def post(audio: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "audioDataBase64": base64.b64encode(audio).decode(),
        "fileName": "r1.pcm",
        "metadata": metadata(),
    } | changes


def without(frame: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in frame.items() if name != key}


def send(connection: ConnectionRules, *frames: dict[str, Any] | bytes) -> None:
    for frame in frames:
        connection.receive(frame if isinstance(frame, bytes) else encoded(frame), NOW)


def rules_of(book: Book) -> list[str]:
    """The rules of all violations, once per occurrence; those of connections come first."""
    counts = [*book.connection_violations.values(), *(u.violations for u in book.utterances.values())]
    return [kind.rule for violations in counts for kind, n in violations.by_kind.items() for _ in range(n)]


def after(*frames: dict[str, Any] | bytes, headers: dict[str, str] = HEADERS) -> Book:
    book = Book()
    send(book.connect(headers), *frames)
    return book


def only(book: Book) -> ReceivedUtterance:
    (utterance,) = book.utterances.values()
    return utterance


def test_valid_frames_break_no_rule() -> None:
    book = after(init(), *(chunk(i) for i in range(4)), complete(4), chunk(0, "r2"), complete(1, "r2"))
    assert rules_of(book) == []
    first, second = book.utterances.values()
    assert (first.number, first.metadata.request_id, len(first.chunks), first.bytes) == (1, "r1", 4, 15)
    assert (second.number, second.metadata.request_id, len(second.chunks), second.bytes) == (2, "r2", 1, 3)
    assert all((u.repeats, u.complete, u.connections) == (0, True, 1) for u in (first, second))
    assert (first.transport, first.file_name, first.first_chunk_at, first.completed_at) == (
        "websocket",
        "r1.wav",
        NOW,
        NOW,
    )


DEEP = b'{"audioDataBase64":' + b"[" * 100_000
HUGE = b'{"status":"complete","totalChunks":' + b"9" * 10_000 + b"}"

BROKEN: list[tuple[str, str, list[dict[str, Any] | bytes]]] = [
    ("no JSON", "not-json", [init(), b"hello"]),
    ("not UTF-8", "not-json", [init(), b'{"type":"\xff"}']),
    ("no object", "not-json", [init(), b"[1]"]),
    ("deep JSON", "not-json", [init(), DEEP]),
    ("huge number", "not-json", [init(), HUGE]),
    ("NaN", "not-json", [init(), b'{"status":NaN}']),
    ("lone surrogate", "not-json", [init(), b'{"type":"\\ud800"}']),
    ("unknown type", "unknown-frame", [init(), {"type": "clear"}]),
    ("unknown status", "unknown-frame", [init(), complete(0, status="ended")]),
    ("end frame with totalChunks", "frame-keys", [init(), chunk(0), complete(1, status="failed")]),
    ("end frame without metadata", "frame-keys metadata-keys", [init(), chunk(0), without(end(), "metadata")]),
    ("chunk after an end frame", "frame-after-end", [init(), chunk(0), end("failed"), chunk(1)]),
    ("repeat after an end frame", "frame-after-end", [init(), chunk(0), end(), chunk(0)]),
    ("complete after an end frame", "frame-after-end", [init(), chunk(0), end(), complete(1)]),
    ("two end frames", "end-repeated", [init(), chunk(0), end("failed"), end()]),
    ("end frame of another phone", "session-mismatch", [init(), end(phoneId="p2")]),
    ("end frame in another language", "metadata-changed", [init(), chunk(0), end(language="en")]),
    (
        "a later utterance goes on",
        "interleaved",
        [init(), chunk(0), complete(1), chunk(0, "r2"), end(), chunk(1, "r2")],
    ),
    ("rate is a string", "metadata-value", [init(), chunk(0, metadata=metadata(sampleRate="8000"))]),
    ("rate is a boolean", "metadata-value", [init(), chunk(0, metadata=metadata(sampleRate=True))]),
    ("rate is 0", "metadata-value", [init(), chunk(0, metadata=metadata(sampleRate=0))]),
    ("rate is null", "metadata-value", [init(), chunk(0, metadata=metadata(sampleRate=None))]),
    ("rate changes", "metadata-changed", [init(), chunk(0, metadata=metadata(sampleRate=8000)), chunk(1)]),
    ("init with a key too many", "frame-keys", [init(token="x")]),
    ("init lacks a key", "init-ids header-mismatch frame-keys", [without(init(), "phone_id")]),
    ("init with a number", "init-ids header-mismatch", [init(phone_id=7)]),
    ("init with a control character", "init-ids header-mismatch", [init(phone_id="p\n")]),
    ("init missing", "init-first", [chunk(0)]),
    ("init twice", "init-once", [init(), init()]),
    ("header of another session", "header-mismatch session-mismatch", [init(session_id="s2"), chunk(0)]),
    ("chunk with a key too many", "frame-keys", [init(), chunk(0, codec="wav")]),
    ("chunk lacks fileName", "frame-keys file-name", [init(), without(chunk(0), "fileName")]),
    ("complete with a key too many", "frame-keys", [init(), chunk(0), complete(1, more=1)]),
    (
        "metadata lacks a key",
        "metadata-keys metadata-value",
        [init(), chunk(0, metadata=without(metadata(), "engine"))],
    ),
    ("metadata with a key too many", "metadata-keys", [init(), chunk(0, metadata=metadata(voice="f"))]),
    ("metadata is no object", "metadata-keys", [init(), chunk(0, metadata=None)]),
    ("text is no string", "metadata-value metadata-value", [init(), chunk(0, metadata=metadata(text=1))]),
    ("text is empty", "metadata-value", [init(), chunk(0, metadata=metadata(text=""))]),
    ("id too long", "metadata-value", [init(), chunk(0, metadata=metadata("r" * 257))]),
    ("text changes", "texts", [init(), chunk(0), chunk(1, metadata=metadata(text="또")), complete(2)]),
    ("text changes in a repeat", "repeat-differs", [init(), chunk(0), chunk(0, metadata=metadata(text="또"))]),
    ("language changes", "metadata-changed", [init(), chunk(0), chunk(1, metadata=metadata(language="en"))]),
    (
        "another complete text",
        "metadata-changed",
        [init(), chunk(0), complete(1), complete(1, metadata=metadata(text="또"))],
    ),
    ("another session", "session-mismatch", [init(), chunk(0, metadata=metadata(sessionId="s2"))]),
    ("another phone", "session-mismatch", [init(), chunk(0, metadata=metadata(phoneId="p2"))]),
    ("fileName of another request", "file-name", [init(), chunk(0, fileName="r2.wav")]),
    ("fileName with a path", "file-name", [init(), chunk(0, fileName="../r1.wav")]),
    ("fileName with another extension", "file-name", [init(), chunk(0, fileName="r1.exe")]),
    ("fileName changes", "file-name", [init(), chunk(0), chunk(1, fileName="r1.pcm")]),
    ("base64 not padded", "base64", [init(), chunk(0, audioDataBase64="YQ")]),
    ("base64 with a line break", "base64", [init(), chunk(0, audioDataBase64="YWFh\nYWFh")]),
    ("base64url", "base64", [init(), chunk(0, audioDataBase64="-_-_")]),
    ("base64 not ASCII", "base64", [init(), chunk(0, audioDataBase64="안녕")]),
    ("base64 no string", "base64", [init(), chunk(0, audioDataBase64=1)]),
    ("no audio", "empty-audio", [init(), chunk(0, audioDataBase64="")]),
    ("index is a float", "chunk-index", [init(), chunk(0, chunkIndex=0.0)]),
    ("index is a boolean", "chunk-index", [init(), chunk(0, chunkIndex=False)]),
    ("index is negative", "chunk-index", [init(), chunk(0, chunkIndex=-1)]),
    ("isFirst false on 0", "is-first", [init(), chunk(0, isFirst=False)]),
    ("isFirst true on 1", "is-first", [init(), chunk(0), chunk(1, isFirst=True)]),
    ("isFirst is 1", "is-first", [init(), chunk(0, isFirst=1)]),
    ("gap at the beginning", "gap", [init(), chunk(1)]),
    ("gap", "gap", [init(), chunk(0), chunk(2)]),
    ("other bytes under an index", "repeat-differs", [init(), chunk(0), chunk(0, audio=b"ONE")]),
    ("chunk after complete", "chunk-after-complete", [init(), chunk(0), complete(1), chunk(1)]),
    ("other bytes after complete", "repeat-differs", [init(), chunk(0), complete(1), chunk(0, audio=b"ONE")]),
    ("too few chunks", "total-chunks", [init(), chunk(0), complete(2)]),
    ("too many chunks", "total-chunks", [init(), chunk(0), chunk(1), complete(1)]),
    ("complete of nothing", "total-chunks", [init(), complete(0)]),
    ("totalChunks is a string", "total-chunks", [init(), chunk(0), complete(1, totalChunks="1")]),
    ("two utterances at once", "interleaved", [init(), chunk(0), chunk(0, "r2"), chunk(1)]),
    ("complete out of turn", "interleaved", [init(), chunk(0), chunk(0, "r2"), complete(1)]),
]


@pytest.mark.parametrize(("rules", "frames"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_book_reports_each_broken_rule(rules: str, frames: list[dict[str, Any] | bytes]) -> None:
    assert sorted(rules_of(after(*frames))) == sorted(rules.split())


def test_violations_never_contain_the_spoken_text() -> None:
    for _, _, frames in BROKEN:
        book = after(*frames)
        counts = [*book.connection_violations.values(), *(u.violations for u in book.utterances.values())]
        assert not [kind for violations in counts for kind in violations.by_kind if "안녕" in kind.detail]


def test_book_stores_the_audio_of_frames_with_small_violations() -> None:
    utterance = only(after(chunk(0, isFirst=False, extra=1, fileName="x"), init(), chunk(1), complete(2)))
    assert len(utterance.chunks) == 2
    assert utterance.complete


def test_book_stores_a_chunk_later_when_it_was_refused_first() -> None:
    book = after(init(), chunk(0), chunk(2), chunk(1), chunk(2), complete(3))
    assert only(book).complete
    assert rules_of(book) == ["gap"]


def test_book_reports_missing_headers_and_binary_frames() -> None:
    book = Book()
    connection = book.connect({})
    connection.receive_binary()
    send(connection, init())
    assert rules_of(book) == ["header-missing", "header-missing", "binary-frame"]


@pytest.mark.parametrize(
    ("header", "value", "matches"),
    [
        ("s1", "s1", True),
        ("a b/%41", "a b/%41", True),
        ("a%20b", "a b", False),  # printable ASCII is not encoded
        (quote("전화", safe=""), "전화", True),
        (quote("가/나", safe="/"), "가/나", True),
        ("전화", "전화", False),  # raw UTF-8 is not a valid header value
        ("%ff", "전화", False),
        (quote(" s "), " s ", True),
        ("s", " s ", True),  # HTTP strips the spaces
        ("s1", "s2", False),
    ],
)
def test_header_matches_its_plain_and_percent_encoded_value(header: str, value: str, matches: bool) -> None:
    assert header_matches(header, value) is matches


def test_percent_encoded_headers_break_no_rule() -> None:
    headers = {"session-id": quote("세션"), "phone-id": quote("전화")}
    about = metadata("요청", sessionId="세션", phoneId="전화")
    frames = [init(session_id="세션", phone_id="전화"), chunk(0, "요청", metadata=about), complete(1, metadata=about)]
    assert rules_of(after(*frames, headers=headers)) == []


def test_sessions_and_phones_do_not_disturb_each_other() -> None:
    book = Book()
    other = metadata("r2", phoneId="p2")
    here, there = book.connect(HEADERS), book.connect(HEADERS | {"phone-id": "p2"})
    send(here, init(), chunk(0))
    send(there, init(phone_id="p2"), chunk(0, "r2", metadata=other))
    send(here, chunk(1), complete(2))
    send(there, complete(1, metadata=other))
    assert rules_of(book) == []


def test_repeats_of_an_older_utterance_break_no_rule() -> None:
    """A bridge that has lost its ownership may still flush written chunks. Repeats are allowed in v1."""
    book = Book()
    old, new = book.connect(HEADERS), book.connect(HEADERS)
    send(old, init(), chunk(0), complete(1))
    send(new, init(), chunk(0, "r2"))
    send(old, chunk(0), complete(1))
    assert rules_of(book) == []
    assert book.utterances[1].repeats == 1


def test_numbering_continues_after_forget() -> None:
    book = after(init(), chunk(0))
    book.forget()
    send(book.connect(HEADERS), init(), chunk(0))
    assert list(book.utterances) == [2]


def test_number_of_stored_violations_is_bounded() -> None:
    utterance = only(after(init(), chunk(0), *(chunk(0, chunkIndex=i, isFirst=False) for i in range(2, 1_002))))
    assert utterance.violations.total == 1_000
    assert len(utterance.violations.by_kind) == 200


@given(
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8),
)
def test_any_resumption_breaks_no_rule(pieces: list[bytes], breaks: list[tuple[int, int]]) -> None:
    """Connections break at any chunk and resume at any stored index: no chunk is lost, and repeats are counted."""
    kept: list[Event] = []
    book = Book(kept.append)
    had = repeats = 0
    for back, on in breaks:
        connection = book.connect(HEADERS)
        begin, end = max(0, had - back), min(len(pieces), had + on)
        send(connection, init(), *(chunk(i, audio=pieces[i]) for i in range(begin, end)))
        repeats += min(had, end) - begin
        had = max(had, end)
    frames = [chunk(i, audio=pieces[i]) for i in range(had, len(pieces))]
    send(book.connect(HEADERS), init(), *frames, complete(len(pieces)), complete(len(pieces)))
    utterance = only(book)
    assert rules_of(book) == []
    assert (utterance.complete, utterance.repeats) == (True, repeats)
    assert b"".join(e.audio for e in kept if isinstance(e, StoredChunk)) == b"".join(pieces)

    again = Book()
    again.replay(kept)
    assert only(again).chunks == utterance.chunks
    assert (only(again).repeats, only(again).connections) == (utterance.repeats, utterance.connections)
    assert (only(again).metadata, only(again).completed_at) == (utterance.metadata, NOW)


@given(st.lists(st.integers(0, 6), max_size=40))
def test_book_stores_the_contiguous_chunks_for_any_order(order: list[int]) -> None:
    """For any sequence of indexes: 0…n are stored once each, and every other frame is a repeat or a gap."""
    kept: list[Event] = []
    book = Book(kept.append)
    send(book.connect(HEADERS), init(), *(chunk(i, audio=bytes([i + 1])) for i in order))
    stored = b"".join(e.audio for e in kept if isinstance(e, StoredChunk))
    assert stored == bytes(range(1, len(stored) + 1))
    repeats = sum(u.repeats for u in book.utterances.values())
    assert len(order) == len(stored) + repeats + len(rules_of(book))
    assert set(rules_of(book)) <= {"gap"}


def test_book_does_not_count_a_chunk_that_could_not_be_stored() -> None:
    full = False

    def keep(event: Event) -> None:
        if full and isinstance(event, StoredChunk):
            raise OSError("disk full")

    book = Book(keep)
    send(book.connect(HEADERS), init(), chunk(0))
    full = True
    with pytest.raises(OSError, match="disk full"):
        send(book.connect(HEADERS), init(), chunk(1))
    full = False
    send(book.connect(HEADERS), init(), chunk(1), complete(2))
    assert rules_of(book) == []
    assert only(book).complete


def test_book_stores_a_post_once_and_counts_its_repeat() -> None:
    book = Book()
    assert book.post(encoded(post(b"abc")), NOW)
    assert book.post(encoded(post(b"abc")), NOW)
    utterance = only(book)
    assert (utterance.transport, utterance.bytes, utterance.repeats, utterance.complete) == ("http", 3, 1, True)
    assert (rules_of(book), utterance.connections) == ([], 2)


@pytest.mark.parametrize(
    ("rules", "body"),
    [
        ("frame-keys", post(b"a", chunkIndex=0)),
        ("frame-keys metadata-keys", without(post(b"a"), "metadata")),
        ("empty-audio", post(b"")),
        ("base64", post(b"a", audioDataBase64="?")),
        ("file-name", post(b"a", fileName="/etc/passwd")),
        ("metadata-keys", post(b"a", metadata=metadata(more=""))),
        ("wav-sizes", post(wav_header(PcmSpec(16_000)) + b"aa", fileName="r1.wav")),
        ("wav-sizes", post(b"no wav", fileName="r1.wav")),
    ],
)
def test_book_reports_each_broken_rule_of_a_post(rules: str, body: dict[str, Any]) -> None:
    book = Book()
    book.post(encoded(body), NOW)
    assert sorted(rules_of(book)) == sorted(rules.split())


def test_book_refuses_a_post_that_differs_or_is_unusable() -> None:
    book = Book()
    assert not book.post(b"", NOW)
    assert book.post(encoded(post(b"abc")), NOW)
    assert not book.post(encoded(post(b"abd")), NOW)
    assert rules_of(book) == ["not-json", "repeat-differs"]


def test_book_reports_an_utterance_that_changes_its_transport() -> None:
    book = after(init(), chunk(0, fileName="r1.pcm"))
    book.post(encoded(post(AUDIO[0])), NOW)
    assert rules_of(book) == ["transport-changed"]


@given(st.binary(max_size=40))
def test_has_true_sizes_compares_the_header_with_the_data(pcm: bytes) -> None:
    spec = PcmSpec(24_000)
    assert has_true_sizes(wav_header(spec, len(pcm)) + pcm)
    assert not has_true_sizes(wav_header(spec) + pcm)
    assert not has_true_sizes(wav_header(spec, len(pcm) + 2) + pcm)
    assert true_header(wav_header(spec), 44 + len(pcm)) == wav_header(spec, len(pcm))
    assert true_header(pcm, 44 + len(pcm)) is None


def test_has_true_sizes_accepts_other_riff_chunks_before_the_data() -> None:
    fmt = wav_header(PcmSpec(8_000), 2)[12:36]
    body = b"WAVE" + fmt + b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", 2) + b"xy"
    assert has_true_sizes(b"RIFF" + struct.pack("<I", len(body)) + body)


def texts(*sentences: str) -> list[dict[str, Any]]:
    """One chunk per text."""
    return [chunk(index, metadata=metadata(text=text)) for index, text in enumerate(sentences)]


@pytest.mark.parametrize(
    ("sentences", "whole"),
    [
        (("Hello.", "Hello.", "How are you?"), "Hello. How are you?"),
        (("Hello.", "I am fine."), "Hello. How?\n I am  fine. "),
        (("Wait" + "-" * 300 + "here.",), "Wait" + "-" * 1000 + "here."),
    ],
)
def test_book_collects_the_texts_of_a_streamed_text(sentences: tuple[str, ...], whole: str) -> None:
    """Each chunk has its sentence's text, and `complete` the whole text; a repeat has the same text as the chunk."""
    frames = texts(*sentences)
    book = after(init(), *frames, frames[-1], complete(len(sentences), metadata=metadata(text=whole)))
    assert rules_of(book) == []
    utterance = only(book)
    assert (utterance.text, utterance.repeats, utterance.complete) == (whole, 1, True)
    assert utterance.texts == list(dict.fromkeys(sentences))


@pytest.mark.parametrize("sentences", [("How are you?", "Hello."), ("Hello.", "Hello you."), ("Bye.",)])
def test_book_reports_sentences_that_complete_does_not_contain(sentences: tuple[str, ...]) -> None:
    book = after(init(), *texts(*sentences), complete(len(sentences), metadata=metadata(text="Hello. How are you?")))
    assert rules_of(book) == ["texts"]


# ---- end frames


def on_new_connections(*connections: list[dict[str, Any]]) -> Book:
    """What the book has after these frames, each list on a connection of its own."""
    book = Book()
    for frames in connections:
        send(book.connect(HEADERS), init(), *frames)
    return book


def test_an_end_frame_is_noted_and_breaks_no_rule() -> None:
    book = after(init(), chunk(0), end("failed"), chunk(0, "r2"), complete(1, "r2"), end("cancelled", "r2"))
    assert rules_of(book) == []
    first, second = book.utterances.values()
    assert (first.ended, first.complete, second.ended, second.complete) == ("failed", False, "cancelled", True)


def test_end_frames_of_all_that_plays_break_no_rule() -> None:
    """And the next utterance after them goes on."""
    book = after(
        *(init(), chunk(0), complete(1), chunk(0, "r2"), complete(1, "r2"), chunk(0, "r3")),
        *(end("cancelled", request) for request in ("r1", "r2", "r3")),
        *(chunk(0, "r4"), chunk(1, "r4"), complete(2, "r4")),
    )
    assert rules_of(book) == []
    assert [one.ended for one in book.utterances.values()] == ["cancelled"] * 3 + [None]


def test_another_bridge_may_repeat_an_end_frame_or_go_on_after_a_failure() -> None:
    repeated = on_new_connections([chunk(0), end()], [end()])
    assert rules_of(repeated) == [] and only(repeated).ended == "cancelled"
    went_on = on_new_connections([chunk(0), end("failed")], [chunk(0), chunk(1), complete(2)])
    assert rules_of(went_on) == [] and only(went_on).ended is None and only(went_on).complete
    cancelled = on_new_connections([chunk(0), end()], [chunk(1)])
    assert rules_of(cancelled) == ["frame-after-end"] and len(only(cancelled).chunks) == 1


def test_an_end_frame_of_an_utterance_whose_chunks_were_lost_is_ignored() -> None:
    book = on_new_connections([end()])
    assert rules_of(book) == [] and not book.utterances


def test_the_sample_rate_is_known() -> None:
    rated = metadata(sampleRate=8000)
    book = after(init(), chunk(0, metadata=rated), complete(1, metadata=rated))
    assert rules_of(book) == [] and only(book).metadata.sample_rate == 8000
