"""What NATS_URL says, and what is said of it. Pure; a password in it is never shown."""

from __future__ import annotations

import re

_USER = re.compile(r"(^|,\s*)(\w+://)?(?:(?!,\s*\w+://).)*@", re.DOTALL)
_SCHEME = re.compile(r"\w+(?=://)")
_REFUSALS = ("authorization violation", "authorization failed", "authentication", "user credentials")

FORM = "write nats://[user:password@]host:port, without any of / ? # @ and comma in user and password"


NO_TLS = "the server does not offer TLS"
_BAD_CERTIFICATE = "certificate verify failed"


def servers(url: str) -> list[str]:
    """The server URLs in NATS_URL, which parts them by commas; each scheme in the lower case that nats-py knows."""
    return [_SCHEME.sub(lambda scheme: scheme[0].lower(), one.strip(), count=1) for one in url.split(",")]


def secure(url: str) -> bool:
    """Whether TLS is a must: one `tls://` (or `wss://`) in NATS_URL means it for all servers, as in other NATS clients.

    For the servers that they name themselves too: else a connection that breaks could come back in plain text.
    """
    return any(one.startswith(("tls://", "wss://")) for one in servers(url))


def shown(url: str) -> str:
    """A server URL (or several, by comma) without user, password or token, whatever characters those have."""
    return _USER.sub(r"\1\2", url)


def refuses(problem: str) -> bool:
    """Whether a server answered, and does not take this client for one of its users."""
    return any(words in problem.lower() for words in _REFUSALS)


def explains(problem: str) -> bool:
    """Whether a server answered, so that waiting alone will not bring it back; `unconnected` says what will."""
    return refuses(problem) or NO_TLS in problem or _BAD_CERTIFICATE in problem.lower()


def unconnected(url: str, problem: str) -> str:
    """Why there is no connection, and what to do; `url` as it is shown."""
    if NO_TLS in problem:
        todo = "configure TLS in nats-server, or write nats:// where the network may read everything"
        return f"NATS_URL asks for TLS ({url}), but {problem}; nothing was sent. To connect, {todo}"
    if _BAD_CERTIFICATE in problem.lower():
        todo = "name its CA's file in SSL_CERT_FILE, and the server in NATS_URL as its certificate does"
        return f"the certificate of the NATS server at {url} is not accepted ({problem}); {todo}"
    if refuses(problem):
        mend = "set NATS_CREDS, or user:password in NATS_URL, to a user that it knows"
        return f"the NATS server at {url} refuses this client ({problem}); {mend}"
    return f"no NATS server answers at {url} ({problem}); start it or set NATS_URL"


def unusable(problem: str) -> bool:
    """Whether nats-py did not even try, because of what stands in the URL."""
    return "connect url" in problem or "mixing of websocket" in problem
