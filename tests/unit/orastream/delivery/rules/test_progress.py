"""The counts of a delivery's report: confirmed chunks, bytes and seconds, also after a takeover or a rewind."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.contract.assembly import Assembly
from orastream.contract.audio_messages import AudioChunk, AudioEnd, AudioStart, EndStatus
from orastream.delivery.rules.confirmation import WrittenChunk
from orastream.delivery.rules.progress import Progress

pytestmark = pytest.mark.unit

REQUEST = 3
CHUNK_BYTES = 1_600
"""0.1 s of PCM at 8 kHz."""


def chunk(index: int, size: int = CHUNK_BYTES) -> AudioChunk:
    return AudioChunk(1, index, index * 100, 0, bytes(size))


def written(index: int, size: int = CHUNK_BYTES) -> WrittenChunk:
    return WrittenChunk(index, size, index / 10)


def assembly_of(fmt: str, chunks: int = 0, *, end: EndStatus | None = None) -> Assembly:
    assembly = Assembly(REQUEST)
    assembly.receive(1, AudioStart(REQUEST, fmt, 8_000, 1, "e", "l"))
    for index in range(chunks):
        assembly.receive(2 + index, chunk(index))
    if end is not None:
        assembly.receive(2 + chunks, AudioEnd(1, end, chunks, 0, 7.77))
    return assembly


def test_confirmed_chunks_add_their_bytes_and_seconds() -> None:
    progress, assembly = Progress(), assembly_of("pcm16")
    progress.confirmed(2, [written(0), written(1)], assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (2, 3_200, 0.2)
    progress.confirmed(3, [written(2)], assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (3, 4_800, 0.3)


def test_an_answer_for_fewer_chunks_changes_nothing() -> None:
    progress, assembly = Progress(), assembly_of("pcm16")
    progress.confirmed(2, [written(0), written(1)], assembly)
    progress.confirmed(1, [], assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (2, 3_200, 0.2)


@pytest.mark.parametrize(("fmt", "seconds"), [("pcm16", 0.1), ("wav", 0.097), ("mulaw", 0.2), ("alaw", 0.2)])
def test_seconds_come_from_the_bytes_if_the_format_has_a_fixed_byte_rate(fmt: str, seconds: float) -> None:
    progress = Progress()
    progress.confirmed(1, [written(0)], assembly_of(fmt))
    assert progress.audio_seconds == seconds


def test_seconds_of_a_coded_format_come_from_the_start_of_the_last_confirmed_chunk() -> None:
    progress = Progress()
    progress.confirmed(3, [written(0), written(1), written(2)], assembly_of("opus", 5))
    assert progress.audio_seconds == 0.2


def test_seconds_of_a_whole_coded_utterance_come_from_its_end() -> None:
    progress, assembly = Progress(), assembly_of("opus", 2, end="complete")
    progress.confirmed(1, [written(0)], assembly)
    assert progress.audio_seconds == 0.0, "not all chunks are confirmed"
    progress.confirmed(2, [written(1)], assembly)
    assert progress.audio_seconds == 7.77


def test_seconds_of_a_failed_coded_utterance_come_from_the_last_confirmed_chunk() -> None:
    progress = Progress()
    progress.confirmed(2, [written(0), written(1)], assembly_of("opus", 2, end="failed"))
    assert progress.audio_seconds == 0.1


def test_written_audio_counts_before_it_is_confirmed() -> None:
    progress, assembly = Progress(), assembly_of("pcm16", 3)
    assert assembly.start is not None
    for index, seconds in ((0, 0.1), (1, 0.2), (0, 0.2)):  # the last one is sent again
        progress.wrote(assembly.start, dataclasses.replace(chunk(index), offset=index * CHUNK_BYTES))
        assert (progress.sent_seconds, progress.audio_seconds) == (seconds, 0.0)


def test_written_audio_of_a_coded_format_counts_to_the_begin_of_the_last_chunk() -> None:
    progress, assembly = Progress(), assembly_of("opus", 3)
    assert assembly.start is not None
    for index in range(3):
        progress.wrote(assembly.start, dataclasses.replace(chunk(index), offset=index * CHUNK_BYTES))
    assert progress.sent_seconds == 0.2


def test_without_a_start_only_the_seconds_stay_unknown() -> None:
    progress = Progress()
    progress.confirmed(1, [written(0)], Assembly(REQUEST))
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (1, CHUNK_BYTES, 0.0)


def test_chunks_confirmed_to_an_earlier_owner_are_counted_when_they_are_read() -> None:
    progress, assembly = Progress(chunks=2), assembly_of("pcm16")
    progress.confirmed_before(chunk(0), assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (2, 1_600, 0.1)
    progress.confirmed_before(chunk(1), assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (2, 3_200, 0.2)
    progress.confirmed(3, [written(2)], assembly)
    assert (progress.chunks, progress.bytes, progress.audio_seconds) == (3, 4_800, 0.3)


def test_a_chunk_confirmed_before_counts_once_and_only_in_order() -> None:
    progress, assembly = Progress(chunks=3), assembly_of("pcm16")
    progress.confirmed_before(chunk(1), assembly)
    assert progress.bytes == 0
    progress.confirmed_before(chunk(0), assembly)
    progress.confirmed_before(chunk(0), assembly)
    assert progress.bytes == CHUNK_BYTES


def test_seconds_of_coded_chunks_confirmed_to_an_earlier_owner() -> None:
    progress, assembly = Progress(chunks=3), assembly_of("opus", 3)
    for index in range(3):
        progress.confirmed_before(chunk(index), assembly)
    assert progress.audio_seconds == 0.2


def test_a_rewind_does_not_lower_the_seconds_of_a_coded_format() -> None:
    progress, assembly = Progress(), assembly_of("opus", 5)
    progress.confirmed(3, [written(0), written(1), written(2)], assembly)
    progress.start_over()
    progress.confirmed_before(chunk(0), assembly)
    progress.confirmed(3, [], assembly)
    assert progress.audio_seconds == 0.2


@given(earlier=st.integers(0, 4), answers=st.lists(st.integers(1, 3), max_size=5), rewinds=st.integers(0, 3))
def test_a_rewind_counts_no_chunk_twice(earlier: int, answers: list[int], rewinds: int) -> None:
    """Chunks have different sizes. All confirmed chunks are read again after each answer."""
    progress, assembly = Progress(chunks=earlier), assembly_of("pcm16")
    sizes = [100 * (index + 1) for index in range(20)]
    for index in range(earlier):
        progress.confirmed_before(chunk(index, sizes[index]), assembly)
    for count in answers:
        confirmed = progress.chunks
        new = [written(index, sizes[index]) for index in range(confirmed, confirmed + count)]
        progress.confirmed(confirmed + count, new, assembly)
        for _ in range(rewinds):
            seconds = progress.audio_seconds
            progress.start_over()
            for index in range(progress.chunks):
                progress.confirmed_before(chunk(index, sizes[index]), assembly)
                assert progress.audio_seconds == seconds
    assert progress.bytes == sum(sizes[: progress.chunks])
    assert progress.audio_seconds == round(progress.bytes / 16_000, 3)


def test_a_rewind_before_all_earlier_chunks_were_read_counts_them_from_the_start() -> None:
    progress, assembly = Progress(chunks=3), assembly_of("pcm16")
    progress.confirmed_before(chunk(0), assembly)
    progress.confirmed_before(chunk(1), assembly)
    progress.start_over()
    for index in range(3):
        progress.confirmed_before(chunk(index), assembly)
    assert progress.bytes == 3 * CHUNK_BYTES
