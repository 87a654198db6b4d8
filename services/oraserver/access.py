"""Decides who may use the reference OraServer. With ORASERVER_TOKEN: callers with it. Without: no foreign pages. Pure.

Without the check, every page in a developer's browser could read the texts, speak in the name of a bridge, and end the
process by a fault (docs/decisions/015).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import NamedTuple

from orastream.service.origin_check import OriginCheck, RequestHeaders, of_a_browser

WEBSOCKET_PATH = "/ws/tts"
HTTP_PATH = "/api/tts"
OPEN_TO_ALL = frozenset({"/healthz", "/metrics"})
"""Paths without anything of sessions: a probe has no token, and may use any name."""
_DELIVERY = frozenset({WEBSOCKET_PATH, HTTP_PATH})
_REMEDY = "add its host to ORASERVER_HOSTS, or require a token (ORASERVER_TOKEN)"


class Refusal(NamedTuple):
    """Why a request is refused: HTTP status and message."""

    status: int
    message: str


class OraServerAccess:
    """Checks the token if there is one, else the origin. `hosts`: ORASERVER_HOSTS; `bound`: TTS_HOST."""

    def __init__(self, token: str | None, hosts: Iterable[str] = (), bound: str = "") -> None:
        self._authorization = f"Bearer {token}".encode() if token else None
        self._origins = OriginCheck(hosts, bound, server="this OraServer", remedy=_REMEDY)

    def refusal(self, path: str, headers: RequestHeaders) -> Refusal | None:
        """Why a request with these headers is refused; None when it may be served."""
        if path in OPEN_TO_ALL:
            return None
        if self._authorization is not None:
            given = (headers.getlist("authorization") or [""])[0].encode(errors="surrogateescape")
            if hmac.compare_digest(given, self._authorization):
                return None
            return Refusal(401, "Authorization: Bearer <ORASERVER_TOKEN> is required")
        if path in _DELIVERY and not of_a_browser(headers):
            return None  # a bridge, which may call this server by any name
        refusal = self._origins.refusal(headers)
        return None if refusal is None else Refusal(403, refusal)
