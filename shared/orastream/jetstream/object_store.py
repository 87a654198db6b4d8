"""Small objects in a NATS object store, whole, by name (ADR-20: what `nats object ls` shows).

An object is chunks under `$O.<bucket>.C.<id>` and, once they are stored, its entry under `$O.<bucket>.M.<name>`. It is
read here by direct get instead of a consumer made for it: one round trip for the entry and one for each MiB. The stream
drops its oldest messages when it is full, so an object may lose chunks at any time: it is then not there. One that
would drive out many others is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any

from orastream.contract.errors import ObjectTooLarge
from orastream.jetstream.api import JetStream

_NS = 1_000_000_000
_CHUNK = 128 * 1024
_SHARE = 4
"""An object takes up at most this part of its bucket: a fourth."""


def object_store_config(bucket: str, *, max_bytes: int, max_age_s: int, replicas: int) -> dict[str, Any]:
    """The stream behind a bucket, as the JetStream API takes it: the oldest objects make room for new ones."""
    return {
        "name": f"OBJ_{bucket}",
        "subjects": [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"],
        "storage": "file",
        "retention": "limits",
        "num_replicas": replicas,
        "max_age": max_age_s * _NS,
        "max_bytes": max_bytes,
        "discard": "old",
        "allow_rollup_hdrs": True,
        "allow_direct": True,
    }


class ObjectStore:
    """The objects of one bucket. For many tasks; cancel-safe: a cancelled `put` leaves at most chunks that age away.

    `max_bytes` is the bucket's, as in its config.
    """

    def __init__(self, js: JetStream, bucket: str, *, max_bytes: int) -> None:
        self._most = max_bytes // _SHARE
        self._js = js
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"

    async def put(self, name: str, data: bytes) -> None:
        """Store an object, or put it in the place of the one of that name.

        Raises ObjectTooLarge for more than a fourth of the bucket, before anything is stored: the stream would take it,
        and drop all else for it. Raises NodeUnavailable, PublishRefused.
        """
        if len(data) > self._most:
            raise ObjectTooLarge(self._bucket, len(data), self._most)
        identity = uuid.uuid4().hex
        before = await self._entry(name)
        pieces = [data[at : at + _CHUNK] for at in range(0, len(data), _CHUNK)]
        for number, piece in enumerate(pieces):
            await self._js.store(self._chunks(identity), piece, message_id=f"{identity}.{number}")
        entry = {
            "name": name,
            "bucket": self._bucket,
            "nuid": identity,
            "size": len(data),
            "chunks": len(pieces),
            "digest": _digest(data),
            "options": {"max_chunk_size": _CHUNK},
        }
        await self._js.store(self._meta(name), json.dumps(entry).encode(), rollup=True)
        if before is not None and before.get("nuid"):
            await self._js.purge(self._stream, self._chunks(before["nuid"]))

    async def get(self, name: str) -> bytes | None:
        """The object, or None when there is none that is whole. Raises NodeUnavailable."""
        entry = await self._entry(name)
        if entry is None:
            return None
        data, after = bytearray(), 0
        for _ in range(entry["chunks"]):
            page = await self._js.read(self._stream, self._chunks(entry["nuid"]), after)
            if not page:
                break
            for message in page:
                after = message.sequence
                data += message.data
            if len(data) >= entry["size"]:
                break
        return bytes(data) if len(data) == entry["size"] and _digest(data) == entry["digest"] else None

    async def _entry(self, name: str) -> dict[str, Any] | None:
        page = await self._js.read(self._stream, self._meta(name), 0, batch=1)  # a replica's "no" costs a synthesis
        if not page:
            return None
        try:
            entry = json.loads(page[-1].data)
            usable = (
                isinstance(entry["nuid"], str)
                and isinstance(entry["size"], int)
                and isinstance(entry["chunks"], int)
                and isinstance(entry["digest"], str)
                and not entry.get("deleted")
            )
        except (ValueError, KeyError, TypeError):
            return None  # of another writer, or damaged
        return entry if usable else None

    def _chunks(self, identity: str) -> str:
        return f"$O.{self._bucket}.C.{identity}"

    def _meta(self, name: str) -> str:
        return f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest(data: bytes | bytearray) -> str:
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
