"""The files for TLS: each fault is named with its setting before anything is connected, and a renewal is noticed."""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from orastream.contract.errors import SettingsError
from orastream.tls import ClientTls, TlsFiles, TlsNames
from orastream.tls.files import MAX_BYTES
from tests.support.certificates import Authority, Pair

pytestmark = pytest.mark.unit

NAMES = TlsNames("X_CA", "X_CERT", "X_KEY")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def client(authority: Authority) -> Pair:
    return authority.issue("client", "caller@example.org")


def refusal(**paths: Path | None) -> str:
    """The error about these files; it must not show any of their content."""
    with pytest.raises(SettingsError) as caught:
        TlsFiles(NAMES, **paths).context()
    message = str(caught.value)
    for path in filter(None, paths.values()):
        if path.is_file():
            lines = path.read_bytes()[:MAX_BYTES].decode("ascii", "replace").splitlines()
            assert not any(line in message for line in lines if len(line) > 20)
    return message


def test_context_trusts_only_the_given_authority_and_needs_tls_1_2(authority: Authority, client: Pair) -> None:
    context = TlsFiles(NAMES, authority.ca, client.certificate, client.key).context()
    assert len(context.get_ca_certs()) == 1
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_context_without_files_verifies_by_the_systems_authorities() -> None:
    context = TlsFiles(NAMES).context()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname


def test_context_without_ca_uses_ssl_cert_file(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    assert len(TlsFiles(NAMES).context().get_ca_certs()) == 1


def test_one_file_with_certificate_and_key_serves_as_both(client: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(client.key.read_bytes() + client.certificate.read_bytes())
    TlsFiles(NAMES, cert=both, key=both).context()


def test_certificate_and_key_need_each_other(client: Pair) -> None:
    assert refusal(cert=client.certificate).startswith("X_CERT: X_KEY is missing; set it to the key")
    assert refusal(key=client.key).startswith("X_KEY: X_CERT is missing; set it to the certificate")


def test_swapped_files_are_named(authority: Authority, client: Pair) -> None:
    message = refusal(cert=client.key, key=client.certificate)
    assert message.startswith("X_CERT: ") and "holds a private key and no certificate" in message
    message = refusal(cert=client.certificate, key=authority.ca)
    assert message.startswith("X_KEY: ") and "holds a certificate and no private key" in message
    message = refusal(ca=client.key)
    assert message.startswith("X_CA: ") and "holds a private key and no certificate" in message


def test_files_that_do_not_belong_together_are_named(authority: Authority, client: Pair) -> None:
    message = refusal(cert=client.certificate, key=authority.issue("other").key)
    assert message.startswith("X_CERT, X_KEY: ") and "does not belong to the certificate" in message


def test_encrypted_key_is_refused_and_asks_for_no_passphrase(client: Pair, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(client.key.read_bytes(), None)
    for encoding in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        path = tmp_path / "encrypted.key"
        encryption = serialization.BestAvailableEncryption(b"opensesame")
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, encoding, encryption))
        message = refusal(cert=client.certificate, key=path)
        assert message.startswith("X_KEY: ") and "is encrypted with a passphrase" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\x30\x82\x01\x0a\x02", "is in DER format"),
        (b"\xff\xfe\x00\x01", "in PEM format"),
        (b"-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGUgYXQgYWxs\n-----END CERTIFICATE-----\n", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\n\xff\xff\n-----END CERTIFICATE-----\n", "damaged"),
        (b"x" * (MAX_BYTES + 1), "is longer than 4 MiB"),
    ],
)
def test_bad_content_is_named(tmp_path: Path, client: Pair, content: bytes, reason: str) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    message = refusal(ca=bad)
    assert message.startswith("X_CA: ") and reason in message and str(bad) in message
    message = refusal(cert=bad, key=client.key)
    assert message.startswith("X_CERT") and str(bad) in message
    if b"BEGIN" not in content:
        message = refusal(cert=client.certificate, key=bad)
        assert message.startswith("X_KEY: ") and str(bad) in message


def test_unreadable_files_are_named(tmp_path: Path, client: Pair) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    null = tmp_path / "a\0b"
    for path, reason in [
        *((tmp_path / "gone", "No such file"), (tmp_path, "Is a directory"), (pipe, "is no file")),
        (null, "null byte"),
    ]:
        for paths in ({"ca": path}, {"cert": path, "key": client.key}, {"cert": client.certificate, "key": path}):
            message = refusal(**paths)
            assert reason in message and str(path) in message


def test_renewed_files_are_used_for_the_next_connection(authority: Authority, client: Pair) -> None:
    tls = ClientTls(TlsFiles(NAMES, authority.ca, client.certificate, client.key))
    tls.check()
    first = tls.context()
    assert tls.context() is first, "nothing has changed"
    authority.issue("client", "caller@example.org")
    assert tls.context() is not first


def test_the_files_before_stay_in_use_while_renewed_ones_are_incomplete(
    authority: Authority, client: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """The warning comes once: a bridge connects many times a second."""
    caplog.set_level(logging.WARNING)
    tls = ClientTls(TlsFiles(NAMES, authority.ca, client.certificate, client.key))
    first = tls.context()
    renewed = authority.issue("renewed", "caller@example.org")
    os.replace(renewed.certificate, client.certificate)
    assert tls.context() is first and tls.context() is first
    (record,) = caplog.records
    assert "X_CERT, X_KEY" in record.getMessage() and "those before stay in use" in record.getMessage()
    os.replace(renewed.key, client.key)
    assert tls.context() is not first
    client.key.unlink()
    assert tls.context() is not first and len(caplog.records) == 2


def test_first_context_raises_the_fault(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="^X_CA: cannot read"):
        ClientTls(TlsFiles(NAMES, tmp_path / "gone")).context()
