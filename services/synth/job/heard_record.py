"""Records that nobody knows what is heard of a request with transport `none`: its caller reads the audio itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from orastream.base import logger, tasks
from orastream.contract.errors import OrastreamError
from orastream.contract.heard import Heard
from orastream.contract.stored_requests import StoredRequest
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore

WAIT_S = 1.0

log = logger.named(__name__)


@contextlib.asynccontextmanager
async def recorded_as_unknown(js: JetStream, stored: StoredRequest) -> AsyncIterator[None]:
    """Write the record while the context is open. Logs it if it cannot.

    The context ends when NATS has answered, WAIT_S after its body at the latest: then, and if its body ends with an
    error or a cancel, the record may not be stored. Nobody waits for it.
    """
    writing = asyncio.create_task(_write(js, stored))
    try:
        yield
        await asyncio.wait({writing}, timeout=WAIT_S)
    finally:
        await tasks.end(writing)


async def _write(js: JetStream, stored: StoredRequest) -> None:
    heard = Heard(
        request_id=stored.request_id,
        session_id=stored.session_id,
        request_seq=stored.sequence,
        done=True,
        heard_by="unknown",
    )
    try:
        await HeardStore(js).write(heard, stored.encoding, 0)
    except OrastreamError as exc:
        log.warning("what was heard is not recorded", request=stored.request_id, error=str(exc))
