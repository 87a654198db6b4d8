"""Who this client is for NATS, and whom it trusts: credentials and files for TLS. Pure: `dialer` reads the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orastream.contract.errors import SettingsError
from orastream.tls import TlsFiles, TlsNames


@dataclass(frozen=True, slots=True)
class AccessNames:
    """What the user sets to the values of `Access`. Messages use these names."""

    creds: str = "NATS_CREDS"
    nkey_seed: str = "NATS_NKEY_SEED"
    tls: TlsNames = TlsNames("NATS_CA", "NATS_CERT", "NATS_KEY")
    handshake_first: str = "NATS_TLS_HANDSHAKE_FIRST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Each value may be absent. A file for TLS, or `tls_handshake_first`, means TLS or no connection."""

    creds: Path | None = None
    """A credentials file of a user (`.creds`)."""
    nkey_seed: str | Path | None = field(default=None, repr=False)
    """The seed of a user's nkey, or the path of a file that holds it."""
    ca: Path | None = None
    """Certificates of the authorities to trust, in place of the system's."""
    cert: Path | None = None
    """The client's certificate."""
    key: Path | None = None
    """The key of `cert`."""
    tls_handshake_first: bool = False
    """Whether TLS begins before the server's INFO, as `handshake_first` of nats-server requires."""

    @property
    def secure(self) -> bool:
        """Whether these values require TLS, whatever the address says."""
        return self.tls_handshake_first or any((self.ca, self.cert, self.key))

    def tls_files(self, names: AccessNames) -> TlsFiles:
        """Return the files for TLS; messages about them use `names`."""
        return TlsFiles(names.tls, self.ca, self.cert, self.key)

    def name_of_tls(self, names: AccessNames) -> str:
        """Return the name of a value that requires TLS; there must be one (`secure`)."""
        given = ((self.ca, names.tls.ca), (self.cert, names.tls.cert), (self.key, names.tls.key))
        return next((name for path, name in given if path is not None), names.handshake_first)

    def check(self, names: AccessNames) -> None:
        """Raise SettingsError for values that exclude each other, or of which one is missing."""
        if self.creds is not None and self.nkey_seed is not None:
            raise SettingsError(f"{names.creds}, {names.nkey_seed}: only one of them can be the user; remove the other")
        self.tls_files(names).check_pair()
