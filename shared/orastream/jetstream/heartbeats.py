"""Reads what living bridges say of themselves."""

from __future__ import annotations

from orastream.contract.bridge_record import BridgeRecord
from orastream.jetstream.api import JetStream

PAGE = 256


async def living_bridges(js: JetStream, kind: str) -> list[BridgeRecord]:
    """The records of the living bridges of this kind: the server deletes a heartbeat after 3 s.

    Raises NodeUnavailable. Cancel-safe.
    """
    names, after, ended, found = js.names, 0, False, dict[str, BridgeRecord]()
    prefix = names.heartbeat_key(f"{kind}-")
    # A read until nothing is left would not end: many bridges write faster than it reads.
    while not ended and (page := await js.read(names.heartbeats_stream, names.heartbeat_keys, after, batch=PAGE)):
        after, ended = page[-1].sequence, page[-1].ends_read
        found |= {
            record.subject: BridgeRecord.decode(record.data) for record in page if record.subject.startswith(prefix)
        }
    return list(found.values())
