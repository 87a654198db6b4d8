"""Settings from the environment: an error is one line that names the variable and shows no secret."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orastream.contract.errors import SettingsError
from orastream.service.settings import KNOWN, BridgeSettings, NodeSettings
from services.gateway.settings import GatewaySettings
from services.http_bridge.settings import HttpBridgeSettings
from services.oraserver.settings import OraServerSettings
from services.synth.engines.base import Misconfigured
from services.synth.engines.gpt_sovits.settings import GptSovitsSettings
from services.synth.engines.pocket.settings import PocketSettings
from services.synth.engines.vits.settings import VitsSettings
from services.synth.settings import SynthSettings
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


@pytest.mark.parametrize(
    ("settings", "name", "value", "message"),
    [
        (SynthSettings, "CHUNK_RAMP", "maybe", "'maybe' is neither on nor off"),
        (SynthSettings, "SYNTH_SLOTS", "abc", "'abc' is not a whole number; 1 to 256"),
        (SynthSettings, "SYNTH_SLOTS", "257", "'257' is out of range; 1 to 256"),
        (SynthSettings, "TTS_ENGINE_RTF", "x", "'x' is not a number; more than 0, at most 10"),
        (SynthSettings, "SYNTH_STALL_SECONDS", "0", "'0' is out of range; more than 0"),
        (SynthSettings, "DEFAULT_TRANSFER_METHOD", "ftp", "'ftp' is neither websocket nor http"),
        (SynthSettings, "TTS_LOG_LEVEL", "info", "'info' is not one of DEBUG, INFO, WARNING, ERROR"),
        (SynthSettings, "TTS_MAX_TEXT_CHARS", "x" * 99, f"'{'x' * 59}… is not a whole number; 1 or more"),
        (WsBridgeSettings, "ORASERVER_WEBSOCKET_URL", "foo", "'foo' must begin with ws:// or wss://"),
        *(
            (WsBridgeSettings, "ORASERVER_WEBSOCKET_URL", url, f"'{url.replace('u:p@', '')}' {wants}")
            for url, wants in (
                ("ws://", "names no host, or port 0; write it as in ws://host.example:8080/path"),
                ("wss://u:p@:8080/x", "names no host, or port 0; write it as in ws://host.example:8080/path"),
                ("ws://h:0/x", "names no host, or port 0; write it as in ws://host.example:8080/path"),
                ("ws://h /x", "has a space in it; write %20 in a path, and the host as in ws://host.example:8080/path"),
                ("ws://u:p@h:99999/x", "has no valid port or host; write it as in ws://host.example:8080/path"),
                ("ws://h:port/x", "has no valid port or host; write it as in ws://host.example:8080/path"),
                ("ws://a..b/x", "has no valid port or host; write it as in ws://host.example:8080/path"),
                (f"ws://{'h' * 64}/x", "has no valid port or host; write it as in ws://host.example:8080/path"),
                ("ws://[::1/x", "has no valid port or host; write it as in ws://host.example:8080/path"),
            )
        ),
        (WsBridgeSettings, "ORASERVER_WEBSOCKET_URL", "http://u:pass@a", "'http://a' must begin with ws:// or wss://"),
        (HttpBridgeSettings, "ORASERVER_HTTP_URL", "ws://u:pass@a", "'ws://a' must begin with http:// or https://"),
        (OraServerSettings, "ORASERVER_MISBEHAVE", "[]", "must be a JSON object"),
        (PocketSettings, "POCKET_LANGUAGE", "?", "'?' is not a BCP 47 tag such as en-US"),
        (VitsSettings, "TTS_DEVICE", "gpu", "'gpu' is not one of auto, cpu, cuda, mps"),
        (GptSovitsSettings, "GPT_SOVITS_URLS", "x", "'x' is not the address of a server, as in http://127.0.0.1:9880"),
    ],
)
def test_load_says_what_a_setting_takes(
    monkeypatch: pytest.MonkeyPatch, settings: Any, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises((SettingsError, Misconfigured)) as caught:
        settings.load()
    assert str(caught.value) == f"{name}: {message}"


def test_load_describes_a_fault_inside_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORASERVER_MISBEHAVE", '{"times": 0, "no_pong": 1, "x": 1}')
    with pytest.raises(SettingsError) as caught:
        OraServerSettings.load()
    assert set(str(caught.value).split("; ORASERVER")) == {
        "ORASERVER_MISBEHAVE.TIMES: 0 is out of range; 1 or more",
        "_MISBEHAVE.NO_PONG: 1 is neither true nor false",
        "_MISBEHAVE.X: there is no such name",
    }


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


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"TTS_PREFIX": "tts.0"}, None),
        ({"TTS_PREFIX": "staging", "NATS_INBOX_PREFIX": "tts.x"}, None),
        ({"TTS_PREFIX": "Staging"}, r"^TTS_PREFIX: must be 1 to 31 of a-z"),
        ({"TTS_PREFIX": "tts.0", "NATS_INBOX_PREFIX": "tts.x"}, r"^NATS_INBOX_PREFIX: must be .*, not tts,"),
    ],
)
def test_prefix(monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], error: str | None) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if error is None:
        assert NodeSettings.load().tts_prefix == settings["TTS_PREFIX"]
    else:
        with pytest.raises(SettingsError, match=error):
            NodeSettings.load()
