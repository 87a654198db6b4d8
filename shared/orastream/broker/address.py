"""Parse the address of NATS, and write messages about it that never show its password. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from orastream.broker.access import Access, AccessNames
from orastream.contract.errors import SettingsError
from orastream.tls import TlsNames, explain
from orastream.tls import explains as tls_explains
from orastream.tls.failures import TlsFailure, detail, failure_in

_USER = re.compile(r"(^|,\s*)(\w+://)?(?:(?!,\s*\w+://).)*@", re.DOTALL)
_SCHEME = re.compile(r"\w+(?=://)")
_REFUSALS = ("authorization violation", "authorization failed", "authentication", "user credentials")

SCHEMES = ("nats://", "tls://", "ws://", "wss://")
_HOST = re.compile(r"[^\s/?#]+")
"""An address without a scheme, with or without user and port, as nats-py takes it: `nats://` is meant."""

FORM = "write nats://[user:password@]host:port, without any of / ? # @ and comma in user and password"

NO_TLS = "the server does not offer TLS"
NO_ANSWER = "no answer"
"""The problem when a try has taken too long."""
_UNRESOLVED = re.compile(
    r"name or service not known|name does not resolve|name resolution|no address associated|nodename nor servname"
    r"|getaddrinfo failed",
    re.IGNORECASE,
)
"""What the resolvers of glibc, musl, macOS and Windows say about the name of a host."""
_NOT_THERE = re.compile(r"connect call failed|connection refused|no route to host|unreachable", re.IGNORECASE)
"""No server was reached at the address of a host."""
_ERRNO = re.compile(r"\[Errno (\d+)\]")


@dataclass(frozen=True, slots=True)
class AddressOrigin:
    """Who gave the address and the credentials. Messages use these names, so that the reader knows what to correct."""

    field: str
    """Name of the address at the beginning of a message."""
    address: str
    """The same name inside a sentence."""
    remedy: str
    """What to do when no server answers at the address."""
    names: AccessNames = AccessNames()
    """Names of the credentials and of the files for TLS."""


SETTINGS = AddressOrigin("NATS_URL", "NATS_URL", "start it or set NATS_URL")
ARGUMENTS = AddressOrigin(
    "url",
    "the address",
    "start it, or correct the address",
    AccessNames("creds", "nkey_seed", TlsNames("ca", "cert", "key"), "tls_handshake_first"),
)
"""A `Client` gets both from its caller and reads no environment."""


def check(url: str, field: str) -> None:
    """Raise SettingsError, which begins with `field`, if no NATS client can connect to such an address."""
    for one in servers(url):
        if not (one.startswith(SCHEMES) if "://" in one else _HOST.fullmatch(one)):
            begins = f"it begins with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}"
            form = f"; {FORM}" if "@" in url else ""
            raise SettingsError(f"{field}: {shown(url)!r} is no NATS address; {begins}{form}")
        if (problem := _problem(one)) is not None:
            raise SettingsError(f"{field}: {shown(url)!r} is no NATS address: {problem}; {FORM}")


def _problem(server: str) -> str | None:
    """What is wrong in one server URL, without a part of it: a password that is not escaped may be anywhere in it."""
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        port = parts.port
        (parts.hostname or "").encode("idna")  # as the resolver does, which refuses an empty or a long label
    except ValueError:
        return "its host or its port is not valid (a port is a number from 1 to 65535)"
    if not parts.hostname or re.search(r"\s", parts.netloc):
        return "it has no host" if not parts.hostname else "it has white space"
    if port == 0:
        return "its port is 0"
    if parts.scheme in ("nats", "tls") and (parts.path.strip("/") or parts.query or parts.fragment):
        return "it goes on after host:port"
    return None


def servers(url: str) -> list[str]:
    """Return the server URLs of the address, which commas separate; schemes in lower case, as nats-py needs."""
    return [_SCHEME.sub(lambda scheme: scheme[0].lower(), one.strip(), count=1) for one in url.split(",")]


def secure(url: str) -> bool:
    """Whether TLS is required: one `tls://` or `wss://` in the address requires it for all, as in other NATS clients.

    Also for servers that a server announces: otherwise a reconnect could use plain text.
    """
    return any(one.startswith(("tls://", "wss://")) for one in servers(url))


def websocket(url: str) -> bool:
    """Whether a server of the address is reached over WebSocket. nats-py accepts no mix."""
    return any(one.startswith(("ws://", "wss://")) for one in servers(url))


def shown(url: str) -> str:
    """Return a server URL, or several separated by commas, without user, password or token."""
    return _USER.sub(r"\1\2", url)


def refuses(problem: str) -> bool:
    """Whether a server answered and did not accept this client's user."""
    return any(words in problem.lower() for words in _REFUSALS)


