"""Checks a request's headers against the keys of GATEWAY_API_KEYS. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping


class ApiKeys:
    """The accepted keys. With an empty set every caller is allowed."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = [key.encode() for key in keys]

    @property
    def asked(self) -> bool:
        """Whether callers need a key."""
        return bool(self._keys)

    def allow(self, headers: Mapping[str, str]) -> bool:
        """Whether `Authorization: Bearer <key>` or `X-API-Key: <key>` holds one of the keys.

        `headers` has lower-case names and Latin-1 values, as ASGI servers pass them. A wrong key takes as long to check
        as a right one, so the time does not reveal how much of a key is right.
        """
        if not self._keys:
            return True
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        offered = [headers.get("x-api-key", "")]
        if scheme.lower() == "bearer":
            offered.append(credentials.strip(" \t"))
        given = [value.encode("latin-1", "replace") for value in offered]
        return any([hmac.compare_digest(value, key) for value in given for key in self._keys])
