"""Messages about a NATS server: no password in them, and what to do for each problem."""

from __future__ import annotations

import pytest

from orastream.broker import address
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://127.0.0.1:4222", "nats://127.0.0.1:4222"),
        ("nats://user:secret@host:4222", "nats://host:4222"),
        ("nats://secret@host", "nats://host"),
        ("user:secret@host:4222", "host:4222"),
        ("nats://user:sec/ret@sec@host", "nats://host"),
        ("nats://user:sec,ret@host", "nats://host"),
        ("tls://u:secret@a:1, nats://u:secret@b:2,nats://c", "tls://a:1, nats://b:2,nats://c"),
        ("a:1,b:2", "a:1,b:2"),
    ],
)
def test_shown_url_has_no_user_and_no_password(url: str, shown: str) -> None:
    assert address.shown(url) == shown


@pytest.mark.parametrize("problem", ["nats: 'Authorization Violation'", "nats: 'User Authentication Revoked'"])
def test_message_names_the_settings_for_credentials_when_nats_refuses_the_client(problem: str) -> None:
    message = address.unconnected("nats://host", problem)
    assert "refuses this client" in message and "NATS_CREDS" in message and "user:password in NATS_URL" in message
    assert "no NATS server answers" not in message


@pytest.mark.parametrize(
    ("url", "secure"),
    [
        ("nats://a", False),
        ("a:1,b:2", False),
        ("ws://a:1", False),
        ("nats://user:tls@a", False),
        ("tls://a", True),
        ("TLS://a", True),
        ("wss://a:1", True),
        ("nats://a, tls://b", True),
    ],
)
def test_secure_is_true_when_one_url_is_tls(url: str, secure: bool) -> None:
    assert address.secure(url) == secure


def test_servers_splits_a_list_of_urls() -> None:
    assert address.servers("TLS://User:Pass@A:1, nats://b") == ["tls://User:Pass@A:1", "nats://b"]


@pytest.mark.parametrize(
    ("problem", "todo"),
    [
        (address.NO_TLS, "configure TLS in nats-server"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "SSL_CERT_FILE"),
    ],
)
def test_message_explains_missing_tls(problem: str, todo: str) -> None:
    message = address.unconnected("tls://host", problem)
    assert address.explains(problem) and todo in message and "NATS_" in message
    assert "no NATS server answers" not in message


@pytest.mark.parametrize(
    "problem", ["no answer", address.NO_TLS, "Hostname mismatch", "nats: 'Authorization Violation'"]
)
def test_message_of_a_client_names_its_arguments_and_no_setting(problem: str) -> None:
    message = address.unconnected("tls://host", problem, address.ARGUMENTS)
    assert "the address" in message and "NATS_" not in message
    assert problem != "no answer" or message.endswith("start it, or correct the address")


@pytest.mark.parametrize(
    "url",
    [
        "nats://127.0.0.1:4222",
        "NATS://u:p@host",
        "tls://a, nats://b",
        "ws://a:80",
        "wss://a",
        "host:4222",
        "host",
        "user:secret@host",
        "user:secret@host:4222",
        "[::1]:4222",
        "a:1,b:2",
    ],
)
def test_check_accepts_an_address_that_a_client_can_use(url: str) -> None:
    address.check(url, "NATS_URL")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:4222", "https://u:secret@host", "nats:/127.0.0.1", "", "a b", "nats://a,http://b"],
)
def test_check_refuses_what_is_no_address_and_shows_no_password(url: str) -> None:
    begins = "is no NATS address; it begins with nats://, tls://, ws:// or wss://"
    with pytest.raises(SettingsError, match=f"^NATS_URL: '{address.shown(url)}' {begins}") as caught:
        address.check(url, "NATS_URL")
    assert "secret" not in str(caught.value)


def test_message_names_the_server_that_does_not_answer() -> None:
    assert "no NATS server answers at nats://host (no answer)" in address.unconnected("nats://host", "no answer")