def unresolved(problem: str) -> bool:
    """Whether the name of a host has no address here, so that no server was asked."""
    return _UNRESOLVED.search(problem) is not None


def chosen(problems: Iterable[str]) -> str:
    """Of the problems of one try with one or more servers: the one that says most about what to do.

    What a server has answered comes before a host that is not known, and that before a server that is not there.
    """
    found = list(problems)
    for says in (explains, unresolved, _NOT_THERE.search):
        if (problem := next(filter(says, found), None)) is not None:
            return problem
    return NO_ANSWER


def explains(problem: str) -> bool:
    """Whether a server answered, so that waiting alone will not help; `unconnected` says what will."""
    return refuses(problem) or NO_TLS in problem or tls_explains(problem)


def unconnected(url: str, problem: str, origin: AddressOrigin = SETTINGS, access: Access | None = None) -> str:
    """Return why there is no connection and, after the last `; `, what to do.

    `url` must come from `shown`: it is printed as it is.
    """
    names, access = origin.names, access or Access()
    server = f"the NATS server at {url}"
    if NO_TLS in problem:
        asks, instead = origin.address, "write nats://"
        if not secure(url):
            asks = access.name_of_tls(names)
            instead = f"remove {asks}"
        todo = f"configure TLS in nats-server, or {instead} to send everything unencrypted"
        return f"{asks} asks for TLS ({url}), but {problem}; nothing was sent. To connect, {todo}"
    if access.tls_handshake_first and failure_in(problem) is TlsFailure.NO_TLS:
        todo = f"remove {names.handshake_first}, or configure handshake_first in nats-server"
        return f"{server} does not begin with TLS, as {names.handshake_first} asks ({detail(problem)}); {todo}"
    if (explained := explain(problem, access.tls_files(names).peer(server, origin.address))) is not None:
        return explained
    if refuses(problem):
        todo = f"set {names.creds}, {names.nkey_seed} or user:password in {origin.address} to a user that it knows"
        if access.nkey_seed is not None:
            todo = (
                f"add the public key of {names.nkey_seed} to the server's users, or set it to the seed of one of them"
            )
        return f"{server} refuses this client ({problem}); {todo}"
    if unresolved(problem):
        host = f"a host in {url}" if "," in url else f"the host of {url}"
        return f"{host} is not known here ({problem}); correct {origin.address}, or the name service of this machine"
    if _NOT_THERE.search(problem):
        # asyncio says "Connect call failed" with a number, and says it of each address that the host has.
        reasons = dict.fromkeys(os.strerror(int(number)).lower() for number in _ERRNO.findall(problem))
        problem = " and ".join(reasons) or problem
    remedy = origin.remedy
    if (secure(url) or access.secure) and not access.tls_handshake_first and _silent(problem):
        remedy += f"; if it runs and has handshake_first, set {names.handshake_first}"
    return f"no NATS server answers at {url} ({problem}); {remedy}"


def _silent(problem: str) -> bool:
    """Whether a server may have been there and waited for this client to begin."""
    return problem == "TimeoutError" or "expecting INFO" in problem


def unusable(problem: str) -> bool:
    """Whether nats-py did not try to connect because the URL is not valid."""
    return "connect url" in problem or "mixing of websocket" in problem
