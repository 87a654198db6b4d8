"""Credentials and files for TLS that exclude each other, or need each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.broker import Access, Broker, address
from orastream.broker.access import AccessNames
from orastream.broker.dialer import check_settings
from orastream.contract.errors import SettingsError
from tests.support.certificates import Authority

pytestmark = pytest.mark.unit

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


def test_credentials_and_nkey_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="^NATS_CREDS, NATS_NKEY_SEED: only one of them") as caught:
        Access(creds=Path("a"), nkey_seed=SEED).check(AccessNames())
    assert SEED not in str(caught.value)


def test_certificate_and_key_need_each_other() -> None:
    with pytest.raises(SettingsError, match="^NATS_CERT: NATS_KEY is missing"):
        Access(cert=Path("a")).check(AccessNames())
    with pytest.raises(SettingsError, match="^key: cert is missing"):
        Access(key=Path("a")).check(address.ARGUMENTS.names)


def test_seed_is_not_shown() -> None:
    assert SEED not in repr(Access(nkey_seed=SEED))


@pytest.mark.parametrize(
    "access", [Access(ca=Path("a")), Access(cert=Path("a"), key=Path("b")), Access(tls_handshake_first=True)]
)
def test_a_file_for_tls_requires_tls(access: Access) -> None:
    assert access.secure and not Access(creds=Path("a"), nkey_seed="b").secure


def test_an_address_of_a_websocket_without_tls_is_refused_with_a_ca(tmp_path: Path) -> None:
    ca = Authority(tmp_path).ca
    with pytest.raises(SettingsError, match=r"^NATS_URL: ws://a:1 is without TLS, but NATS_CA is set; write wss://"):
        check_settings("ws://u:secret@a:1", Access(ca=ca))
    check_settings("wss://a:1", Access(ca=ca))
    check_settings("nats://a:1", Access(ca=ca, creds=tmp_path / "written later"))


def test_a_broker_refuses_credentials_given_twice() -> None:
    with pytest.raises(ValueError, match="^creds: no effect with access"):
        Broker("nats://a", name="b", creds=Path("a"), access=Access())


@pytest.mark.parametrize(
    ("problem", "access", "words"),
    [
        (address.NO_TLS, Access(ca=Path("a")), "NATS_CA asks for TLS .* or remove NATS_CA to send"),
        (address.NO_TLS, Access(tls_handshake_first=True), "NATS_TLS_HANDSHAKE_FIRST asks for TLS"),
        ("wrong version number", Access(tls_handshake_first=True), "remove NATS_TLS_HANDSHAKE_FIRST"),
        ("TimeoutError", Access(ca=Path("a")), "start it .*has handshake_first, set NATS_TLS_HANDSHAKE_FIRST"),
        ("tlsv13 alert certificate required", Access(ca=Path("a")), "set NATS_CERT and NATS_KEY"),
        ("nats: 'Authorization Violation'", Access(nkey_seed=SEED), "add the public key of NATS_NKEY_SEED"),
    ],
)
def test_message_about_a_connection_names_what_was_given(problem: str, access: Access, words: str) -> None:
    message = address.unconnected("nats://host", problem, access=access)
    assert pytest.RaisesExc(Exception, match=words).matches(Exception(message)), message
