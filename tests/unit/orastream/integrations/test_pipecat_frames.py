"""What Pipecat gets of the node's words and errors."""

from __future__ import annotations

import pytest

from orastream.client.complete_audio import SpeechFailed
from orastream.contract.errors import (
    RETRYABLE,
    Code,
    InvalidRequest,
    NodeUnavailable,
    Overloaded,
    SettingsError,
    WaitTimeout,
)
from orastream.contract.messages import ReportError
from orastream.integrations.live_transcript import TranscriptPart
from orastream.integrations.pipecat_frames import CATEGORIES, SpokenWords, failure_of

pytestmark = pytest.mark.unit


def part(text: str, begin_ms: int, end_ms: int) -> TranscriptPart:
    return TranscriptPart(text, begin_ms, end_ms)


def failed(code: Code, message: str) -> SpeechFailed:
    return SpeechFailed(ReportError.of(code, message))


def test_a_word_counts_from_its_begin_and_the_last_one_comes_with_the_rest() -> None:
    words = SpokenWords("en-US")
    assert words.add([part("Hello, ", 0, 400), part("my ", 400, 500), part("friend.", 500, 900)]) == [
        ("Hello,", 0.0),
        ("my", 0.4),
    ]
    assert words.rest() == [("friend.", 0.5)]
    assert words.rest() == [] and words.add([]) == []


def test_parts_without_white_space_between_them_are_one_word_from_the_begin_of_the_first() -> None:
    words = SpokenWords(None)
    assert words.add([part("14일", 1000, 1400)]) == []
    assert words.add([part("에 ", 1400, 1500), part("봐요.\n", 1500, 2000)]) == [("14일에", 1.0), ("봐요.", 1.5)]


def test_a_sentence_that_comes_whole_counts_when_it_has_been_spoken() -> None:
    words = SpokenWords("ko-KR")
    assert words.add([part("오늘은 날씨가 좋습니다. ", 0, 2500)]) == [("오늘은 날씨가 좋습니다.", 2.5)]
    assert words.add([part("네. 그럼요", 2500, 3000)]) == [] and words.rest() == [("네. 그럼요", 3.0)]


@pytest.mark.parametrize(("language", "spaces"), [("zh-CN", False), ("JA", False), ("ko", True), ("", True)])
def test_languages_without_white_space_have_each_part_as_a_word(language: str, spaces: bool) -> None:
    words = SpokenWords(language)
    assert words.has_spaces is spaces
    expected = [] if spaces else [("你好,", 0.0), ("世界", 0.5)]
    assert words.add([part("你好,", 0, 500), part("世界", 500, 900)]) == expected


def test_white_space_alone_is_no_word() -> None:
    words = SpokenWords("en")
    assert words.add([part(" \n", 0, 100)]) == [] and words.rest() == []


def test_every_code_has_a_category() -> None:
    assert CATEGORIES.keys() == RETRYABLE.keys()


@pytest.mark.parametrize(
    ("exc", "message", "category"),
    [
        (failed("invalid_request", "voice: unknown"), "invalid_request: voice: unknown", "invalid_request"),
        (failed("invalid_request", "text: too long"), "invalid_request: text: too long", "application"),
        (failed("expired", "no synth had room"), "expired: no synth had room", "rate_limit"),
        (failed("engine_error", "it crashed"), "engine_error: it crashed", "server"),
        (InvalidRequest("speed", "must be at most 2"), "invalid_request: speed: must be at most 2", "invalid_request"),
        (InvalidRequest("text", "has 9 characters"), "invalid_request: text: has 9 characters", "application"),
        (Overloaded("64 requests"), "overloaded: 64 requests", "rate_limit"),
        (NodeUnavailable("no answer"), "internal: no answer", "connectivity"),
        (
            WaitTimeout("s", "r", 40.0),
            "internal: no final report of s/r after 40 s; ask again with report()",
            "connectivity",
        ),
        (SettingsError("NATS_URL is wrong"), "internal: NATS_URL is wrong", "invalid_request"),
        (TypeError("no field vioce"), "invalid_request: no field vioce", "invalid_request"),
        (RuntimeError("the client is not open"), "internal: the client is not open", "unknown"),
    ],
)
def test_an_error_frame_has_the_code_and_the_text_of_the_node(exc: Exception, message: str, category: str) -> None:
    assert failure_of(exc) == (message, category)
