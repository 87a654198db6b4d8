"""Which connection a voice agent gets: what it is given, then the node's own variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.contract.errors import SettingsError
from orastream.integrations.node_address import URL, connection_options

pytestmark = pytest.mark.unit

ENVIRONMENT = {
    "NATS_URL": "nats://n:4222",
    "NATS_CREDS": "/c",
    "NATS_NKEY_SEED": "off",
    "NATS_CA": "",
    "TTS_PREFIX": "x",
}


def test_the_variables_of_the_node_count_for_what_is_not_given() -> None:
    assert connection_options({}, ENVIRONMENT) == {"url": "nats://n:4222", "creds": "/c", "prefix": "x"}
    assert connection_options({"url": "nats://m:1", "ca": None}, ENVIRONMENT)["url"] == "nats://m:1"
    assert connection_options({}, {}) == {"url": URL}


def test_a_caller_in_an_account_has_an_inbox_of_its_own() -> None:
    environment = {"NATS_INBOX_PREFIX": "_INBOX.shop", "NATS_TLS_HANDSHAKE_FIRST": "true"}
    assert connection_options({}, environment) == {
        "url": URL,
        "inbox_prefix": "_INBOX.shop",
        "tls_handshake_first": True,
    }
    assert connection_options({}, {"NATS_TLS_HANDSHAKE_FIRST": "false"})["tls_handshake_first"] is False
    with pytest.raises(SettingsError, match="NATS_TLS_HANDSHAKE_FIRST: 'maybe' is neither true nor false"):
        connection_options({}, {"NATS_TLS_HANDSHAKE_FIRST": "maybe"})


@pytest.mark.parametrize("given", [{"nkey_seed": "SU"}, {"creds": Path("/d")}])
def test_one_given_user_replaces_both_variables(given: dict[str, object]) -> None:
    environment = {"NATS_CREDS": "/c", "NATS_NKEY_SEED": "SX"}
    assert connection_options(given, environment) == {"url": URL, **given}
