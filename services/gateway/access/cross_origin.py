"""Which pages of other hosts may read the gateway's answers (CORS), and what the answers say for that. Pure.

A browser sends a request with a key or a JSON body to another origin only after a preflight, an OPTIONS request that
asks whether the page may. It shows an answer to the page only if the answer names the page's origin. Pages of hosts in
GATEWAY_HOSTS get both. Source: WHATWG Fetch, 3.2 (HTTP-CORS protocol); docs/decisions/015.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from orastream.service.origin_check import ANY, RequestHeaders, host_of, origin_host

PATHS = ("/api/", "/v1/")
"""Only answers under these paths can be read by pages of other hosts."""
METHODS = ("GET", "HEAD", "POST")
REQUEST_HEADERS = (
    *("Authorization", "X-API-Key", "Content-Type", "Last-Event-ID", "traceparent", "tracestate"),
    *("Range", "If-Range", "If-Match", "If-None-Match"),
)
"""What the API reads. Not X-Forwarded-Host: `origin_check` trusts it because pages of other sites cannot send it."""
EXPOSED_HEADERS = (
    *("X-Audio-Format", "X-Sample-Rate", "X-Request-Seq", "X-Audio-Status", "X-Caption-Times"),
    *("Location", "Retry-After", "WWW-Authenticate", "Accept-Ranges", "Content-Range", "ETag"),
)
"""What a page may read of an answer, besides the headers that every page may read (Content-Type, Content-Length …)."""
MAX_AGE_S = 600
"""How long a browser may use the answer to a preflight again."""

_SDK_HEADER = re.compile(r"x-stainless-[a-z-]{1,32}|user-agent", re.IGNORECASE)
"""Headers that OpenAI's JavaScript client sends with each call. The gateway does not read them."""
_MAX_SDK_HEADERS = 16


class CrossOrigin:
    """Pages of `hosts` (GATEWAY_HOSTS), on any port, may read the answers. `keys`: whether callers need a key.

    `*` stands for the pages of all hosts only with keys. Without keys a page of any site could then speak and read.
    The host of the request and X-Forwarded-Host have no influence, nor has the address on which the gateway listens.
    """

    def __init__(self, hosts: Iterable[str], *, keys: bool) -> None:
        names = {host_of(text) or text.strip() for text in hosts}
        self._any = keys and ANY in names
        self._hosts = frozenset(names - {ANY})

    def allowed(self, headers: RequestHeaders) -> str | None:
        """The origin of the page that sent the request, if the page may read the answer; None if not."""
        origins = headers.getlist("origin")
        if len(origins) != 1 or not origins[0].lower().startswith(("http://", "https://")):
            return None
        host = origin_host(origins[0])
        return origins[0] if host is not None and (self._any or host in self._hosts) else None


def is_preflight(method: str, headers: RequestHeaders) -> bool:
    """Whether the request is a browser's question whether a page may send another request."""
    asked = headers.getlist("access-control-request-method")
    return method == "OPTIONS" and bool(asked) and bool(headers.getlist("origin"))


def preflight_headers(path: str, headers: RequestHeaders, origin: str) -> dict[str, str]:
    """The headers of the answer to a preflight of an allowed origin. Never allows credentials (cookies)."""
    accepted = [*REQUEST_HEADERS, *(_sdk_headers(headers) if path.startswith("/v1/") else ())]
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": ", ".join(METHODS),
        "Access-Control-Allow-Headers": ", ".join(accepted),
        "Access-Control-Max-Age": str(MAX_AGE_S),
        "Vary": "Origin, Access-Control-Request-Headers",
    }


def answer_headers(origin: str | None) -> Mapping[str, str]:
    """The headers that every answer under PATHS has besides its own. `origin`: of a page that may read it, else None.

    Vary is in all of them: a cache must not give a page the answer that was made for another one.
    """
    if origin is None:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": ", ".join(EXPOSED_HEADERS),
    }


def _sdk_headers(headers: RequestHeaders) -> list[str]:
    asked = [name.strip() for value in headers.getlist("access-control-request-headers") for name in value.split(",")]
    return [name for name in asked if _SDK_HEADER.fullmatch(name)][:_MAX_SDK_HEADERS]
