"""Parse NATS_URL, and write messages about it that never show its password. Pure."""

from __future__ import annotations

import re

_USER = re.compile(r"(^|,\s*)(\w+://)?(?:(?!,\s*\w+://).)*@", re.DOTALL)
_SCHEME = re.compile(r"\w+(?=://)")
_REFUSALS = ("authorization violation", "authorization failed", "authentication", "user credentials")

FORM = "write nats://[user:password@]host:port, without any of / ? # @ and comma in user and password"

NO_TLS = "the server does not offer TLS"
_BAD_CERTIFICATE = "certificate verify failed"


def servers(url: str) -> list[str]:
    """Return the server URLs of NATS_URL, which commas separate; schemes in lower case, as nats-py needs."""
    return [_SCHEME.sub(lambda scheme: scheme[0].lower(), one.strip(), count=1) for one in url.split(",")]


def secure(url: str) -> bool:
    """Whether TLS is required: one `tls://` or `wss://` in NATS_URL requires it for all, as in other NATS clients.

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


def unconnected(url: str, problem: str) -> str:
    """Return why there is no connection, and what to do. `url` must come from `shown`: it is printed as it is."""
    if NO_TLS in problem:
        todo = "configure TLS in nats-server, or write nats:// to send everything unencrypted"
        return f"NATS_URL asks for TLS ({url}), but {problem}; nothing was sent. To connect, {todo}"
    if _BAD_CERTIFICATE in problem.lower():
        todo = "set SSL_CERT_FILE to the file of its CA, and use the host name of the certificate in NATS_URL"
        return f"the certificate of the NATS server at {url} is not accepted ({problem}); {todo}"
    if refuses(problem):
        todo = "set NATS_CREDS, or user:password in NATS_URL, to a user that it knows"
        return f"the NATS server at {url} refuses this client ({problem}); {todo}"
    return f"no NATS server answers at {url} ({problem}); start it or set NATS_URL"


def unusable(problem: str) -> bool:
    """Whether nats-py did not try to connect because the URL is not valid."""
    return "connect url" in problem or "mixing of websocket" in problem
