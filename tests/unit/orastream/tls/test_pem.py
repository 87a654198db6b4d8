"""What a PEM file holds: a certificate, a key, or something else. Nothing of the content is in the result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orastream.tls import pem

pytestmark = pytest.mark.unit


def block(label: str, body: str = "TUlJQ0FURQ==") -> bytes:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


CERTIFICATE = block("CERTIFICATE")
KEYS = [block("PRIVATE KEY"), block("EC PRIVATE KEY"), block("RSA PRIVATE KEY")]
ENCRYPTED = [
    block("ENCRYPTED PRIVATE KEY"),
    block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nTUlJ"),
]


@pytest.mark.parametrize("content", [CERTIFICATE, b"# a comment\r\n" + CERTIFICATE, KEYS[0] + CERTIFICATE])
def test_a_file_with_a_certificate_is_accepted(content: bytes) -> None:
    assert pem.certificate_fault(content) is None


@pytest.mark.parametrize("content", [*KEYS, CERTIFICATE + KEYS[0], block("EC PARAMETERS") + KEYS[1]])
def test_a_file_with_a_key_is_accepted(content: bytes) -> None:
    assert pem.key_fault(content) is None


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is empty"),
        (KEYS[0], "holds a private key and no certificate"),
        (b"\x30\x82\x01\x0a", "is in DER format"),
        (b"certificate", "holds no certificate in PEM format"),
        (CERTIFICATE[:40], "holds no certificate in PEM format"),
    ],
)
def test_the_fault_of_a_certificate_is_named(content: bytes, fault: str) -> None:
    assert (pem.certificate_fault(content) or "").startswith(fault)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is empty"),
        (CERTIFICATE, "holds a certificate and no private key"),
        (ENCRYPTED[0], "cannot be used: the key in it is encrypted"),
        (ENCRYPTED[1], "cannot be used: the key in it is encrypted"),
        (b"\x30\x82\x01\x0a", "is in DER format"),
        (b"SUAKEY", "holds no private key in PEM format"),
    ],
)
def test_the_fault_of_a_key_is_named(content: bytes, fault: str) -> None:
    assert (pem.key_fault(content) or "").startswith(fault)


@given(st.lists(st.sampled_from([CERTIFICATE, *KEYS, *ENCRYPTED]) | st.binary(max_size=40), max_size=6))
def test_any_content_has_a_result_and_none_shows_the_content(parts: list[bytes]) -> None:
    content = b"\n".join(parts)
    for fault in (pem.certificate_fault(content), pem.key_fault(content)):
        assert fault is None or ("TUlJ" not in fault and len(fault) < 120)
    kept = pem.certificates(content)
    assert kept.isascii() and "PRIVATE" not in kept
    assert pem.certificate_fault(content) is not None or pem.certificate_fault(kept.encode()) is None
