"""What is said of a NATS server's address. Pure; a password in it is never shown."""

from __future__ import annotations

import re

_USER = re.compile(r"(^|,\s*)(\w+://)?(?:(?!,\s*\w+://).)*@", re.DOTALL)
_REFUSALS = ("authorization violation", "authorization failed", "authentication", "user credentials")

FORM = "write nats://[user:password@]host:port, without any of / ? # @ and comma in user and password"


def shown(url: str) -> str:
    """A server URL (or several, by comma) without user, password or token, whatever characters those have."""
    return _USER.sub(r"\1\2", url)


def refuses(problem: str) -> bool:
    """Whether a server answered, and does not take this client for one of its users."""
    return any(words in problem.lower() for words in _REFUSALS)


def unconnected(url: str, problem: str) -> str:
    """Why there is no connection, and the mend; `url` as it is shown."""
    if refuses(problem):
        mend = "set NATS_CREDS, or user:password in NATS_URL, to a user that it knows"
        return f"the NATS server at {url} refuses this client ({problem}); {mend}"
    return f"no NATS server answers at {url} ({problem}); start it or set NATS_URL"


def unusable(problem: str) -> bool:
    """Whether nats-py did not even try, because of what stands in the URL."""
    return "connect url" in problem or "mixing of websocket" in problem
