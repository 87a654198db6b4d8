"""The index of a finished file has the same bytes as readers get, from whatever the stream holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioMessage, AudioStart, AudioWaiting, unpack
from orastream.jetstream.api import Stored
from services.gateway.files.index import FileIndex, FinishedFile

pytestmark = pytest.mark.unit

SUBJECT = "tts.audio.s.r"


def stored(sequence: int, message: AudioMessage | bytes) -> Stored:
    data = message if isinstance(message, bytes) else message.pack()
    return Stored(SUBJECT, sequence, f"2026-12-01T00:00:00.{sequence:09}Z", data)


def start(fmt: str = "pcm16", request_seq: int = 7) -> AudioStart:
    return AudioStart(request_seq, fmt, 22_050, 1, "espeak", "ko")


def chunk(attempt: int, index: int, audio: bytes) -> AudioChunk:
    return AudioChunk(attempt, index, 0, 0, audio)


def index_of(messages: list[AudioMessage | bytes], request_seq: int = 7) -> FinishedFile | None:
    index = FileIndex(request_seq)
    for sequence, message in enumerate(messages, 1):
        if (file := index.add(stored(sequence, message))) is not None:
            return file
    return None


def part(file: FinishedFile, messages: list[AudioMessage | bytes], first: int, last: int) -> bytes:
    got = b""
    for number in file.chunks(first, last):
        message, begin = messages[file.sequences[number] - 1], file.begin(number)
        assert isinstance(message, AudioChunk) and len(message.audio) == file.ends[number] - begin
        got += file.finished(message.audio, begin)[max(first - begin, 0) : last + 1 - begin]
    return got


# Short attempts of one request and of another, whose chunks come in any order, again and too late.
MESSAGES = st.lists(
    st.one_of(
        st.sampled_from([7, 7, 7, 8]).map(lambda seq: start(request_seq=seq)),
        st.builds(chunk, st.integers(1, 8), st.integers(0, 4), st.binary(min_size=1, max_size=5)),
        st.builds(
            lambda attempt, status, chunks: AudioEnd(attempt, status, chunks, 0, 0.0),
            st.integers(1, 8),
            st.sampled_from(["complete", "complete", "cancelled", "failed"]),
            st.integers(0, 4),
        ),
        st.builds(AudioWaiting, st.integers(1, 8)),
        st.just(b"not a message"),
    ),
    max_size=24,
)


@given(MESSAGES, st.data())
def test_parts_of_the_file_are_those_that_readers_get(
    messages: list[AudioMessage | bytes], data: st.DataObject
) -> None:
    assembly = Assembly(7)
    whole, end = b"", None
    for sequence, message in enumerate(messages, 1):
        if not isinstance(message, bytes):
            whole += b"".join(passed.audio for passed in assembly.receive(sequence, unpack(message.pack())))
            end = end or assembly.finished
    file = index_of(messages)
    if end is None or end.status == "failed" or not whole:
        assert file is None
        return
    assert file is not None and file.size == len(whole)
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole) - 1))
    assert part(file, messages, first, last) == whole[first : last + 1]
    assert part(file, messages, 0, len(whole) - 1) == whole


def test_chunks_in_another_order_and_of_a_second_attempt_are_found() -> None:
    messages: list[AudioMessage | bytes] = [
        start(),
        chunk(1, 1, b"lost"),  # held when the next attempt begins
        chunk(1, 0, b"ab"),
        start(),
        chunk(4, 3, b"ef"),
        chunk(4, 2, b"cd"),
        AudioEnd(4, "complete", 4, 10, 0.1),
    ]
    file = index_of(messages)
    assert file is not None
    assert part(file, messages, 0, file.size - 1) == b"ablostcdef"
    assert list(file.sequences) == [3, 2, 6, 5]


def test_start_of_another_request_drops_no_chunk_that_is_held() -> None:
    """An id that was used again: the late attempt of one request is stored between the chunks of the other."""
    messages: list[AudioMessage | bytes] = [
        start(),
        chunk(1, 1, b"cd"),
        start(request_seq=8),
        chunk(1, 0, b"ab"),
        AudioEnd(1, "complete", 2, 4, 0.1),
    ]
    file = index_of(messages)
    assert file is not None and part(file, messages, 0, 3) == b"abcd"


def test_entity_tag_is_that_of_the_stored_file() -> None:
    messages: list[AudioMessage | bytes] = [start(), chunk(1, 0, b"ab"), AudioEnd(1, "complete", 1, 2, 0.1)]
    file, again = index_of(messages), index_of([*messages, start(), chunk(4, 0, b"zz")])
    assert file is not None and again is not None
    assert file.etag == again.etag and file.etag[0] == file.etag[-1] == '"'
    longer = index_of([start(), chunk(1, 0, b"ab"), AudioWaiting(1), AudioEnd(1, "complete", 1, 2, 0.1)])
    other = index_of([start(request_seq=8), *messages[1:]], request_seq=8)
    assert longer is not None and other is not None
    assert len({file.etag, longer.etag, other.etag}) == 3
