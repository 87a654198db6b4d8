"""The chunks of an utterance: all bytes, bounded sizes, correct numbers and times, for any split of the PCM."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import PcmSpec, wav_header
from orastream.contract.sentence_start import SentenceStart
from orastream.contract.word_time import MAX_WORDS, WordTime
from services.synth.audio.pcm_chunker import AudioPiece, Cutting, PcmChunker

pytestmark = pytest.mark.unit

SPEC = PcmSpec(22_050)
HEADER = wav_header(SPEC)


DATA = bytes(i * 7 % 251 for i in range(251)) * 800


def pcm(seconds: float) -> bytes:
    return DATA[: SPEC.bytes_for_ms(seconds * 1000)]


def all_of(chunker: PcmChunker, parts: list[tuple[int, bytes]]) -> list[AudioPiece]:
    pieces = [piece for sentence, part in parts for piece in chunker.push(part, sentence)]
    return pieces + chunker.flush()


def test_chunker_begins_with_80_ms_and_doubles_up_to_the_chunk_size() -> None:
    pieces = all_of(PcmChunker(SPEC, Cutting(32_768, ramp=True), header=HEADER), [(0, pcm(4))])
    first = SPEC.bytes_for_ms(80)
    assert [len(p.audio) for p in pieces[:6]] == [44 + first, first * 2, first * 4, first * 8, 32_768, 32_768]
    assert [p.pts_ms for p in pieces[:4]] == [0, 80, 240, 560]


def test_chunker_fills_every_chunk_but_the_last_without_ramp() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=False), header=HEADER)
    pieces = chunker.push(pcm(2), 0) + chunker.end_sentence() + chunker.push(pcm(2), 1) + chunker.flush()
    assert {len(p.audio) for p in pieces[:-1]} == {32_768}
    assert [p.sentence for p in pieces] == [0, 0, 0, 1, 1, 1]


def test_chunker_does_not_hold_back_the_end_of_a_sentence() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=True))
    assert len(chunker.push(pcm(0.3), 0)) == 2
    assert chunker.end_sentence() == []  # 60 ms are pending: less than FIRST_CHUNK_MS
    assert [p.sentence for p in chunker.push(pcm(0.2), 1)] == []
    (rest,) = chunker.end_sentence()
    assert rest.sentence == 0, "the chunk does not have the sentence of its first sample"
    (tail,) = chunker.push(pcm(0.01), 2) + chunker.flush()
    assert tail.sentence == 2
    assert tail.index == 3


@pytest.mark.parametrize("ramp", [True, False])
def test_chunker_ends_a_chunk_at_every_sentence_with_by_sentence(ramp: bool) -> None:
    """For any length of the sentence, and any sizes."""
    chunker = PcmChunker(SPEC, Cutting(4096, ramp=ramp, by_sentence=True), header=HEADER)
    lengths, pieces = (0.01, 0.5, 0.0, 0.03, 1.0), list[AudioPiece]()
    for sentence, seconds in enumerate(lengths):
        pieces += chunker.push(pcm(seconds), sentence) + chunker.end_sentence()
        assert sum(len(piece.audio) for piece in pieces) == 44 + sum(len(pcm(s)) for s in lengths[: sentence + 1])
    assert chunker.flush() == []
    for sentence, seconds in enumerate(lengths):
        size = sum(len(piece.audio) for piece in pieces if piece.sentence == sentence) - (44 if not sentence else 0)
        assert size == len(pcm(seconds))


def test_chunker_returns_no_chunk_without_audio() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=True), header=HEADER)
    assert chunker.push(b"", 0) + chunker.end_sentence() + chunker.flush() == []


def test_chunker_raises_for_half_a_sample_at_the_end() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=True))
    chunker.push(b"\0\0\0", 0)
    with pytest.raises(ValueError, match="inside a sample"):
        chunker.flush()


@pytest.mark.parametrize("offset", [10, 43, 45])
def test_chunker_refuses_an_offset_inside_the_header_or_a_sample(offset: int) -> None:
    with pytest.raises(ValueError, match="offset_bytes"):
        PcmChunker(SPEC, Cutting(1024, ramp=True), header=HEADER, first_index=1, offset_bytes=offset)


def test_chunker_refuses_a_chunk_size_too_small_for_the_header() -> None:
    with pytest.raises(ValueError, match="chunk_bytes"):
        PcmChunker(SPEC, Cutting(45, ramp=True), header=HEADER)


@st.composite
def streams(draw: st.DrawFn) -> tuple[PcmSpec, list[tuple[int, bytes]]]:
    spec = PcmSpec(draw(st.sampled_from([8_000, 16_000, 22_050, 48_000])), draw(st.sampled_from([1, 2])))
    sizes = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6_000)), max_size=12))
    parts: list[tuple[int, bytes]] = []
    position = sentence = 0
    for step, size in sizes:
        sentence += step == 3
        parts.append((sentence, DATA[position : position + size]))
        position += size
    return spec, [*parts, (sentence, DATA[position : position + -position % spec.frame_bytes])]


@settings(max_examples=100)
@given(
    streams(),
    st.one_of(st.integers(60, 300), st.integers(300, 9_000)),
    st.booleans(),
    st.sampled_from([b"", HEADER]),
    st.integers(0, 3),
)
def test_chunks_contain_all_bytes_of_any_stream(
    stream: tuple[PcmSpec, list[tuple[int, bytes]]], chunk_bytes: int, ramp: bool, header: bytes, stored: int
) -> None:
    spec, parts = stream
    offset = len(header) + stored * 1000 * spec.frame_bytes if stored else 0
    chunker = PcmChunker(spec, Cutting(chunk_bytes, ramp=ramp), header=header, first_index=stored, offset_bytes=offset)
    pieces: list[AudioPiece] = []
    for number, (sentence, part) in enumerate(parts):
        pieces += chunker.push(part, sentence)
        if number + 1 < len(parts) and parts[number + 1][0] != sentence:
            pieces += chunker.end_sentence()
    pieces += chunker.flush()

    data = b"".join(part for _, part in parts)
    own_header = header if data and not stored else b""
    assert b"".join(p.audio for p in pieces) == own_header + data
    assert [p.index for p in pieces] == list(range(stored, stored + len(pieces)))
    owners = b"".join(bytes([sentence]) * len(part) for sentence, part in parts)
    position = 0
    for number, piece in enumerate(pieces):
        size = len(piece.audio) - (len(own_header) if number == 0 else 0)
        assert 0 < size
        assert size % spec.frame_bytes == 0
        assert len(piece.audio) <= chunk_bytes
        assert piece.sentence == owners[position]
        samples = stored * 1000 + position // spec.frame_bytes
        assert piece.pts_ms == samples * 1000 // spec.sample_rate_hz
        if not ramp and number + 1 < len(pieces):
            assert chunk_bytes - len(piece.audio) < spec.frame_bytes
        position += size


# ---- offsets and sentence starts


@settings(max_examples=60)
@given(
    parts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 900)), max_size=30),
    cutting=st.builds(Cutting, st.integers(64, 700), ramp=st.booleans(), by_sentence=st.booleans()),
    stored=st.integers(0, 200),
)
def test_offset_is_the_bytes_before_and_a_sentence_is_in_the_piece_of_its_first_sample(
    parts: list[tuple[int, int]], cutting: Cutting, stored: int
) -> None:
    """For sentences without audio, several in a piece, and one that begins where a piece ends."""
    offset_bytes = len(HEADER) + 2 * stored if stored else 0
    chunker = PcmChunker(SPEC, cutting, header=HEADER, offset_bytes=offset_bytes)
    at, begins, pieces = stored, dict[int, int](), list[AudioPiece]()
    for number, (pause, samples) in enumerate(parts):
        pieces += chunker.push(bytes(2 * pause), max(number - 1, 0))
        at += pause
        if samples:
            begins[number] = at
            chunker.begin(at, SentenceStart(number, 0, "x"))
        pieces += [*chunker.push(DATA[: 2 * samples], number), *chunker.end_sentence()]
        at += samples
    pieces += chunker.flush()
    offset, found = offset_bytes, {}
    for piece in pieces:
        assert piece.offset == offset
        first = max(offset - len(HEADER), 0) // 2
        offset += len(piece.audio)
        for start in piece.sentences:
            found[start.number] = begins[start.number]
            assert first <= begins[start.number] < (offset - len(HEADER)) // 2
    assert list(found.items()) == list(begins.items())


LONG = [SentenceStart(number, 0, "가" * 600) for number in range(12)]


def test_a_piece_ends_before_a_sentence_that_would_make_its_message_too_large() -> None:
    """In front of that sentence's first sample, whatever the cutting."""
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=False))
    pieces: list[AudioPiece] = []
    for start in LONG:
        chunker.begin(10 * start.number, start)
        pieces += chunker.push(bytes(20), start.number)
    pieces += chunker.flush()
    assert [[start.number for start in piece.sentences] for piece in pieces] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [*range(8, 12)],
    ]
    assert [piece.offset for piece in pieces] == [0, 80, 160]


