"""A voice agent that is set up wrongly fails when it is made, not in the middle of a conversation."""

from __future__ import annotations

import pytest

from orastream.integrations.speech import SpeechNode

pytestmark = pytest.mark.unit


def test_a_wrong_parameter_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TTS_PREFIX", raising=False)
    with pytest.raises(TypeError, match="vioce"):
        SpeechNode(vioce="ko")
    with pytest.raises(ValueError, match="1 to 31 of a-z"):
        SpeechNode(prefix="a b")
