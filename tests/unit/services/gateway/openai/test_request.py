"""Errors in OpenAI's form, with the names of fields that the caller has used."""

from __future__ import annotations

import json
import re

import pytest

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.word_time import WordTime
from services.gateway.openai.request import delta_event, error_body, is_own_engine, read_speech
from services.gateway.openai.routes import MODELS_ROUTE, ROUTE
from tests.support.monitoring import ROOT

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        ("text: has nothing to say", "input: has nothing to say"),
        ("format: must be one of wav, mp3", "response_format: must be one of wav, mp3"),
        (
            "engine: this node speaks with 'espeak'; leave it out",
            "model: this node speaks with 'espeak'; see /v1/models",
        ),
        ("voice: there is no 'x'", "voice: there is no 'x'"),
        ("input: is required", "input: is required"),
        ("the node does not answer; try again", "the node does not answer; try again"),
        ("the text: is long", "the text: is long"),
        ("text", "text"),
    ],
)
def test_message_names_the_field_that_the_caller_used(ours: str, message: str) -> None:
    assert error_body(400, ours, code="invalid_request")["error"]["message"] == message


@pytest.mark.parametrize(("ours", "theirs"), [("text", "input"), ("engine", "model"), ("speed", "speed"), (None, None)])
def test_param_names_the_field_that_the_caller_used(ours: str | None, theirs: str | None) -> None:
    assert error_body(400, "no", code="invalid_request", param=ours)["error"]["param"] == theirs


@pytest.mark.parametrize(
    ("model", "own"),
    [
        ("tts-1", True),
        ("orastream", True),
        ("tts-1-1106", True),
        ("tts-1-hd-1106", True),
        ("gpt-4o-mini-tts-2025-12-15", True),
        ("gpt-4o-mini-tts-2031-01-02", True),
        ("espeak", False),
        ("espeak-1106", False),
        ("orastream-1106", False),
        ("tts-1-", False),
        ("tts-1-11", False),
        ("tts-1-2025-12", False),
        ("tts-1-1106-1106", False),
        ("tts-1-1106\n", False),
        ("tts-1-\u0661\u0661\u0660\u0666", False),
        ("my-tts-1-1106", False),
        ("1106", False),
    ],
)
def test_model_with_the_date_of_a_version_is_the_model(model: str, own: bool) -> None:
    """The date is any, so that a version that OpenAI will name later is served as well."""
    assert is_own_engine(model) is own
    asked = read_speech(json.dumps({"model": model, "input": "a"}).encode())
    assert asked.fields["engine"] == (None if own else model)


def test_metrics_page_names_every_counted_route() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    listed = re.search(r"requests answered; routes (.*?); outcome", page)
    assert listed is not None
    app = (ROOT / "services" / "gateway" / "app.py").read_text()
    counted = {"tts.speak", ROUTE, MODELS_ROUTE} | set(re.findall(r'\badd\(\s*"[A-Z]+",\s*\([^)]*\),\s*"([^"]+)"', app))
    assert len(counted) > 8
    assert set(re.findall(r"`([^`]+)`", listed[1])) == counted


def test_delta_has_the_words_that_end_in_the_chunk() -> None:
    chunk = AudioChunk(1, 0, 0, 0, b"\x01\x02")
    assert delta_event(chunk, "3명 왔어요.") == {"type": "speech.audio.delta", "audio": "AQI="}
    chunk.words = (WordTime(0, 0, 2, 10, 200), WordTime(0, 3, 6, 200, 450))
    assert delta_event(chunk, "3명 왔어요.")["words"] == [
        {"text": "3명", "from": 0, "to": 2, "begin_ms": 10, "end_ms": 200},
        {"text": "왔어요", "from": 3, "to": 6, "begin_ms": 200, "end_ms": 450},
    ]
