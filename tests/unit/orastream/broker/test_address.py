"""Messages about a NATS server: no password in them, and what to do for each problem."""

from __future__ import annotations

import pytest

from orastream.broker import address

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
def test_a_url_is_shown_without_its_user(url: str, shown: str) -> None:
    assert address.shown(url) == shown


@pytest.mark.parametrize("problem", ["nats: 'Authorization Violation'", "nats: 'User Authentication Revoked'"])
def test_a_refusal_names_the_settings_for_credentials(problem: str) -> None:
    said = address.unconnected("nats://host", problem)
    assert "refuses this client" in said and "NATS_CREDS" in said and "user:password in NATS_URL" in said
    assert "no NATS server answers" not in said


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
def test_one_tls_url_means_tls_for_all(url: str, secure: bool) -> None:
    assert address.secure(url) == secure


def test_the_servers_of_a_list() -> None:
    assert address.servers("TLS://User:Pass@A:1, nats://b") == ["tls://User:Pass@A:1", "nats://b"]


@pytest.mark.parametrize(
    ("problem", "todo"),
    [
        (address.NO_TLS, "configure TLS in nats-server"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate", "SSL_CERT_FILE"),
    ],
)
def test_missing_tls_is_not_reported_as_no_answer(problem: str, todo: str) -> None:
    said = address.unconnected("tls://host", problem)
    assert address.explains(problem) and todo in said and "NATS_URL" in said
    assert "no NATS server answers" not in said


def test_no_answer_names_the_server() -> None:
    assert "no NATS server answers at nats://host (no answer)" in address.unconnected("nats://host", "no answer")
