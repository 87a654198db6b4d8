"""First audio of one caller while another one means harm, and how soon it is normal again after that. Blocks.

Both have the users of `orastream init-auth`, in accounts of their own. Each attack comes from one process with one
connection, as fast as the server answers it; it takes a share of the two cores, too. Call it in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import nats
from nats.aio.client import Client as NatsClient

from orastream.client.async_client import Client
from orastream.contract.errors import OrastreamError
from orastream.contract.messages import Report
from tests.bench.measure import number, percentile, table
from tests.bench.node import SHORT
from tests.support.nats_accounts import AccountServer
from tests.support.scenes import running_node
from tests.support.services import Stack

GOAL = 2.0
"""Median of first audio during an attack, divided by that before it."""
NORMAL_AFTER_S = 15.0
EVERY_S = 0.4
HALF_OPEN = 1_100
SESSIONS = 200
PIECE = "가" * 4_000


def hostile(seconds: float) -> tuple[str, bool]:
    """First audio before, during and after each attack of `seconds` seconds; and whether a goal was missed."""
    rows, missed = [], False
    for name, attack in ATTACKS.items():
        with (
            tempfile.TemporaryDirectory(prefix="orastream-bench-") as folder,
            running_node(Path(folder), {}, replicas=1, gateway=True, accounts=True) as stack,
        ):
            before, during, normal_s, lost = asyncio.run(_measure(stack, attack, seconds))
        times = percentile(during, 50) / percentile(before, 50)
        too_bad = times > GOAL or normal_s > NORMAL_AFTER_S or lost > 0
        missed |= too_bad
        values = [number(percentile(series, p), 0) for series in (before, during) for p in (50, 95)]
        rows.append([name, *values, number(times, 2), number(normal_s, 1), str(lost), "missed" if too_bad else ""])
    columns = ["attack", "before p50", "p95", "during p50", "p95", "times", "normal after, s", "not delivered", ""]
    about = f"first audio in ms; goals: {GOAL:g} x, normal within {NORMAL_AFTER_S:g} s, each one delivered"
    return f"{table(columns, rows)}\n{about}", missed


async def _measure(
    stack: Stack, attack: Callable[[Stack], Iterator[None]], seconds: float
) -> tuple[list[float], list[float], float, int]:
    server = stack.nats_server
    assert isinstance(server, AccountServer)
    numbers = itertools.count()
    lost = 0

    async def one(client: Client) -> float:
        nonlocal lost
        name = f"victim-{next(numbers)}"
        try:
            report = await client.say(SHORT, session_id=name, phone_id="p", fire_and_forget=False, wait_s=20)
        except OrastreamError:
            lost += 1
            return float("inf")
        assert isinstance(report, Report)
        lost += report.status != "delivered"
        return report.first_audio_ms or float("inf")

    async def series(client: Client, for_s: float) -> list[float]:
        asked = []
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            asked.append(asyncio.create_task(one(client)))
            await asyncio.sleep(EVERY_S)
        return list(await asyncio.gather(*asked))

    async with server.client("llm") as client:
        await series(client, 2.0)
        before = await series(client, max(8.0, seconds / 2))
        with contextlib.contextmanager(attack)(stack):
            await asyncio.sleep(1.0)
            during = await series(client, seconds)
        ended = time.monotonic()
        limit = GOAL * percentile(before, 50)
        good, normal_at = 0, ended
        while good < 3 and time.monotonic() - ended < 4 * NORMAL_AFTER_S:
            began = time.monotonic()
            good = good + 1 if await one(client) <= limit else 0
            normal_at = began if good == 1 else normal_at
            await asyncio.sleep(0.1)
        normal_s = normal_at - ended if good >= 3 else float("inf")
    return before, during, max(0.0, normal_s), lost


# ---- the attacks


def _process(work: Callable[..., Awaitable[None]], *arguments: object) -> Iterator[None]:
    """Run an attack in a process of its own."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(work, *arguments), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(work: Callable[..., Awaitable[None]], *arguments: object) -> None:
    asyncio.run(work(*arguments))  # type: ignore[arg-type]


