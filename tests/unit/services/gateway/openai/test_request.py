"""Errors in OpenAI's form, with the names of fields that the caller has used."""

from __future__ import annotations

import re

import pytest

from services.gateway.openai.request import error_body
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


def test_metrics_page_names_every_counted_route() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    listed = re.search(r"requests answered; routes (.*?); outcome", page)
    assert listed is not None
    app = (ROOT / "services" / "gateway" / "app.py").read_text()
    counted = {"tts.speak", ROUTE, MODELS_ROUTE} | set(re.findall(r'\badd\(\s*"[A-Z]+",\s*\([^)]*\),\s*"([^"]+)"', app))
    assert len(counted) > 8
    assert set(re.findall(r"`([^`]+)`", listed[1])) == counted
