"""Values of synth's settings for levels and edges."""

from __future__ import annotations

import pytest

from orastream.contract.errors import SettingsError
from services.synth.settings import SynthSettings

pytestmark = pytest.mark.unit

LOUDNESS, EDGES = "TTS_LOUDNESS_LUFS", "TTS_EDGE_SILENCE_MS"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [(LOUDNESS, "-16", -16.0), (LOUDNESS, "off", None), (EDGES, "20", 20), (EDGES, "OFF", None), (EDGES, "", None)],
)
def test_a_number_or_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: float | None) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(SynthSettings.load(), name.lower()) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [(LOUDNESS, "nan"), (LOUDNESS, "-40.1"), (LOUDNESS, "-4.9"), (EDGES, "19"), (EDGES, "2001"), (EDGES, "20.5")],
)
def test_another_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: '{value}' is "):
        SynthSettings.load()
