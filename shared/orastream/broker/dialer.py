"""What a connection to NATS is made with: address, credentials, TLS. Also says why it cannot be made."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

from orastream.broker import address
from orastream.broker.access import Access
from orastream.broker.credentials import Credentials, NkeySeed
from orastream.broker.fastpath.dispatch import DispatchingClient
from orastream.broker.repairs import Repairs
from orastream.contract.errors import SettingsError
from orastream.tls import ClientTls

MAX_NOTED = 32
"""Maximum number of different problems that are kept of one try."""


def check_settings(url: str, access: Access) -> None:
    """Raise SettingsError, with the names of settings, for what `Dialer.check` refuses.

    A credentials file is not read: it may be written later, before the first connection.
    """
    access.check(address.SETTINGS.names)
    Dialer(url, replace(access, creds=None), address.SETTINGS).check()


class Dialer:
    """Makes clients of nats-py and their options. Files are read again for each connection."""

    def __init__(self, url: str, access: Access, origin: address.AddressOrigin) -> None:
        """Reads nothing yet. `origin` says where `url` and `access` come from, for messages."""
        self._url = url
        self._access = access
        self._origin = origin
        names = origin.names
        self._creds = Credentials(access.creds, names.creds) if access.creds is not None else None
        self._nkey = NkeySeed(str(access.nkey_seed), names.nkey_seed) if access.nkey_seed is not None else None
        self._tls = ClientTls(access.tls_files(names))
        self._noted: dict[str, None] = {}
        self._secure = address.secure(url) or access.secure
        self.shown = address.shown(url)
        """The address without user and password, for messages."""

    def check(self) -> None:
        """Raise SettingsError for an address, a file or a combination with which no connection can be made."""
        names = self._origin.names
        self._access.check(names)
        for credentials in (self._creds, self._nkey):
            if credentials is not None:
                credentials.check()
        address.check(self._url, self._origin.field)
        if address.websocket(self._url) and importlib.util.find_spec("aiohttp") is None:
            # nats-py says so of each try, as of a server that is not there.
            todo = "install it, or use a nats:// or tls:// address"
            raise SettingsError(f"{self._origin.field}: {self.shown} needs the package aiohttp; {todo}")
        if self._access.secure:
            given = self._access.name_of_tls(names)
            if any(server.startswith("ws://") for server in address.servers(self._url)):
                raise SettingsError(
                    f"{self._origin.field}: {self.shown} is without TLS, but {given} is set; write wss://"
                )
        if self._tls.files:
            self._tls.check()

    def client(self, repairs: Repairs) -> DispatchingClient:
        """Return a client that is not connected yet."""
        self._noted.clear()
        nkey = self._nkey.public_key if self._nkey is not None else None
        return DispatchingClient(repairs, secure=self._secure, tls=self._tls, nkey=nkey)

    def options(self) -> dict[str, Any]:
        """Return the arguments of the client's `connect` for servers, user and TLS."""
        signer = self._creds or self._nkey
        return {
            "servers": address.servers(self._url),
            "user_jwt_cb": self._creds.jwt if self._creds is not None else None,
            "signature_cb": signer.sign if signer is not None else None,
            "tls_handshake_first": self._access.tls_handshake_first,
        }

    def note(self, problem: str) -> None:
        """Keep a problem of the client: nats-py asks the servers in turn, again and again, until the try is over."""
        if len(self._noted) < MAX_NOTED:
            self._noted[problem] = None

    def unconnected(self, problem: str) -> str:
        """Return why there is no connection, and after the last `; ` what to do."""
        if problem == address.NO_ANSWER:
            problem = address.chosen(self._noted)
        return address.unconnected(self.shown, problem, self._origin, self._access)

    def unusable(self, problem: str) -> str:
        """Return the message about an address that nats-py cannot use."""
        return f"{self._origin.field}: {self.shown}: {problem}; {address.FORM}"
