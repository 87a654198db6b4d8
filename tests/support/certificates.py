"""A certificate authority for one test, with the files and contexts for servers and clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Certificates:
    """Paths of PEM files: the authority's certificate, and the server's key and certificate."""

    ca: Path
    key: Path
    certificate: Path

    @property
    def server_flags(self) -> list[str]:
        """The flags of nats-server that make it require TLS."""
        return ["--tls", "--tlscert", str(self.certificate), "--tlskey", str(self.key)]

    @property
    def server_context(self) -> ssl.SSLContext:
        """The TLS context for a server inside the test."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def issued(folder: Path, name: str) -> Certificates:
    """Create an authority and a certificate for a host name or address, as files in `folder`."""
    authority = trustme.CA()
    server = authority.issue_cert(name)
    files = Certificates(folder / "ca.pem", folder / "server.key", folder / "server.pem")
    authority.cert_pem.write_to_path(files.ca)
    server.private_key_pem.write_to_path(files.key)
    for number, part in enumerate(server.cert_chain_pems):
        part.write_to_path(files.certificate, append=number > 0)
    return files
