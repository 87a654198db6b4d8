"""Who sent a request: an account of NATS, or a name that a service of the node states for its own caller. Pure.

NATS accounts: the configuration that `orastream init-auth` writes lets each account publish `tts.request.<session>`,
which the server maps to `tts.request-<account>.<session>` in the node's account. A caller cannot choose that subject,
so the account in the stored subject is proven. Questions (`tts.speak`, the reads) are mapped likewise, to
`tts.of.<account>.…`. The server also tells services the account in a header, `Nats-Request-Info`, but a caller can
spoil that one by a header block that is not well formed, and JetStream removes it from what it stores.

The node's own services publish `tts.request.<session>`, with the header HEADER: the gateway names the API key, or the
account that called `tts.speak`. On a server without accounts whoever publishes can state any name there.
Source: docs/decisions/020-callers-have-accounts.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

HEADER = "Orastream-Caller"
MAX_CHARS = 64
ACCOUNT_MAX_CHARS = 32
TRUSTED = "CALLERS"
"""The account of the node's own LLM servers, which store directly and without limits of their own."""
OBSERVERS = "OBSERVERS"
"""The account of those who watch the node and send nothing."""
UNKNOWN = ""
"""The name of a caller that nobody has stated."""
OTHER = "other"
"""Stands for all callers beyond the first MAX_NAMES in figures that a process keeps by caller."""
MAX_NAMES = 100

_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_CHARS}}}")
_ACCOUNT = re.compile(rf"[A-Za-z0-9_]{{1,{ACCOUNT_MAX_CHARS}}}")
_KIND = "request"


def check_account(name: str) -> str:
    """Return the name if an account of callers can have it. Raises ValueError."""
    if not _ACCOUNT.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an account: 1 to {ACCOUNT_MAX_CHARS} of A-Z a-z 0-9 _")
    return name


def valid(name: str) -> bool:
    """Whether a caller can have this name: 1 to 64 of A-Z a-z 0-9 _ -."""
    return _NAME.fullmatch(name) is not None


def account_in(kind: str) -> str | None:
    """Return the account in the last token of a request's stored subject, or None."""
    name, dash, account = kind.partition("-")
    return account if name == _KIND and dash and _ACCOUNT.fullmatch(account) else None


def caller_of(kind: str, stated: str | None) -> str:
    """Return the caller of a stored request: the account in its subject, else what its header has; else UNKNOWN.

    `kind` is the last token of the stored subject, `stated` the value of HEADER, which counts only without an account.
    """
    if kind != _KIND:
        return account_in(kind) or UNKNOWN
    return stated if stated is not None and valid(stated) else UNKNOWN


class CallerNames:
    """Bounds the number of names: the first `limit` different ones stay, each later one becomes OTHER.

    For labels of metrics: whoever may invent names must not fill the memory of a process, or of Prometheus.
    """

    def __init__(self, known: Iterable[str] = (), limit: int = MAX_NAMES) -> None:
        self._names = {UNKNOWN, *known}
        self._limit = limit + len(self._names)

    def label(self, name: str) -> str:
        """Return the name, or OTHER if there are too many."""
        if name in self._names:
            return name
        if len(self._names) >= self._limit:
            return OTHER
        self._names.add(name)
        return name
