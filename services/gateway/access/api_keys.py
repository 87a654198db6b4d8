"""Who may call: the keys of GATEWAY_API_KEYS against the headers of a request. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping


class ApiKeys:
    """The accepted keys; without any, everybody is let in."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = [key.encode() for key in keys]

    @property
    def asked(self) -> bool:
        """Whether a key is asked for at all."""
        return bool(self._keys)

    def allow(self, headers: Mapping[str, str]) -> bool:
        """Whether `Authorization: Bearer <key>` or `X-API-Key: <key>` brings one of the keys.

        `headers` has lower-case names and Latin-1 values, as ASGI servers give them. Takes as long for a wrong key as
        for a right one.
        """
        if not self._keys:
            return True
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        offered = [headers.get("x-api-key", "")]
        if scheme.lower() == "bearer":
            offered.append(credentials.strip(" \t"))
        given = [value.encode("latin-1", "replace") for value in offered]
        return any([hmac.compare_digest(value, key) for value in given for key in self._keys])
