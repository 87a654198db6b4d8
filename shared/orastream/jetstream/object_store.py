"""Stores and reads small objects by name in a NATS object store (ADR-20, as listed by `nats object ls`).

An object is a list of chunks under `$O.<bucket>.C.<id>` and, stored after them, its entry under
`$O.<bucket>.M.<name>`. Reads use direct get instead of a consumer: one round trip for the entry and one per MiB. A full
stream drops its oldest messages, so an object may lose chunks at any time; it then counts as missing. `put` refuses
objects that are so large that they would displace many others.

A bucket is a cache: with one replica the server acks a chunk before it writes it (`persist_mode: async`), and a server
that is killed loses the objects that were stored last. Its other streams then do not wait for the disk behind them.
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
"""An object may take at most 1/_SHARE of its bucket."""


def object_store_config(bucket: str, *, max_bytes: int, max_age_s: int, replicas: int) -> dict[str, Any]:
    """The configuration of a bucket's stream, for `topology.ensure_stream`. It drops the oldest objects when full."""
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
        "persist_mode": "async",
    }


class ObjectStore:
    """The objects of one bucket; `max_bytes` is the bucket's limit, as in its config.

    Several tasks of one event loop may use it. Cancel-safe: a cancelled `put` leaves at most chunks that expire.
    """

    def __init__(self, js: JetStream, bucket: str, *, max_bytes: int) -> None:
        self._max_object_bytes = max_bytes // _SHARE
        self._js = js
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"

    async def put(self, name: str, data: bytes) -> None:
        """Store an object, or replace the one of that name.

        Raises ObjectTooLarge, before anything is stored, for more than a fourth of the bucket: the stream would accept
        it and drop other objects for it. Raises NodeUnavailable, PublishRefused.
        """
        if len(data) > self._max_object_bytes:
            raise ObjectTooLarge(self._bucket, len(data), self._max_object_bytes)
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
        """The object, or None when it is missing or incomplete. Raises NodeUnavailable."""
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
        # A lagging replica may not have the entry yet. That costs one more synthesis, less than asking the leader.
        page = await self._js.read(self._stream, self._meta(name), 0, batch=1)
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
        except (ValueError, KeyError, TypeError, RecursionError):
            return None  # damaged, or written by another program
        return entry if usable else None

    def _chunks(self, identity: str) -> str:
        return f"$O.{self._bucket}.C.{identity}"

    def _meta(self, name: str) -> str:
        return f"$O.{self._bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest(data: bytes | bytearray) -> str:
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
