"""An authority and certificates to try TLS with (extra `auth`). The only file that imports `trustme`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from orastream.contract.errors import SettingsError

VALID = dt.timedelta(days=90)
"""How long a certificate counts: short, because nobody renews these by themselves."""
SERVER_NAMES = ("nats", "localhost", "127.0.0.1")
"""The names of the server that are always in its certificate."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


class TrialAuthority:
    """An authority that issues certificates. It can be stored and loaded again."""

    def __init__(self, stored: Pair | None = None) -> None:
        """Make a new one, or load `stored`. Raises SettingsError without trustme, or if `stored` is not readable."""
        try:
            import trustme
        except ModuleNotFoundError:
            raise SettingsError("--tls needs trustme; install it: pip install 'orastream[auth]'") from None
        try:
            loaded = trustme.CA.from_pem(stored.certificate, stored.key) if stored else None
        except ValueError as exc:
            raise SettingsError(f"--tls: ca.crt and ca.key are no authority ({exc}); delete both to make one") from None
        self._ca = loaded or trustme.CA(organization_name="orastream init-auth, to try TLS with")

    @property
    def pair(self) -> Pair:
        """Its own certificate and key."""
        return Pair(self._ca.cert_pem.bytes(), self._ca.private_key_pem.bytes())

    def server(self, hosts: Iterable[str]) -> Pair:
        """A certificate of the server: SERVER_NAMES and `hosts`. Raises SettingsError for an invalid host."""
        hosts = tuple(dict.fromkeys((*SERVER_NAMES, *hosts)))
        try:
            return self._issued(hosts, "nats")
        except ValueError as exc:
            raise SettingsError(f"--host: no name or address of a host among {', '.join(hosts)} ({exc})") from None

    def client(self, role: str) -> Pair:
        """A certificate of a client, with the name of its role."""
        return self._issued((f"{role.replace('_', '-')}.orastream.internal",), role)

    def _issued(self, hosts: tuple[str, ...], name: str) -> Pair:
        until = dt.datetime.now(dt.UTC) + VALID
        issued = self._ca.issue_cert(*hosts, common_name=name, not_after=until)
        return Pair(issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes())
