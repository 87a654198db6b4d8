"""Whether a web page of elsewhere is behind a request, by Host, Origin and Sec-Fetch-Site. Pure.

Any page that a developer opens can send requests to what listens on the developer's machine: across sites (a form, a
`fetch` with text/plain), or as its own site, once its name resolves to 127.0.0.1 (DNS rebinding). The browser tells of
both in headers that a page cannot write. Other callers (curl, an LLM server) send a Host alone.
Source: WHATWG Fetch, 2.2.2 (forbidden request-headers) and 3.1 (Origin); W3C Fetch Metadata; docs/decisions/015.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Protocol

ANY = "*"
PRIVATE = frozenset({"localhost", "local", "internal", "test", "home.arpa", "lan", "svc"})
"""No name of the public DNS ends in one of these, so no page of elsewhere can have one: reserved (RFC 2606, 6761, 6762,
8375; ICANN for `internal`), or of home routers and Kubernetes and not delegated."""

_HOST = re.compile(r"(?P<name>[^\s\[\]:/?#@\\,]+|\[[0-9a-f:.%]+\])(:\d{0,5})?", re.IGNORECASE)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/\\]+)", re.IGNORECASE)
_SHOWN_CHARS = 80


class RequestHeaders(Protocol):
    """Headers by lower-case name, a name may be there several times."""

    def getlist(self, key: str) -> list[str]:
        """All values under that name."""
        ...


class OriginCheck:
    """The hosts by which it may be called: those that are `known` (`*`: all) and the one it is `bound` to."""

    def __init__(self, known: Iterable[str] = (), bound: str = "") -> None:
        names = {name for text in (*known, bound) if (name := host_of(text) or text.strip())}
        self._any = ANY in names
        self._known = frozenset(names)

    def refusal(self, headers: RequestHeaders) -> str | None:
        """Why a request with these headers may be another site's, and the mend; None when it may be served."""
        if self._any:
            return None
        hosts = headers.getlist("host")
        for text in hosts:  # HTTP/1.0 has none, and no browser speaks it
            host = host_of(text)
            if host is None or not (host in self._known or private(host)):
                return f"the host {_shown(text)} is not known here; {_MEND}"
        site = (headers.getlist("sec-fetch-site") or [""])[-1].strip().lower()
        origins = headers.getlist("origin")
        if site in ("same-origin", "none"):
            return None
        ours = {host_of(text) for text in (*hosts, *_forwarded(headers))} | self._known
        for text in origins:
            if origin_host(text) not in ours - {None}:
                return f"a page of {_shown(text)} may not use this gateway; {_MEND}"
        if site == "cross-site" and not any(origin_host(text) in self._known for text in origins):
            return f"a page of another site may not use this gateway; {_MEND}"
        return None


_MEND = "name its host in GATEWAY_HOSTS, or ask for keys (GATEWAY_API_KEYS)"


def host_of(text: str) -> str | None:
    """The name or address in a `Host`, without its port; None for what is none."""
    match = _HOST.fullmatch(text.strip())
    if match is None:
        return None
    name = match["name"].lower().strip("[]").removesuffix(".")
    return name or None


def origin_host(text: str) -> str | None:
    """The name or address in an `Origin`; None for `null` and what is none.

    Without scheme and port, which a proxy in front may well change: pages of other ports are this machine's own.
    """
    match = _ORIGIN.fullmatch(text.strip())
    return host_of(match["host"]) if match else None


def private(host: str) -> bool:
    """Whether that host cannot be a name of the public DNS: an address, a name without a dot, or a private one."""
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        labels = host.split(".")
    if not all(labels):
        return False
    return len(labels) == 1 or labels[-1] in PRIVATE or ".".join(labels[-2:]) in PRIVATE


def _forwarded(headers: RequestHeaders) -> list[str]:
    """What a proxy in front was called. A page cannot send it across sites without being asked back (a preflight)."""
    return [part for value in headers.getlist("x-forwarded-host") for part in value.split(",")]


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARS])
