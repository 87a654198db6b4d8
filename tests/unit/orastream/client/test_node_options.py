"""Which connection a client gets: what it is given, then the settings of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.client.node_options import URL, boolean, node_options
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit

ENVIRONMENT = {
    "NATS_URL": " nats://n:4222\n",
    "NATS_CREDS": "/c",
    "NATS_NKEY_SEED": "off",
    "NATS_CA": "",
    "TTS_PREFIX": "x",
}


def test_the_settings_of_the_node_count_for_what_is_not_given() -> None:
    assert node_options(ENVIRONMENT.get, {}) == {"url": "nats://n:4222", "creds": "/c", "prefix": "x"}
    assert node_options(ENVIRONMENT.get, {"url": "nats://m:1", "ca": None})["url"] == "nats://m:1"
    assert node_options({}.get, {}) == {"url": URL}


def test_a_caller_in_an_account_has_an_inbox_of_its_own() -> None:
    environment = {"NATS_INBOX_PREFIX": "_INBOX.shop", "NATS_TLS_HANDSHAKE_FIRST": "true"}
    assert node_options(environment.get, {}) == {
        "url": URL,
        "inbox_prefix": "_INBOX.shop",
        "tls_handshake_first": True,
    }


@pytest.mark.parametrize("given", [{"nkey_seed": "SU"}, {"creds": Path("/d")}])
def test_one_given_user_replaces_both_settings(given: dict[str, object]) -> None:
    environment = {"NATS_CREDS": "/c", "NATS_NKEY_SEED": "SX"}
    assert node_options(environment.get, given) == {"url": URL, **given}


@pytest.mark.parametrize("name", ["NATS_CREDS", "NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY"])
def test_off_names_no_file(name: str) -> None:
    assert node_options({name: "Off"}.get, {}) == {"url": URL}


@pytest.mark.parametrize(
    ("name", "value", "given"),
    [
        ("NATS_TLS_HANDSHAKE_FIRST", "maybe", {}),
        ("TTS_PREFIX", "a b", {}),
        ("NATS_INBOX_PREFIX", "_INBOX.*", {}),
        ("NATS_INBOX_PREFIX", "shop.x", {"prefix": "shop"}),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_setting(name: str, value: str, given: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        node_options({name: value}.get, given)


def test_a_flag_is_read_as_the_services_read_it() -> None:
    assert [boolean("X", value) for value in (True, "True", " on", "1", 1, "y")] == [True] * 6
    assert [boolean("X", value) for value in (False, "false", "OFF", "0", 0, "n")] == [False] * 6
