"""More requests than the node can speak: how long the served and the refused wait, and a request beside long ones.

Each measurement starts a new node with one synth whose engine is slowed down, so that its capacity is known. Blocks, so
call it in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from orastream.client.async_client import Client
from orastream.contract.errors import Overloaded
from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, table
from tests.bench.node import SHORT, TEN_SECONDS
from tests.support.scenes import running_node
from tests.support.services import Stack

TEXT = "안녕하세요. 오늘은 날씨가 아주 맑습니다."
RTF, SLOTS = 0.25, 2
TTL_S = 15
NORMAL, OVERLOAD = 0.6, 3.0
"""Requests a second, as a multiple of the capacity."""
GOAL = 2.0
"""Served requests: median of first audio in the overload, divided by that of normal load."""
LIMIT_S = 0.0
LONG = 60
LONG_TEXT = TEN_SECONDS * 6
"""About a minute of audio."""
FAIR_RTF, FAIR_SLOTS = 0.05, 4
BEGUN_S = 25.0
"""By then all LONG utterances are begun, if slots pass on: they take three quarters of the capacity."""
SINGLES = 10


@dataclass
class _Outcome:
    """What became of the requests of one run. Times in milliseconds since the call."""

    first_audio_ms: list[float] = field(default_factory=list)
    told_ms: list[float] = field(default_factory=list)
    """Of requests that were refused or expired."""
    statuses: Counter[str] = field(default_factory=Counter)


def overload(seconds: float) -> tuple[str, bool]:
    """Normal load, and the overload with and without TTS_MAX_BACKLOG_SECONDS, so long each; and the missed goal."""
    capacity = _capacity()
    normal = _run(NORMAL * capacity, seconds, None)
    rows = [_row(f"{NORMAL:g} x capacity", normal)]
    for name, limit_s in (("no limit", None), (f"TTS_MAX_BACKLOG_SECONDS={LIMIT_S:g}", LIMIT_S)):
        outcome = _run(OVERLOAD * capacity, seconds, limit_s)
        rows.append(_row(f"{OVERLOAD:g} x capacity, {name}", outcome))
    times = percentile(outcome.first_audio_ms, 50) / percentile(normal.first_audio_ms, 50)
    columns = ["overload, s", "served", "first audio p50", "p95", "refused", "expired", "told p50", "told p95"]
    about = f"capacity {capacity:.1f} requests/s, {seconds:g} s each; "
    result = f"first audio of the served: {times:.1f} x normal (goal {GOAL:g})"
    return f"{table(columns, rows)}\n{about}{result}", times > GOAL


def _capacity() -> float:
    """Requests that the node can speak in a second."""

    async def measure(url: str) -> float:
        async with Client(url) as client:
            report = await client.say(TEXT, session_id="s", phone_id="p", fire_and_forget=False)
            assert isinstance(report, Report) and report.status == "delivered", report
            return SLOTS / (report.audio_seconds * RTF)

    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder, _node(folder, None) as stack:
        return asyncio.run(measure(stack.nats_server.url))


def _node(folder: str, limit_s: float | None) -> contextlib.AbstractContextManager[Stack]:
    limit = {} if limit_s is None else {"TTS_MAX_BACKLOG_SECONDS": limit_s}
    return running_node(Path(folder), {}, replicas=1, TTS_ENGINE_RTF=RTF, SYNTH_SLOTS=SLOTS, **limit)


def _run(per_second: float, seconds: float, limit_s: float | None) -> _Outcome:
    outcome = _Outcome()

    async def load(url: str) -> None:
        async with Client(url, max_backlog_s=limit_s) as client, asyncio.TaskGroup() as group:
            await asyncio.sleep(1)
            began = time.monotonic()
            for request in range(int(per_second * seconds)):
                await asyncio.sleep(max(0.0, began + request / per_second - time.monotonic()))
                group.create_task(_say(client, f"s{request}", outcome))

    with tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder, _node(folder, limit_s) as stack:
        asyncio.run(load(stack.nats_server.url))
    return outcome


async def _say(client: Client, session: str, outcome: _Outcome) -> None:
    began = time.monotonic()
    try:
        report = await client.say(
            TEXT, session_id=session, phone_id="p", fire_and_forget=False, use_websocket=True, ttlSeconds=TTL_S
        )
    except Overloaded:
        outcome.statuses["refused"] += 1
        outcome.told_ms.append((time.monotonic() - began) * 1000)
        return
    assert isinstance(report, Report)
    outcome.statuses[report.status] += 1
    if report.status == "delivered":
        outcome.first_audio_ms.append(report.first_audio_ms or 0.0)
    else:
        outcome.told_ms.append((time.monotonic() - began) * 1000)


def _row(name: str, outcome: _Outcome) -> list[str]:
    assert not outcome.statuses.keys() - {"delivered", "refused", "expired"}, outcome.statuses
    first = [number(percentile(outcome.first_audio_ms, p) / 1000, 2) for p in (50, 95)]
    told = [number(percentile(outcome.told_ms, p) / 1000, 3) if outcome.told_ms else "" for p in (50, 95)]
    counts = [str(outcome.statuses[status]) for status in ("delivered", "refused", "expired")]
    return [name, counts[0], *first, *counts[1:], *told]


def fairness() -> str:
    """First audio of short requests of new sessions: alone, and beside LONG utterances, with and without turns."""
    rows = []
    for name, long_ones, suspended in (
        ("alone", 0, 256),
        (f"beside {LONG} utterances of a minute", LONG, 256),
        ("the same, SYNTH_SUSPENDED=0: a slot for a whole utterance", LONG, 0),
    ):
        singles, underruns = _singles(long_ones, suspended)
        values = [number(percentile(singles, p), 0) for p in (50, 100)]
        rows.append([name, *values, str(underruns) if long_ones else ""])
    return table([f"fairness: first audio, ms ({SINGLES} requests)", "p50", "max", "underruns of the long ones"], rows)


def _singles(long_ones: int, suspended: int) -> tuple[list[float], int]:
    """First audio of SINGLES short requests in milliseconds, and the underruns of the long ones together."""
    singles: list[float] = []

    async def single(client: Client, name: str) -> None:
        report = await client.say(
            SHORT, session_id=name, phone_id="p", fire_and_forget=False, wait_s=120, ttlSeconds=120
        )
        assert isinstance(report, Report) and report.status == "delivered", report
        singles.append(report.first_audio_ms or 0.0)

    async def measure(url: str) -> int:
        async with Client(url) as client:
            for request in range(long_ones):
                name = f"long{request}"
                await client.say(
                    LONG_TEXT, session_id=name, phone_id="p", request_id=name, fire_and_forget=True, ttlSeconds=300
                )
            await asyncio.sleep(BEGUN_S if long_ones else 1.0)
            async with asyncio.TaskGroup() as group:
                for request in range(SINGLES):
                    group.create_task(single(client, f"single{request}"))
                    await asyncio.sleep(1.0)
            reports = [await client.wait(f"long{n}", f"long{n}", 120) for n in range(long_ones)]
        assert all(report.status == "delivered" for report in reports), reports
        return sum(report.underruns for report in reports)

    with (
        tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
        running_node(
            Path(folder),
            {},
            replicas=1,
            TTS_ENGINE_RTF=FAIR_RTF,
            SYNTH_SLOTS=FAIR_SLOTS,
            SYNTH_SUSPENDED=suspended,
        ) as stack,
    ):
        underruns = asyncio.run(measure(stack.nats_server.url))
    return singles, underruns
