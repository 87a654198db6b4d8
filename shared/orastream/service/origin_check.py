"""Detects requests of web pages of other sites, by Host, Origin and Sec-Fetch-Site. Pure.

Any page that a developer opens can send requests to a server on the developer's machine: across sites (a form, a
`fetch` with text/plain), or as its own site, if its name resolves to 127.0.0.1 (DNS rebinding). The browser shows both
in headers that a page cannot set. Other callers (curl, an LLM server) send only Host.
Source: WHATWG Fetch, 2.2.2 (forbidden request-headers) and 3.1 (Origin); W3C Fetch Metadata; docs/decisions/015.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Protocol

ANY = "*"
PRIVATE = frozenset({"localhost", "local", "internal", "test", "home.arpa", "lan", "svc"})
"""No name of the public DNS ends in one of these, so no page of another site can have such a name. They are reserved
(RFC 2606, 6761, 6762, 8375; ICANN for `internal`), or used by home routers and Kubernetes and not delegated."""

_HOST = re.compile(r"(?P<name>[^\s\[\]:/?#@\\,]+|\[[0-9a-f:.%]+\])(:\d{0,5})?", re.IGNORECASE)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<host>[^/\\]+)", re.IGNORECASE)
_SHOWN_CHARS = 80


class RequestHeaders(Protocol):
    """Headers by lower-case name. A name may occur several times."""

    def getlist(self, key: str) -> list[str]:
        """All values under that name."""
        ...


class OriginCheck:
    """Accepts requests to the hosts in `known` (`*`: any host) and to `bound`, the address on which the server listens.

    It also accepts hosts that cannot be names of the public DNS. `server` and `remedy` are parts of a refusal: what
    the page may not use, and how to allow it.
    """

    def __init__(
        self, known: Iterable[str] = (), bound: str = "", *, server: str = "this server", remedy: str = "name its host"
    ) -> None:
        self._server = server
        self._remedy = remedy
        names = {name for text in (*known, bound) if (name := host_of(text) or text.strip())}
        self._any = ANY in names
        self._known = frozenset(names)

    def refusal(self, headers: RequestHeaders) -> str | None:
        """Why a request with these headers is refused, and how to allow it; None when it may be served."""
        if self._any:
            return None
        hosts = headers.getlist("host")
        for text in hosts:  # HTTP/1.0 requests have no Host, and no browser sends HTTP/1.0
            host = host_of(text)
            if host is None or not (host in self._known or private(host)):
                return f"the host {_shown(text)} is not known here; {self._remedy}"
        site = (headers.getlist("sec-fetch-site") or [""])[-1].strip().lower()
        origins = headers.getlist("origin")
        if site in ("same-origin", "none"):
            return None
        ours = {host_of(text) for text in (*hosts, *_forwarded(headers))} | self._known
        for text in origins:
            if origin_host(text) not in ours - {None}:
                return f"a page of {_shown(text)} may not use {self._server}; {self._remedy}"
        if site == "cross-site" and not any(origin_host(text) in self._known for text in origins):
            return f"a page of another site may not use {self._server}; {self._remedy}"
        return None


def hosts_in(value: str | None) -> tuple[str, ...]:
    """The hosts of a setting, separated by commas; () for None. Raises ValueError for anything but hosts and `*`."""
    names = tuple(name.strip() for name in (value or "").split(",") if name.strip())
    for name in names:
        if name != ANY and host_of(name) is None:
            raise ValueError(f"{name!r} is not a host; write names without https:// and path, or * for all")
    return names


def of_a_browser(headers: RequestHeaders) -> bool:
    """Whether a page may have sent this request, if it is a POST or an upgrade to a WebSocket.

    Browsers send Origin with each of them, also within one site (Fetch, 3.1: any method but GET and HEAD, and mode
    "websocket").
    """
    return bool(headers.getlist("origin") or headers.getlist("sec-fetch-site"))


def host_of(text: str) -> str | None:
    """The name or address in a `Host` header, in lower case and without its port; None when it is not valid."""
    match = _HOST.fullmatch(text.strip())
    if match is None:
        return None
    name = match["name"].lower().strip("[]").removesuffix(".")
    return name or None


def origin_host(text: str) -> str | None:
    """The name or address in an `Origin` header; None for `null` or an invalid value.

    Scheme and port are left out: a proxy may change them, and a page on another port belongs to the same machine.
    """
    match = _ORIGIN.fullmatch(text.strip())
    return host_of(match["host"]) if match else None


def private(host: str) -> bool:
    """Whether the host cannot be a name of the public DNS: an address, a name without a dot, or one in PRIVATE."""
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        labels = host.split(".")
    if not all(labels):
        return False
    return len(labels) == 1 or labels[-1] in PRIVATE or ".".join(labels[-2:]) in PRIVATE


def _forwarded(headers: RequestHeaders) -> list[str]:
    """The hosts of X-Forwarded-Host, set by a proxy. A page of another site would need a preflight that allows it."""
    return [part for value in headers.getlist("x-forwarded-host") for part in value.split(",")]


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARS])
