"""Decides who may call. With GATEWAY_API_KEYS: callers with a key. Without: all but pages of other sites. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers

from orastream.service.origin_check import OriginCheck
from services.gateway.access.api_keys import ApiKeys


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a call is refused: HTTP status, error code and message."""

    status: int
    code: str
    message: str


class AccessPolicy:
    """Checks keys if any are set, else origins.

    With keys no origin check is needed: a page of another site has no key, and a caller with a key may be anywhere.
    """

    def __init__(self, keys: ApiKeys, origins: OriginCheck) -> None:
        self._keys = keys
        self._origins = origins

    @property
    def asks(self) -> bool:
        """Whether callers need a key."""
        return self._keys.asked

    def refusal(self, headers: Headers) -> Denied | None:
        """Why a call with these headers is refused; None when it is allowed."""
        if self._keys.asked:
            message = "Authorization: Bearer <key> or X-API-Key: <key> is required"
            return None if self._keys.allow(headers) else Denied(401, "unauthorized", message)
        refusal = self._origins.refusal(headers)
        return None if refusal is None else Denied(403, "forbidden", refusal)


def origin_check(hosts: Iterable[str] = (), bound: str = "") -> OriginCheck:
    """The check of origins of a gateway that is called by `hosts` (GATEWAY_HOSTS) and listens on `bound` (TTS_HOST)."""
    remedy = "add its host to GATEWAY_HOSTS, or require keys (GATEWAY_API_KEYS)"
    return OriginCheck(hosts, bound, server="this gateway", remedy=remedy)