def test_a_single_sentence_of_any_length_is_in_the_piece_where_it_begins() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768))
    whole = SentenceStart(0, 0, "가" * 5_000)
    chunker.begin(0, whole)
    first = chunker.push(bytes(20), 0)
    chunker.begin(10, LONG[1])
    pieces = [*first, *chunker.push(bytes(20), 1), *chunker.flush()]
    assert [piece.sentences for piece in pieces] == [(whole,), (LONG[1],)]


# ---- words


@settings(max_examples=60)
@given(
    words=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=30),
    cutting=st.builds(Cutting, st.integers(64, 700), ramp=st.booleans(), by_sentence=st.booleans()),
    stored=st.integers(0, 200),
)
def test_a_word_is_in_the_piece_of_its_last_sample(words: list[tuple[int, int]], cutting: Cutting, stored: int) -> None:
    """For words that end where a piece ends, and several in a piece; each is one sentence."""
    chunker = PcmChunker(SPEC, cutting, header=HEADER, offset_bytes=len(HEADER) + 2 * stored if stored else 0)
    at, ends, pieces = stored, list[int](), list[AudioPiece]()
    for number, (pause, samples) in enumerate(words):
        pieces += chunker.push(bytes(2 * pause), number)
        at += pause + samples
        chunker.word(at - 1, WordTime(number, 0, 1, 0, 1))
        ends.append(at - 1)
        pieces += [*chunker.push(DATA[: 2 * samples], number), *chunker.end_sentence()]
    pieces += chunker.flush()
    found = []
    for piece in pieces:
        first = max(piece.offset - len(HEADER), 0) // 2
        end = (piece.offset + len(piece.audio) - len(HEADER)) // 2
        for word in piece.words:
            assert first <= ends[word.sentence] < end
            found.append(word.sentence)
    assert found == list(range(len(words)))


def test_a_piece_ends_before_a_word_that_would_make_its_message_too_large() -> None:
    chunker = PcmChunker(SPEC, Cutting(32_768, ramp=False))
    count, pieces = 2 * MAX_WORDS + 10, list[AudioPiece]()
    for number in range(count):
        chunker.word(3 * number + 2, WordTime(0, number, number + 1, 0, 1))
        pieces += chunker.push(DATA[:6], 0)
    pieces += chunker.flush()
    assert [len(piece.words) for piece in pieces] == [MAX_WORDS, MAX_WORDS, 10]
    assert [word.first for piece in pieces for word in piece.words] == list(range(count))
    assert b"".join(piece.audio for piece in pieces) == DATA[:6] * count
