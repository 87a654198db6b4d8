"""What was heard: the record of each utterance, at a barge-in, at the end of the play, and after faults."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from orastream.contract.audio_messages import AudioChunk
from orastream.contract.heard import Heard
from orastream.contract.messages import Report
from orastream.contract.spoken_text import SpokenText, TimedWord
from orastream.jetstream.api import JetStream
from orastream.jetstream.heard_store import HeardStore
from services.oraserver.app import OraServer, serve
from services.oraserver.faults import Faults
from services.oraserver.v2.terms import StreamTerms
from tests.e2e.test_oraserver_v2 import SHORT, Node, node
from tests.support.processes import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

TEXT = "오늘 서울은 맑고 낮 최고 기온은 3도입니다. The second sentence is English. 저녁에는 비가 조금 오겠습니다."
PLAYS = Faults(real_time=True)


async def heard(js: JetStream, session: str, request: str, *, done: bool = True, timeout_s: float = 30) -> Heard:
    """Wait for the record of a request."""
    found: list[Heard] = []

    async def there() -> bool:
        records = [state.heard for state in await HeardStore(js).of_session(session)]
        found[:] = [one for one in records if one.request_id == request and one.done >= done]
        return bool(found)

    await until(there, f"the record of {request}", timeout_s=timeout_s)
    return found[0]


async def test_a_barge_in(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=StreamTerms(played=True), faults=PLAYS) as to:
        await to.begin("s", "r", TEXT)
        assert not (await heard(js, "s", "r", done=False)).done
        await asyncio.sleep(1.5)
        t = time.monotonic()
        await to.client.cancel("s")
        record = await heard(js, "s", "r")
        print(time.monotonic() - t, record)
        got = await to.got("s", "r")
        print(got.played_ms)
        assert record.played_ms == got.played_ms


async def test_whole(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, terms=StreamTerms(played=True), faults=PLAYS) as to:
        t = time.monotonic()
        await to.begin("s", "r", SHORT)
        record = await heard(js, "s", "r")
        print(time.monotonic() - t, record)


async def test_v1(js: JetStream, tmp_path: Path) -> None:
    async with node(js, tmp_path, oraserver_protocol="v1") as to:
        pass
