"""The parameters of a client's connection, as Python arguments and as settings of Django or the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream import BlockingClient, SettingsError
from orastream.client.connection_options import access_of
from tests.support.certificates import Authority

pytestmark = pytest.mark.unit

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
NAMES = ("NATS_URL", "NATS_CREDS", "NATS_NKEY_SEED", "NATS_CA", "NATS_CERT", "NATS_KEY", "NATS_TLS_HANDSHAKE_FIRST")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_path_may_be_a_str_and_an_empty_one_is_absent() -> None:
    access = access_of("a.creds", "", "ca.pem", Path("a.pem"), None, False)
    assert (access.creds, access.nkey_seed, access.ca, access.cert, access.key) == (
        *(Path("a.creds"), None, Path("ca.pem"), Path("a.pem"), None),
    )


def test_from_django_reads_the_files_from_the_environment(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("caller", "caller@example.org")
    values = {"NATS_CA": authority.ca, "NATS_CERT": pair.certificate, "NATS_KEY": pair.key, "NATS_NKEY_SEED": SEED}
    for name, value in values.items():
        environment.setenv(name, str(value))
    environment.setenv("NATS_TLS_HANDSHAKE_FIRST", "true")
    options = BlockingClient.from_django()._options
    assert options["ca"] == authority.ca and options["cert"] == pair.certificate and options["key"] == pair.key
    assert options["nkey_seed"] == SEED and options["tls_handshake_first"] is True and options["creds"] is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"NATS_CA": "gone.pem"}, "^NATS_CA: cannot read gone.pem"),
        ({"NATS_CERT": "a.pem"}, "^NATS_CERT: NATS_KEY is missing"),
        ({"NATS_NKEY_SEED": SEED[:-1]}, r"^NATS_NKEY_SEED: the value \(not shown\)"),
        ({"NATS_NKEY_SEED": SEED, "NATS_CREDS": "a.creds"}, "^NATS_CREDS, NATS_NKEY_SEED: only one"),
        ({"NATS_TLS_HANDSHAKE_FIRST": "yes, please"}, "^NATS_TLS_HANDSHAKE_FIRST: .* neither true nor false"),
    ],
)
def test_from_django_names_the_setting_that_is_invalid(
    environment: pytest.MonkeyPatch, settings: dict[str, str], message: str
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsError, match=message) as caught:
        BlockingClient.from_django()
    assert SEED[:-1] not in str(caught.value)


def test_from_django_does_not_read_a_credentials_file(environment: pytest.MonkeyPatch) -> None:
    """It may be written later: the first connection reads it."""
    environment.setenv("NATS_CREDS", "later.creds")
    assert BlockingClient.from_django()._options["creds"] == Path("later.creds")
