"""The settings for credentials and TLS: of NATS, which everything reads, and of OraServer, which the bridges read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orastream.broker import Access, shown
from orastream.contract.errors import SettingsError
from orastream.tls import ORASERVER, ClientTls, TlsFiles


def off_is_absent(value: object) -> object:
    """Turn `off` into None. An empty variable cannot do that: the value of `.env` would count."""
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


OptionalPath = Annotated[Path | None, BeforeValidator(off_is_absent)]


class EnvironmentSettings(BaseSettings):
    """Settings from the environment and `.env`, in any case; an empty value counts as absent."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", frozen=True, case_sensitive=False, env_ignore_empty=True
    )


class NatsAccessSettings(EnvironmentSettings):
    """Who a process is for NATS, and whom it trusts. The files are checked before the first connection."""

    nats_creds: OptionalPath = None
    nats_nkey_seed: Annotated[SecretStr | None, BeforeValidator(off_is_absent)] = None
    """The seed of a user's nkey, or the path of a file that holds it."""
    nats_ca: OptionalPath = None
    nats_cert: OptionalPath = None
    nats_key: OptionalPath = None
    nats_tls_handshake_first: bool = False

    @property
    def nats_access(self) -> Access:
        """The credentials and files for TLS with NATS."""
        return Access(
            creds=self.nats_creds,
            nkey_seed=self.nats_nkey_seed.get_secret_value() if self.nats_nkey_seed is not None else None,
            ca=self.nats_ca,
            cert=self.nats_cert,
            key=self.nats_key,
            tls_handshake_first=self.nats_tls_handshake_first,
        )


class OraServerTlsSettings(EnvironmentSettings):
    """The files for TLS with OraServer, over both transports."""

    oraserver_ca: OptionalPath = None
    oraserver_cert: OptionalPath = None
    oraserver_key: OptionalPath = None

    @property
    def oraserver_tls(self) -> ClientTls:
        """TLS with OraServer by these files, which are not read yet."""
        return ClientTls(TlsFiles(ORASERVER, self.oraserver_ca, self.oraserver_cert, self.oraserver_key))

    def checked_oraserver_tls(self, **urls: str) -> ClientTls:
        """TLS with OraServer, whose files were read. `urls` are the addresses that will be used, by their setting.

        Raises SettingsError for files that cannot be used, and for an address without TLS although a file is given.
        """
        tls = self.oraserver_tls
        if tls.files:
            tls.check()
            given = ORASERVER.ca if tls.files.ca is not None else ORASERVER.cert
            for name, url in urls.items():
                if url.startswith(("ws://", "http://")):
                    todo = f"write {'wss' if url.startswith('ws') else 'https'}://, or remove {given}"
                    raise SettingsError(f"{name.upper()}: {shown(url)} is without TLS, but {given} is set; {todo}")
        return tls
