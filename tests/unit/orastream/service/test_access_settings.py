"""The settings for credentials and TLS, as the services and the command line read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.cli.node.settings import CliSettings
from orastream.contract.errors import SettingsError
from orastream.service.settings import BridgeSettings, NodeSettings
from tests.support.certificates import Authority

pytestmark = pytest.mark.unit

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


@pytest.mark.parametrize("settings", [NodeSettings, CliSettings])
def test_settings_become_the_access_of_the_connection(
    settings: type[NodeSettings | CliSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    values = {"CA": "ca.pem", "CERT": "a.pem", "KEY": "a.key", "NKEY_SEED": SEED, "TLS_HANDSHAKE_FIRST": "true"}
    for name, value in values.items():
        monkeypatch.setenv(f"NATS_{name}", value)
    loaded = settings()
    access = loaded.nats_access
    assert (access.ca, access.cert, access.key) == (Path("ca.pem"), Path("a.pem"), Path("a.key"))
    assert access.nkey_seed == SEED and access.tls_handshake_first and access.creds is None
    assert SEED not in repr(loaded) and SEED not in repr(access)


def test_oraserver_with_a_ca_needs_an_address_with_tls(tmp_path: Path) -> None:
    settings = BridgeSettings(_env_file=None, oraserver_ca=Authority(tmp_path).ca)  # type: ignore[call-arg]
    assert settings.checked_oraserver_tls(oraserver_http_url="https://a/tts").files
    with pytest.raises(
        SettingsError, match="^ORASERVER_HTTP_URL: http://a/tts is without TLS, but ORASERVER_CA is set"
    ):
        settings.checked_oraserver_tls(oraserver_http_url="http://u:secret@a/tts")
    assert not BridgeSettings(_env_file=None).checked_oraserver_tls(oraserver_http_url="http://a").files  # type: ignore[call-arg]
