"""The names in TTS_SKIP_TAGS."""

from __future__ import annotations

import pytest

from orastream.contract.errors import SettingsError
from services.synth.settings import SynthSettings
from services.synth.tag_names import tag_names

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("think,reasoning,tool_call", ("think", "reasoning", "tool_call")),
        (" Think , think,, x-1:y.z ", ("think", "x-1:y.z")),
        ("", ()),
    ],
)
def test_names_of_the_setting(names: str, expected: tuple[str, ...]) -> None:
    assert tag_names(names) == expected


@pytest.mark.parametrize("names", ["<think>", "a b", "생각", "1a", "x" * 33, ",".join(f"a{n}" for n in range(17))])
def test_what_cannot_be_a_name_is_refused(names: str) -> None:
    with pytest.raises(ValueError, match=r"names?"):
        tag_names(names)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ("think", "reasoning", "tool_call")),
        ("", ("think", "reasoning", "tool_call")),
        ("off", ()),
        ("A,b", ("a", "b")),
    ],
)
def test_the_setting(monkeypatch: pytest.MonkeyPatch, value: str | None, expected: tuple[str, ...]) -> None:
    monkeypatch.delenv("TTS_SKIP_TAGS", raising=False)
    if value is not None:
        monkeypatch.setenv("TTS_SKIP_TAGS", value)
    assert SynthSettings(_env_file=None).skip_tags == expected  # type: ignore[call-arg]


def test_a_wrong_value_of_the_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTS_SKIP_TAGS", "<think>")
    with pytest.raises(SettingsError, match="TTS_SKIP_TAGS.*no name of a tag"):
        SynthSettings.load()