def _shop(stack: Stack) -> tuple[str, str]:
    server = stack.nats_server
    assert isinstance(server, AccountServer)
    return server.url, server.seed("shop")


async def _connect(url: str, seed: str) -> NatsClient:
    async def ignore(_exc: Exception) -> None:
        pass

    return await nats.connect(url, nkeys_seed_str=seed, error_cb=ignore)


async def _flood(url: str, seed: str) -> None:
    """Valid requests, SESSIONS of them at a time, each of a session of its own."""
    connection = await _connect(url, seed)

    async def one(session: str) -> None:
        body = {"text": SHORT, "sessionId": session, "phoneId": "p"}
        with contextlib.suppress(Exception):  # refusals, too, are what the attack wants
            await connection.request(f"tts.request.{session}", json.dumps(body).encode(), timeout=5)

    while True:
        await asyncio.gather(*(one(f"flood{session}") for session in range(SESSIONS)))


async def _fill(url: str, seed: str) -> None:
    """Large pieces of texts without a request."""
    connection = await _connect(url, seed)
    data = json.dumps({"index": 0, "text": PIECE}).encode()
    for batch in itertools.count():
        with contextlib.suppress(Exception):
            await asyncio.gather(
                *(connection.request(f"tts.text.fill.r{batch}-{n}", data, timeout=5) for n in range(64))
            )


async def _steal(url: str, seed: str) -> None:
    """The message ids and request ids that the victim will have, as far as they can be guessed."""
    connection = await _connect(url, seed)
    for turn in itertools.count():
        name = f"victim-{turn % 400}"
        body = {"text": SHORT, "sessionId": name, "phoneId": "x", "requestId": "1"}
        with contextlib.suppress(Exception):
            headers = {"Nats-Msg-Id": f"{name}.1"}
            await connection.request(f"tts.request.{name}x", json.dumps(body).encode(), timeout=5, headers=headers)
            await connection.request("tts.report.get.victim.1", b'{"waitSeconds": 5}', timeout=0.01)


async def _ask(url: str, seed: str) -> None:
    """Questions that wait, as many as the gateway takes."""
    connection = await _connect(url, seed)
    while True:
        for session in range(500):
            reply = connection.new_inbox()
            await connection.publish(f"tts.report.get.s{session}.r", b'{"waitSeconds": 30}', reply=reply)
        await connection.flush()
        await asyncio.sleep(0.2)


async def _voices(url: str, seed: str) -> None:
    """Questions about voices, without waiting for answers."""
    connection = await _connect(url, seed)
    reply = connection.new_inbox()
    while True:
        for _ in range(500):
            await connection.publish("tts.voices", reply=reply)
        await connection.flush()


def _half_open(stack: Stack) -> Iterator[None]:
    """Connections to the gateway that send half a head, again and again."""
    port = stack.only("gateway").port
    sockets: list[socket.socket] = []
    try:
        for _ in range(HALF_OPEN):
            with contextlib.suppress(OSError):
                sockets.append(socket.create_connection(("127.0.0.1", port), timeout=2))
                sockets[-1].sendall(b"POST /api/convert-tts/ HTTP/1.1\r\nHost: x\r\n")
        yield
    finally:
        for one in sockets:
            one.close()


ATTACKS: dict[str, Callable[[Stack], Iterator[None]]] = {
    "requests of many sessions": lambda stack: _process(_flood, *_shop(stack)),
    "texts without requests": lambda stack: _process(_fill, *_shop(stack)),
    "ids of the other": lambda stack: _process(_steal, *_shop(stack)),
    "questions that wait": lambda stack: _process(_ask, *_shop(stack)),
    "questions about voices": lambda stack: _process(_voices, *_shop(stack)),
    f"{HALF_OPEN} half-open connections": _half_open,
}
