"""Reads ids from the path of a request."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from fastapi import Request

from orastream.contract import subjects
from orastream.contract.errors import InvalidRequest
from services.gateway.http.responses import Refused, error


def ids_of(request: Request, prefix: str, *names: str, after: str = "") -> list[str]:
    """Return the ids after `prefix` and before `after` in the raw path, where a slash in an id is still %2F.

    Raises Refused (404) if there are more or fewer than `names`, and InvalidRequest for a bad one.
    """
    raw = bytes(request.scope["raw_path"]).decode("latin-1")
    parts = raw.partition(prefix)[2].removesuffix("/").removesuffix(after).split("/")
    if len(parts) != len(names):
        path = f"{prefix}{'/'.join(f'<{name}>' for name in names)}{after}"
        raise Refused(error(404, "not_found", f"the path is {path}"))
    ids = []
    for name, part in zip(names, parts, strict=True):
        try:
            value = unquote_to_bytes(part).decode()
        except UnicodeDecodeError:
            raise InvalidRequest(name, "is not UTF-8; percent-encode it") from None
        ids.append(subjects.check_id(value, name))
    return ids
