"""Where the options of a client come from in a Django project, and which values are refused."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from orastream import BlockingClient, Client, SettingsError
from orastream.client.django_settings import NAMES, client_options

pytestmark = pytest.mark.unit


@pytest.fixture
def django(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """The settings object of a Django project. The real package is in tests/hosts."""
    settings = types.SimpleNamespace()
    conf = types.ModuleType("django.conf")
    conf.settings = settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "django", types.ModuleType("django"))
    monkeypatch.setitem(sys.modules, "django.conf", conf)
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return settings


def test_the_dict_comes_before_single_settings_and_these_before_the_environment(
    django: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_URL", "nats://environment")
    monkeypatch.setenv("TTS_PREFIX", "environment")
    monkeypatch.setenv("TTS_MAX_TEXT_CHARS", "1")
    django.NATS_URL, django.TTS_PREFIX, django.TTS_MAX_TEXT_CHARS = "nats://setting", "setting", ""
    django.ORASTREAM = {"NATS_URL": "nats://table", "TTS_PREFIX": None}
    options = client_options()
    assert (options["url"], options["prefix"], options["max_text_chars"]) == ("nats://table", "setting", 1)
    django.ORASTREAM = {}
    assert client_options()["url"] == "nats://setting"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"NATS_ULR": "nats://a"}, "^ORASTREAM: 'NATS_ULR' is no setting of a client; did you mean 'NATS_URL'"),
        ({"HOST": "a"}, "^ORASTREAM: 'HOST' is no setting of a client; its keys are NATS_URL, "),
        ({1: "a"}, "^ORASTREAM: 1 is no setting"),
        ("nats://a", "^ORASTREAM: must be a dict"),
        ({"NATS_URL": "http://a"}, "^NATS_URL: 'http://a' is no NATS address"),
        ({"NATS_URL": "nats://a:99999"}, "^NATS_URL: .* its host or its port is not valid"),
        ({"TTS_MAX_BACKLOG_SECONDS": -1}, "^TTS_MAX_BACKLOG_SECONDS: -1 is neither"),
    ],
)
def test_a_table_that_is_wrong_is_refused(django: types.SimpleNamespace, table: object, message: str) -> None:
    django.ORASTREAM = table
    for from_django in (BlockingClient.from_django, Client.from_django):
        with pytest.raises(SettingsError, match=message):
            from_django()


def test_off_names_no_file_although_the_environment_names_one(
    django: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NATS_CREDS", "/environment.creds")
    monkeypatch.setenv("NATS_CA", "off")
    assert client_options()["creds"] == Path("/environment.creds")
    django.ORASTREAM = {"NATS_CREDS": "off"}
    options = client_options()
    assert options["creds"] is None and options["ca"] is None


def test_a_moved_setting_in_the_table_is_warned_about(django: types.SimpleNamespace) -> None:
    django.ORASTREAM = {"WEBSOCKET_CHUNK_SIZE": 4096}
    for from_django in (BlockingClient.from_django, Client.from_django):
        with pytest.warns(UserWarning, match="^WEBSOCKET_CHUNK_SIZE has no effect here") as caught:
            from_django()
        assert caught[0].filename == __file__
