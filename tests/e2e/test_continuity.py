"""Underruns: their counts in reports, and how the phrase cache prevents them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from services.synth.speech.phrase_cache import RETRY_AFTER_S
from tests.support.processes import Logs, until
from tests.support.scenes import running_node
from tests.support.services import Stack
from tests.support.speech import sha256, spoken_file, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TEXT = "오늘은 날씨가 참 좋습니다. 내일도 맑겠습니다."


@pytest.fixture(scope="module")
def too_slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose engine is slower than real time, with the phrase cache."""
    logs: Logs = {}
    folder = tmp_path_factory.mktemp("too-slow")
    with running_node(folder, logs, replicas=1, TTS_ENGINE_RTF=1.5, TTS_PHRASE_CACHE=True) as stack:
        yield stack


async def say(client: Client, request: str, transport: str = "websocket") -> Report:
    report = await client.say(
        TEXT,
        session_id="s",
        phone_id="p",
        request_id=request,
        transport=transport,  # type: ignore[arg-type]
        fire_and_forget=False,
        wait_s=40,
    )
    assert isinstance(report, Report) and report.status == "delivered", report
    return report


async def lookups(stack: Stack, result: str) -> float:
    return await stack.only("synth").metric("orastream_synth_phrase_lookups_total", result=result)


async def kept_bytes(stack: Stack) -> float:
    return await stack.only("synth").metric("orastream_synth_phrase_kept_bytes_total")


async def test_a_listener_who_runs_dry_is_counted_and_a_phrase_spoken_before_comes_at_once(too_slow: Stack) -> None:
    async with Client(too_slow.nats_server.url) as client:
        slow = await say(client, "slow")
        assert slow.rtf is not None and slow.rtf > 1
        assert slow.underruns > 0
        # Each second of speech after the first chunk took half a second too long.
        assert 0.2 * slow.audio_seconds < slow.underrun_ms / 1000 < slow.audio_seconds

        async def kept() -> bool:
            return await kept_bytes(too_slow) >= slow.bytes - 44

        await until(kept, "the sentences to be kept", timeout_s=10)
        if await lookups(too_slow, "unanswered"):  # on a busy machine: then synth does not ask for a while
            await asyncio.sleep(RETRY_AFTER_S)
        again = await say(client, "again")
        assert (again.underruns, again.underrun_ms) == (0, 0.0)
        assert again.rtf is not None and again.rtf < 0.5
        by_http = await say(client, "http", "http")
        assert (by_http.underruns, by_http.rtf is not None) == (0, True)
        unheard = await say(client, "none", "none")
        assert unheard.rtf is not None and unheard.underruns == 0
    assert await lookups(too_slow, "hit") == 6
    assert await lookups(too_slow, "miss") + await lookups(too_slow, "unanswered") == 2
    expected = sha256(await spoken_file(TEXT))
    received = await too_slow.received()
    for request in ("slow", "again", "http"):
        got = utterance_of(received, request)
        assert got is not None and got["complete"] and got["sha256"] == expected
