"""Checks a request's headers against the keys of GATEWAY_API_KEYS. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from services.gateway.access.key_names import read_entries


class ApiKeys:
    """The accepted keys, by the entries of GATEWAY_API_KEYS (`key_names`)."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._keys = [(secret.encode(), entry.name) for entry in read_entries(entries) for secret in entry.secrets]

    @property
    def asked(self) -> bool:
        """Whether callers need a key."""
        return bool(self._keys)

    def caller(self, headers: Mapping[str, str]) -> str | None:
        """The caller's name if `Authorization: Bearer <key>` or `X-API-Key: <key>` holds a key; None if not.

        `headers` has lower-case names and Latin-1 values, as ASGI servers pass them. A wrong key takes as long to check
        as a right one, so the time does not reveal how much of a key is right. With two keys the first one counts, in
        the order of GATEWAY_API_KEYS.
        """
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        offered = [headers.get("x-api-key", "")]
        if scheme.lower() == "bearer":
            offered.append(credentials.strip(" \t"))
        given = [value.encode("latin-1", "replace") for value in offered]
        matches = [(any([hmac.compare_digest(value, key) for value in given]), name) for key, name in self._keys]
        return next((name for matched, name in matches if matched), None)
