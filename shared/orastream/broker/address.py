"""Parse the address of NATS, and write messages about it that never show its password. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orastream.contract.errors import SettingsError

_USER = re.compile(r"(^|,\s*)(\w+://)?(?:(?!,\s*\w+://).)*@", re.DOTALL)
_SCHEME = re.compile(r"\w+(?=://)")
_REFUSALS = ("authorization violation", "authorization failed", "authentication", "user credentials")

SCHEMES = ("nats://", "tls://", "ws://", "wss://")
_HOST = re.compile(r"[^\s/?#]+")
"""An address without a scheme, with or without user and port, as nats-py takes it: `nats://` is meant."""

FORM = "write nats://[user:password@]host:port, without any of / ? # @ and comma in user and password"

NO_TLS = "the server does not offer TLS"
_BAD_CERTIFICATE = "certificate verify failed"


@dataclass(frozen=True, slots=True)
class AddressOrigin:
    """Who gave the address and the credentials. Messages use these names, so that the reader knows what to correct."""

    field: str
    """Name of the address at the beginning of a message."""
    address: str
    """The same name inside a sentence."""
    creds: str
    """Name of the path of the credentials file."""
    remedy: str
    """What to do when no server answers at the address."""


SETTINGS = AddressOrigin("NATS_URL", "NATS_URL", "NATS_CREDS", "start it or set NATS_URL")
ARGUMENTS = AddressOrigin("url", "the address", "creds", "start it, or correct the address")
"""A `Client` gets both from its caller and reads no environment."""


def check(url: str, field: str) -> None:
    """Raise SettingsError, which begins with `field`, if no NATS client can connect to such an address."""
    for one in servers(url):
        if not (one.startswith(SCHEMES) if "://" in one else _HOST.fullmatch(one)):
            begins = f"it begins with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}"
            form = f"; {FORM}" if "@" in url else ""
            raise SettingsError(f"{field}: {shown(url)!r} is no NATS address; {begins}{form}")


def servers(url: str) -> list[str]:
    """Return the server URLs of the address, which commas separate; schemes in lower case, as nats-py needs."""
    return [_SCHEME.sub(lambda scheme: scheme[0].lower(), one.strip(), count=1) for one in url.split(",")]


def secure(url: str) -> bool:
    """Whether TLS is required: one `tls://` or `wss://` in the address requires it for all, as in other NATS clients.

    Also for servers that a server announces: otherwise a reconnect could use plain text.
    """
    return any(one.startswith(("tls://", "wss://")) for one in servers(url))


def shown(url: str) -> str:
    """Return a server URL, or several separated by commas, without user, password or token."""
    return _USER.sub(r"\1\2", url)


def refuses(problem: str) -> bool:
    """Whether a server answered and did not accept this client's user."""
    return any(words in problem.lower() for words in _REFUSALS)


def explains(problem: str) -> bool:
    """Whether a server answered, so that waiting alone will not help; `unconnected` says what will."""
    return refuses(problem) or NO_TLS in problem or _BAD_CERTIFICATE in problem.lower()


def unconnected(url: str, problem: str, origin: AddressOrigin = SETTINGS) -> str:
    """Return why there is no connection, and what to do. `url` must come from `shown`: it is printed as it is."""
    if NO_TLS in problem:
        todo = "configure TLS in nats-server, or write nats:// to send everything unencrypted"
        return f"{origin.address} asks for TLS ({url}), but {problem}; nothing was sent. To connect, {todo}"
    if _BAD_CERTIFICATE in problem.lower():
        todo = f"set SSL_CERT_FILE to the file of its CA, and use the host name of the certificate in {origin.address}"
        return f"the certificate of the NATS server at {url} is not accepted ({problem}); {todo}"
    if refuses(problem):
        todo = f"set {origin.creds}, or user:password in {origin.address}, to a user that it knows"
        return f"the NATS server at {url} refuses this client ({problem}); {todo}"
    return f"no NATS server answers at {url} ({problem}); {origin.remedy}"


def unusable(problem: str) -> bool:
    """Whether nats-py did not try to connect because the URL is not valid."""
    return "connect url" in problem or "mixing of websocket" in problem
