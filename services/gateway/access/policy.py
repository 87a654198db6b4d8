"""Who may call: with GATEWAY_API_KEYS whoever has a key, without them everybody but pages of other sites. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.origin_check import OriginCheck


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a caller is turned away: an HTTP status, the code of the error, its message."""

    status: int
    code: str
    message: str


class AccessPolicy:
    """Keys if there are any, else sites: a page of elsewhere has no key, and a key may be used from anywhere."""

    def __init__(self, keys: ApiKeys, origins: OriginCheck) -> None:
        self._keys = keys
        self._origins = origins

    @property
    def asks(self) -> bool:
        """Whether a key is asked for."""
        return self._keys.asked

    def turns_away(self, headers: Headers) -> Denied | None:
        """Why these headers are not let in, or None."""
        if self._keys.asked:
            told = "Authorization: Bearer <key> or X-API-Key: <key> is required"
            return None if self._keys.allow(headers) else Denied(401, "unauthorized", told)
        refusal = self._origins.refusal(headers)
        return None if refusal is None else Denied(403, "forbidden", refusal)
