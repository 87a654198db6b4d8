"""The settings of the reference OraServer: hosts."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from services.oraserver.settings import parse

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ORASERVER_HOSTS", raising=False)


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse([]).hosts == ()
    monkeypatch.setenv("ORASERVER_HOSTS", "tts.example.com, *")
    assert parse([]).hosts == ("tts.example.com", "*")


def test_what_is_not_a_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORASERVER_HOSTS", "https://tts.example.com")
    with pytest.raises(SettingsError, match="ORASERVER_HOSTS"):
        parse([])
