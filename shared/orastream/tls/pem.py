"""What a PEM file holds, and why it is no certificate or no key. Pure; results never show the content."""

from __future__ import annotations

import re

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s(.*?)-----END \1-----", re.DOTALL)
_CERTIFICATE = b"CERTIFICATE"
_DER = b"\x30\x82"
"""The first bytes of a certificate or key in DER. OpenSSL's error for such a file would not say so."""

_ENCRYPTED = "the key in it is encrypted with a passphrase, for which a service cannot ask"


def certificate_fault(content: bytes) -> str | None:
    """Return why the content of a file holds no certificate, in words that follow the path; None if it holds one."""
    labels = _labels(content)
    if _CERTIFICATE in labels:
        return None
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        return "holds a private key and no certificate"
    return _no_pem(content, "certificate")


def key_fault(content: bytes) -> str | None:
    """Return why the content of a file holds no usable private key, in words that follow the path; None if it does."""
    keys = [(label, body) for label, body in _BLOCK.findall(content) if label.endswith(b"PRIVATE KEY")]
    if keys:
        encrypted = any(b"ENCRYPTED" in label or b"ENCRYPTED" in body for label, body in keys)
        return f"cannot be used: {_ENCRYPTED}" if encrypted else None
    if _CERTIFICATE in _labels(content):
        return "holds a certificate and no private key"
    return _no_pem(content, "private key")


def certificates(content: bytes) -> str:
    """Return the certificates of the content in PEM. Other bytes are left out: `ssl` takes ASCII alone."""
    blocks = (block for block in _BLOCK.finditer(content) if block[1] == _CERTIFICATE)
    return "\n".join(block[0].decode("ascii", "ignore") for block in blocks) + "\n"


def _labels(content: bytes) -> set[bytes]:
    return {label for label, _ in _BLOCK.findall(content)}


def _no_pem(content: bytes, wanted: str) -> str:
    if not content.strip():
        return "is empty"
    if content.startswith(_DER):
        return (
            f"is in DER format; convert it to PEM (openssl {'x509' if wanted == 'certificate' else 'pkey'} -inform der)"
        )
    return f"holds no {wanted} in PEM format"
