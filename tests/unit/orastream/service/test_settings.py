"""Settings from the environment: an error is one line that names the variable and shows no secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from orastream.service.settings import KNOWN, BridgeSettings, NodeSettings
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.oraserver.settings import OraServerSettings
from services.ws_bridge.settings import WsBridgeSettings
from tests.support.services import environment

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in KNOWN:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("token", ["비밀-secret", "sec\nret", "secret\n", " secret", "sec\x7fret", "secrét"])
@pytest.mark.parametrize("settings", [WsBridgeSettings, HttpBridgeSettings, OraServerSettings])
def test_load_refuses_a_token_that_a_header_cannot_contain(
    monkeypatch: pytest.MonkeyPatch, settings: type[NodeSettings], token: str
) -> None:
    monkeypatch.setenv("ORASERVER_TOKEN", token)
    with pytest.raises(SettingsError, match="^ORASERVER_TOKEN: .*must be printable ASCII") as caught:
        settings.load()
    assert "sec" not in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_token_is_sent_in_a_header_and_hidden_in_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORASERVER_TOKEN", "s3cret/+=._~-")
    settings = BridgeSettings.load()
    assert settings.authorization == {"Authorization": "Bearer s3cret/+=._~-"}
    assert "s3cret" not in repr(settings)
    monkeypatch.delenv("ORASERVER_TOKEN")
    assert BridgeSettings.load().authorization == {}


@pytest.mark.parametrize("value", [1, 3, 5])
def test_an_odd_number_of_replicas(monkeypatch: pytest.MonkeyPatch, value: int) -> None:
    monkeypatch.setenv("TTS_STREAM_REPLICAS", str(value))
    assert NodeSettings.load().limits.replicas == value


@pytest.mark.parametrize("value", [0, 2, 4, 6, 7])
def test_a_number_of_replicas_that_is_refused(monkeypatch: pytest.MonkeyPatch, value: int) -> None:
    monkeypatch.setenv("TTS_STREAM_REPLICAS", str(value))
    with pytest.raises(SettingsError, match=f"^TTS_STREAM_REPLICAS: {value} is not 1, 3 or 5; set 1, or 3 or 5 on "):
        NodeSettings.load()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "ORASERVER_MISBEHAVE: it is not JSON"),
        ('{"no_pong": 1', "ORASERVER_MISBEHAVE: it is not JSON"),
        ("[]", "ORASERVER_MISBEHAVE: "),
        ('{"no_pong": 1}', "ORASERVER_MISBEHAVE.NO_PONG: "),
    ],
)
def test_load_refuses_unknown_faults(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    monkeypatch.setenv("ORASERVER_MISBEHAVE", value)
    with pytest.raises(SettingsError) as caught:
        OraServerSettings.load()
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_service_prints_a_settings_error_in_one_line_and_exits_with_2(tmp_path: Path) -> None:
    """It also exits with code 2."""
    done = subprocess.run(
        [sys.executable, "-m", "services.oraserver"],
        env=environment({"ORASERVER_MISBEHAVE": "x"}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "oraserver: ORASERVER_MISBEHAVE: it is not JSON\n")


def test_load_treats_an_empty_value_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/reference/settings.md says."""
    for name in KNOWN:
        monkeypatch.setenv(name, "")
    for settings in (WsBridgeSettings, HttpBridgeSettings, OraServerSettings, GatewaySettings):
        loaded = settings.load()
        assert loaded == settings.model_construct(), settings
