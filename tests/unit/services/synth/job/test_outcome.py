"""Which errors of an engine are worth another attempt at the same request."""

from __future__ import annotations

import pytest

from services.synth.engines.base import CannotResume, EngineCrashed, EngineError, NoAudio, UnknownVoice
from services.synth.job.outcome import worth_retrying

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (EngineCrashed("killed"), True),
        (EngineError("out of memory"), True),
        (NoAudio("no sample"), True),
        (UnknownVoice("no voice 'x'"), False),
        (CannotResume("flac cannot be resumed"), False),
    ],
)
def test_another_attempt(error: EngineError, expected: bool) -> None:
    assert worth_retrying(error) is expected


def test_a_new_request_worth_retrying_where_another_attempt_cannot() -> None:
    """CannotResume is retryable for the sender, whose new request begins a new file."""
    assert CannotResume("flac cannot be resumed").retryable
