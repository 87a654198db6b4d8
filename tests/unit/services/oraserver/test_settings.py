"""The settings of the reference OraServer: hosts, and protocol v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from services.oraserver.faults import Faults
from services.oraserver.settings import parse
from services.oraserver.v2.terms import StreamTerms

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ORASERVER_HOSTS", "ORASERVER_CREDIT", "ORASERVER_FORMATS"):
        monkeypatch.delenv(name, raising=False)


def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse([]).hosts == ()
    monkeypatch.setenv("ORASERVER_HOSTS", "tts.example.com, *")
    assert parse([]).hosts == ("tts.example.com", "*")


def test_what_is_not_a_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORASERVER_HOSTS", "https://tts.example.com")
    with pytest.raises(SettingsError, match="ORASERVER_HOSTS"):
        parse([])


def test_the_terms_of_v2_have_defaults() -> None:
    assert parse([]).terms == StreamTerms()


def test_options_override_the_terms_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORASERVER_CREDIT", "5000")
    monkeypatch.setenv("ORASERVER_FORMATS", "opus, wav,opus")
    monkeypatch.setenv("ORASERVER_CRC", "on")
    assert parse([]).terms == StreamTerms(credit=5_000, formats=("opus", "wav"), crc=True)
    given = [
        "--credit",
        "6000",
        "--protocol",
        "first",
        "--keep-seconds",
        "1.5",
        "--streams",
        "3",
        "--played",
        "--fsync",
    ]
    terms = StreamTerms("first", 6_000, 3, ("opus", "wav"), 1.5, crc=True, played=True, fsync=True)
    assert parse(given).terms == terms


@pytest.mark.parametrize(("name", "value"), [("CREDIT", "4095"), ("FORMATS", "wav,ogg"), ("FORMATS", ",")])
def test_terms_that_v2_does_not_allow_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    with pytest.raises(SystemExit):
        parse([f"--{name.lower()}", value])
    assert f"error: --{name.lower()}: " in capsys.readouterr().err
    monkeypatch.setenv(f"ORASERVER_{name}", value)
    with pytest.raises(SettingsError, match=f"ORASERVER_{name}"):
        parse([])


def test_faults_of_v2_are_options() -> None:
    given = [
        "--stall-phone",
        "전화",
        "--open-error",
        "busy",
        "--drop-audio",
        "0.5",
        "--real-time",
        "--crash-after-bytes",
        "9",
    ]
    faults = parse(given).oraserver_misbehave
    assert faults == Faults(stall_phone="전화", open_error="busy", drop_audio=0.5, real_time=True, crash_after_bytes=9)
    with pytest.raises(SystemExit):
        parse(["--open-error", "tired"])
