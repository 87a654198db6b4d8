"""How server error codes map to meanings and to exceptions."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orastream.contract.errors import (
    NodeUnavailable,
    OrastreamError,
    PublishRefused,
    SequenceConflict,
    SettingsError,
    StreamFull,
)
from orastream.jetstream import topology
from orastream.jetstream.answers import error_in, parse_ack
from orastream.jetstream.api_errors import Meaning, described, meaning

pytestmark = pytest.mark.unit

PASSING = [10008, 10009, 10004, 10007, 10005, 10023, 10047, 10076, 10039, 10118, 10065, 10027, 99999, 0, None]
"""Sent during an election, at a start, when a limit is reached, or by a newer server."""
SETTINGS = [10052, 10074, 10122]


@pytest.mark.parametrize("code", PASSING)
def test_passing_error_raises_node_unavailable(code: int | None) -> None:
    error = {"code": 503, "err_code": code, "description": "words of the server"}
    refused = topology._refused("TTS_AUDIO", error)
    assert isinstance(refused, NodeUnavailable)
    assert "TTS_AUDIO: words of the server" in str(refused)


@pytest.mark.parametrize("code", SETTINGS)
def test_error_that_a_setting_causes_raises_settings_error(code: int) -> None:
    assert isinstance(topology._refused("TTS_AUDIO", {"err_code": code}), SettingsError)


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (10071, SequenceConflict),
        (10164, SequenceConflict),
        (10077, StreamFull),
        (10023, StreamFull),
        (10047, StreamFull),
        (10054, PublishRefused),
        (10008, NodeUnavailable),
        (10163, NodeUnavailable),
        (10076, NodeUnavailable),
        (99999, NodeUnavailable),
    ],
)
def test_parse_ack_raises_the_exception_of_the_error_code(code: int, raised: type[OrastreamError]) -> None:
    ack = json.dumps({"error": {"code": 503, "err_code": code, "description": "no"}, "stream": "S", "seq": 0})
    with pytest.raises(raised) as caught:
        parse_ack("tts.request.s", ack.encode())
    assert type(caught.value) is raised
    assert str(code) in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b'{"stream":"S","seq":1}', b'"error"', b'{"error":null}', b'{"error":"x"}', b'["error"]', b"\xff"],
)
def test_error_in_returns_none_for_an_answer_without_a_server_error(answer: bytes) -> None:
    assert error_in(answer) is None


def test_error_without_a_known_code_is_passing() -> None:
    assert meaning({}) is meaning({"err_code": "10008"}) is Meaning.PASSING
    assert described({}) == "refused (0)"


def test_description_names_the_setting_to_change() -> None:
    no_room = {"err_code": 10047, "description": "insufficient storage resources"}
    assert "TTS_AUDIO_MAX_BYTES" in described(no_room)
    of_texts = described(no_room, "TTS_TEXTS_MAX_BYTES")
    assert "lower TTS_TEXTS_MAX_BYTES" in of_texts and "TTS_AUDIO" not in of_texts
    assert "TTS_TEXTS" not in described({"err_code": 10074}, "TTS_TEXTS_MAX_BYTES")


ANSWERS = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["seq", "error", "err_code"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)


@given(ANSWERS)
@example(b"{}")
@example(b'{"error":"x"}')
@example(b'{"error":{"err_code":"x"}}')
@example(b'{"seq":null}')
@example(b'{"seq":"7"}')
@example(b"[" * 100_000)
def test_parse_ack_raises_only_orastream_errors_for_any_answer(answer: bytes) -> None:
    """Any other exception would end the heartbeat task, and with it the bridge."""
    error_in(answer)
    try:
        assert parse_ack("tts.request.s", answer).sequence is not None
    except OrastreamError:
        pass


def test_description_of_the_server_is_cleaned() -> None:
    error = {"err_code": 10077, "description": "\x1b[2J maximum\u202e\nexceeded" + "x" * 1_000}
    assert described(error).startswith("\ufffd[2J maximum\ufffd exceeded") and len(described(error)) < 300
    assert described({"err_code": 1}) == "refused (1)"
