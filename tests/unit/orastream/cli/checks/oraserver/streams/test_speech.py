"""The utterances of the checks of v2 have the size that was asked for, in a format that the server takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.cli.checks.oraserver.server import ServerUnderTest
from orastream.cli.checks.oraserver.streams.negotiation_checks import problems_of
from orastream.cli.checks.oraserver.streams.speech import format_of, speech_in
from orastream.contract.audio import FORMATS, Format
from orastream.contract.oraserver.from_server import ServerHello
from orastream.tls import ORASERVER, ClientTls, TlsFiles

pytestmark = pytest.mark.unit


def server(*formats: str) -> ServerUnderTest:
    tested = ServerUnderTest("ws://127.0.0.1:1/", None, ClientTls(TlsFiles(ORASERVER)))
    tested.stream_formats[:] = formats
    return tested


@given(fmt=st.sampled_from(FORMATS), size=st.integers(1, 50_000))
def test_a_file_has_its_size_in_each_format(fmt: Format, size: int) -> None:
    spoken = speech_in(server(fmt), "name", size=size)
    assert (spoken.size, spoken.said.format) == (size, fmt)
    assert b"".join(spoken.said.parts) == spoken.file


def test_pcm_is_preferred_and_what_is_unknown_is_ignored() -> None:
    assert format_of(["opus", "pcm16", "wav"]) == "pcm16"
    assert format_of(["opus", "other", "wav"]) == "wav"
    assert format_of(["other", "opus"]) == "opus"
    assert format_of([]) == "pcm16"


def test_each_utterance_has_a_higher_sequence() -> None:
    tested = server()
    assert speech_in(tested, "a").seq < speech_in(tested, "a").seq < next(tested.numbers)


def test_what_is_wrong_with_a_hello() -> None:
    good = ServerHello(2, 4_096, 1, ("other", "wav"), 0)
    assert problems_of(good) == []
    bad = problems_of(ServerHello(3, 4_095, 1, ("other",), 0))
    assert [problem.split()[0] for problem in bad] == ["`version`", "`credit`", "`formats`"]
