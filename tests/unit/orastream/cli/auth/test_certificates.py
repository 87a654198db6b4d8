"""The authority to try TLS with."""

from __future__ import annotations

import datetime as dt
import ssl
import sys

import pytest
from cryptography import x509

from orastream.cli.auth.certificates import VALID, Pair, TrialAuthority
from orastream.contract.errors import SettingsError

pytestmark = pytest.mark.unit


def test_certificates_expire_and_name_the_server() -> None:
    authority = TrialAuthority()
    server = x509.load_pem_x509_certificate(authority.server(["nats.example.com", "10.0.0.5"]).certificate)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["nats", "localhost", "nats.example.com"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.0.0.5"]
    left = server.not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert VALID - dt.timedelta(hours=1) < left <= VALID


def test_a_stored_authority_issues_certificates_that_the_first_one_is_trusted_for() -> None:
    first = TrialAuthority()
    again = TrialAuthority(first.pair)
    assert again.pair.certificate == first.pair.certificate
    issued = x509.load_pem_x509_certificate(again.client("ws_bridge").certificate)
    issued.verify_directly_issued_by(x509.load_pem_x509_certificate(first.pair.certificate))
    context = ssl.create_default_context(cadata=first.pair.certificate.decode())
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_damaged_authority_is_an_error_that_names_the_fix() -> None:
    with pytest.raises(SettingsError, match=r"delete both"):
        TrialAuthority(Pair(b"nonsense", b"nonsense"))


def test_without_trustme_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(SettingsError, match=r"pip install 'orastream\[auth\]'"):
        TrialAuthority()
