"""Files say that a machine made the speech: what a reader of the file finds."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orastream.contract.audio import FORMATS, Format, PcmSpec, rate_for
from services.synth.audio.coded_chunker import CodedChunker
from services.synth.audio.encoder import encoder_of, file_mark
from services.synth.audio.file_tags import speech_tags
from services.synth.audio.pcm_chunker import Cutting

pytestmark = pytest.mark.unit

TAGGED: list[Format] = ["opus", "flac", "mp3"]
EXPECTED = {
    "comment": "Synthetic speech",
    "encoded_by": "espeak 0.2.4",
    "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia",
}


def tagged_chunks(fmt: Format, tags: dict[str, str], seconds: float = 2.0) -> list[bytes]:
    """Returns the chunks of a file with a tone."""
    hz = rate_for(fmt, 22_050)
    pcm = (8_000 * np.sin(np.arange(int(hz * seconds)) / 20)).astype("<i2").tobytes()
    chunker = CodedChunker(PcmSpec(hz), encoder_of(fmt, hz, tags), Cutting(4_096))
    pieces = [piece for at in range(0, len(pcm), 2_000) for piece in chunker.push(pcm[at : at + 2_000], 0)]
    return [piece.audio for piece in [*pieces, *chunker.flush()]]


def tags_in(file: bytes) -> dict[str, str]:
    """Returns the tags that FFmpeg finds in the file or its stream, by names in lower case."""
    with av.open(io.BytesIO(file)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0
    return {name.lower(): value for name, value in found.items()}


@pytest.mark.parametrize("fmt", TAGGED)
def test_a_reader_finds_that_a_machine_made_the_speech(fmt: Format) -> None:
    found = tags_in(b"".join(tagged_chunks(fmt, speech_tags("espeak", "0.2.4", trained=False))))
    assert {name: found.get(name) for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("fmt", TAGGED)
def test_the_tags_are_in_the_first_chunk_and_only_there(fmt: Format) -> None:
    first, *others = tagged_chunks(fmt, speech_tags("espeak", "0.2.4", trained=True))
    for value in (b"Synthetic speech", b"espeak 0.2.4", b"trainedAlgorithmicMedia"):
        assert value in first and not any(value in chunk for chunk in others)
    assert len(first) < 4_096 and others, "the first chunk waits for later ones"


@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fmt not in (*TAGGED, "wav", "pcm16")])
def test_formats_without_a_header_have_no_tags(fmt: Format) -> None:
    with_tags = b"".join(tagged_chunks(fmt, speech_tags("espeak", "0.2.4", trained=True)))
    assert with_tags == b"".join(tagged_chunks(fmt, {}))


@pytest.mark.parametrize("fmt", TAGGED)
@settings(max_examples=25, deadline=None)
@given(engine=st.text(max_size=300), version=st.text(max_size=300))
def test_any_name_of_an_engine_gives_a_file_that_can_be_read(fmt: Format, engine: str, version: str) -> None:
    found = tags_in(b"".join(tagged_chunks(fmt, speech_tags(engine, version, trained=True), 0.2)))
    assert found["comment"] == "Synthetic speech"
    assert len(found.get("encoded_by", "")) <= 200


def test_the_mark_of_a_file_is_that_of_its_encoder() -> None:
    marks = {fmt: file_mark(fmt) for fmt in FORMATS}
    assert marks["wav"] == marks["pcm16"] == marks["mulaw"] == file_mark("of a later version") == ""
    assert marks["opus"] == marks["mp3"] != ""
    assert av.__version__ in marks["opus"]
