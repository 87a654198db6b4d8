"""A certificate authority for one test, with the files and contexts for servers and clients."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of PEM files: a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority. `ca` is the file of its certificate."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        """Its files, and those of the certificates that it issues, are in `folder`."""
        self._authority = trustme.CA()
        self._folder = folder
        self.ca = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.ca)

    def issue(self, name: str, identity: str = "127.0.0.1", *, valid_for: timedelta = timedelta(days=1)) -> Pair:
        """Write a certificate and its key to files called `name`. One whose `valid_for` is negative has expired."""
        issued = self._authority.issue_cert(identity, not_after=datetime.now(UTC) + valid_for)
        return self._written(name, issued)

    def issue_for_tomorrow(self, name: str, identity: str = "127.0.0.1") -> Pair:
        """Write a certificate that is not valid yet, and its key."""
        begin = datetime.now(UTC) + timedelta(days=1)
        issued = self._authority.issue_cert(identity, not_before=begin, not_after=begin + timedelta(days=1))
        return self._written(name, issued)

    def server_context(self, pair: Pair, *, verify: bool = False, tls12: bool = False) -> ssl.SSLContext:
        """The TLS context for a server inside the test; with `verify` it requires client certificates of this CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        if verify:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        if tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def nats_config(self, pair: Pair, *, verify: bool = False, more: str = "") -> str:
        """The block `tls` of a configuration of nats-server; with `verify` it requires client certificates."""
        files = f'cert_file: "{pair.certificate}", key_file: "{pair.key}", ca_file: "{self.ca}"'
        return f"tls {{ {files}, verify: {str(verify).lower()}{more} }}\n"

    def _written(self, name: str, issued: trustme.LeafCert) -> Pair:
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        issued.private_key_pem.write_to_path(pair.key)
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(pair.certificate, append=number > 0)
        return pair


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
