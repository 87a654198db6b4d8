"""Decides who may call. With GATEWAY_API_KEYS: callers with a key. Without: all but pages of other sites. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import Headers

from orastream.contract.caller import UNKNOWN
from orastream.service.origin_check import OriginCheck
from services.gateway.access.api_keys import ApiKeys
from services.gateway.access.key_names import ANONYMOUS
from services.gateway.http.peer_address import group_of


@dataclass(frozen=True, slots=True)
class Denied:
    """Why a call is refused: HTTP status, error code and message."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """Who makes a request: the name of its key, or `anonymous` without keys.

    `counted_as` is what the limits count by: with keys the name, without keys the peer's address.
    """

    name: str
    counted_as: str

    @property
    def usage_name(self) -> str:
        """The name under which its usage is counted (`contract/caller.py`)."""
        return UNKNOWN if self.name == ANONYMOUS else self.name


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

    def admit(self, headers: Headers, peer: str | None) -> ApiCaller | Denied:
        """Who makes a call with these headers, from this address, or why it is refused."""
        if self._keys.asked:
            name = self._keys.caller(headers)
            if name is None:
                message = "Authorization: Bearer <key> or X-API-Key: <key> is required"
                return Denied(401, "unauthorized", message)
            return ApiCaller(name, name)
        refusal = self._origins.refusal(headers)
        return ApiCaller(ANONYMOUS, group_of(peer)) if refusal is None else Denied(403, "forbidden", refusal)


def origin_check(hosts: Iterable[str] = (), bound: str = "") -> OriginCheck:
    """The check of origins of a gateway that is called by `hosts` (GATEWAY_HOSTS) and listens on `bound` (TTS_HOST)."""
    remedy = "add its host to GATEWAY_HOSTS, or require keys (GATEWAY_API_KEYS)"
    return OriginCheck(hosts, bound, server="this gateway", remedy=remedy)
