"""A certificate authority of a test's own, and what servers and clients take from it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: the authority's certificate, and key and certificate of the server that `name` names."""

    ca: Path
    key: Path
    certificate: Path

    @property
    def server_flags(self) -> list[str]:
        """For nats-server: it demands TLS."""
        return ["--tls", "--tlscert", str(self.certificate), "--tlskey", str(self.key)]

    @property
    def server_context(self) -> ssl.SSLContext:
        """For a server of the test's own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def issued(folder: Path, name: str) -> Certificates:
    """A new authority and a certificate of it for a host name or address, as files in `folder`."""
    authority = trustme.CA()
    server = authority.issue_cert(name)
    files = Certificates(folder / "ca.pem", folder / "server.key", folder / "server.pem")
    authority.cert_pem.write_to_path(files.ca)
    server.private_key_pem.write_to_path(files.key)
    for number, part in enumerate(server.cert_chain_pems):
        part.write_to_path(files.certificate, append=number > 0)
    return files
