"""The gateway's settings, and the check of keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from services.gateway.access.api_keys import ApiKeys
from services.gateway.settings import GatewaySettings

pytestmark = pytest.mark.unit


LIMITS = (
    "GATEWAY_REQUESTS_PER_MINUTE",
    "GATEWAY_CHARACTERS_PER_MINUTE",
    "GATEWAY_CONCURRENT",
    "GATEWAY_CONNECTIONS_PER_ADDRESS",
)


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "GATEWAY_PORT",
        "GATEWAY_WAIT_SECONDS",
        "GATEWAY_API_KEYS",
        "GATEWAY_HOSTS",
        *LIMITS,
        "DEFAULT_FIRE_AND_FORGET",
    ):
        monkeypatch.delenv(name, raising=False)


def test_load_fills_in_the_defaults() -> None:
    settings = GatewaySettings.load()
    assert (settings.gateway_port, settings.gateway_wait_seconds, settings.default_fire_and_forget) == (8000, 60, True)
    assert (settings.api_keys, settings.hosts) == ((), ())


@pytest.mark.parametrize(
    ("text", "keys"), [("", ()), ("  ", ()), ("a", ("a",)), (" a , b,,", ("a", "b")), ("열쇠,b", ("열쇠", "b"))]
)
def test_keys_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str, keys: tuple[str, ...]) -> None:
    monkeypatch.setenv("GATEWAY_API_KEYS", text)
    assert GatewaySettings.load().api_keys == keys


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_API_KEYS", " , "),
        ("GATEWAY_HOSTS", "https://tts.example.com"),
        ("GATEWAY_HOSTS", "tts.example.com, a b"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_PORT", "http"),
        ("GATEWAY_WAIT_SECONDS", "0"),
        ("GATEWAY_WAIT_SECONDS", "inf"),
        ("DEFAULT_FIRE_AND_FORGET", "perhaps"),
    ],
)
def test_load_names_a_setting_with_an_invalid_value(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        GatewaySettings.load()


@pytest.mark.parametrize(
    ("text", "hosts"),
    [("", ()), ("*", ("*",)), (" tts.example.com ,b:8443,[::1]", ("tts.example.com", "b:8443", "[::1]"))],
)
def test_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch, text: str, hosts: tuple[str, ...]) -> None:
    monkeypatch.setenv("GATEWAY_HOSTS", text)
    assert GatewaySettings.load().hosts == hosts


@pytest.mark.parametrize("name", LIMITS)
def test_limits_can_be_set_and_switched_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = 2048 if name == "GATEWAY_CONNECTIONS_PER_ADDRESS" else None
    assert getattr(GatewaySettings.load(), name.lower()) == default
    for text, value in (("7", 7), ("off", None), ("OFF", None), ("", default)):
        monkeypatch.setenv(name, text)
        assert getattr(GatewaySettings.load(), name.lower()) == value
    for wrong in ("0", "-1", "1.5", "none"):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(SettingsError, match=name):
            GatewaySettings.load()


def test_repr_does_not_show_the_keys() -> None:
    assert "geheim" not in repr(GatewaySettings(gateway_api_keys="geheim"))


def test_no_key_is_asked_for_when_none_is_set() -> None:
    assert not ApiKeys(()).asked
    assert ApiKeys(["one"]).asked


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, False),
        ({"authorization": "Bearer one"}, True),
        ({"authorization": "bearer  two "}, True),
        ({"x-api-key": "two"}, True),
        ({"authorization": "Bearer wrong", "x-api-key": "one"}, True),
        ({"x-api-key": "열쇠".encode().decode("latin-1")}, True),
        ({"x-api-key": "one,two"}, False),
        ({"x-api-key": "one "}, False),
        ({"x-api-key": ""}, False),
        ({"x-api-key": "€"}, False),
        ({"authorization": "Basic one"}, False),
        ({"authorization": "one"}, False),
        ({"authorization": "Bearer"}, False),
    ],
)
def test_only_calls_with_a_key_have_a_caller(headers: dict[str, str], allowed: bool) -> None:
    assert (ApiKeys(["one", "two", "열쇠"]).caller(headers) is not None) is allowed
