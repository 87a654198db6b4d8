"""Two nodes behind a mapping: many utterances in many sessions, each in order, each by the node of its session."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

from orastream.broker import Broker
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.jetstream.api import JetStream
from tests.bench.measure import number, table
from tests.support.front_door import node_of, requests_in, running_nodes
from tests.support.services import Stack

NODES = 2
SESSIONS = 100
UTTERANCES = 10
WAIT_S = 150.0
TTL_S = 600
TEXT = "안녕하세요."


def measure(servers: int = 1, sessions: int = SESSIONS) -> tuple[str, bool]:
    """What came of UTTERANCES in each session, and whether an utterance missed the goal."""
    with tempfile.TemporaryDirectory() as folder, running_nodes(Path(folder), NODES, servers) as stack:
        return asyncio.run(_measure(stack, servers, sessions))


async def _measure(stack: Stack, servers: int, sessions: int) -> tuple[str, bool]:
    asked = {f"s-{n}": [f"s-{n}-{m}" for m in range(UTTERANCES)] for n in range(sessions)}
    began = time.monotonic()
    async with stack.client() as client, Broker(str(stack.settings["NATS_URL"]), name="bench") as broker:

        async def speak(session: str) -> list[Report]:
            for request in asked[session]:
                await client.say(
                    TEXT, session_id=session, phone_id="p", request_id=request, transport="websocket", ttl_seconds=TTL_S
                )
            return [await client.wait(session, request, WAIT_S) for request in asked[session]]

        reports = [report for several in await asyncio.gather(*map(speak, asked)) for report in several]
        seconds = time.monotonic() - began
        stored = [await requests_in(JetStream(broker), Names(f"tts.{node}")) for node in range(NODES)]
    received: dict[str, list[dict[str, Any]]] = {session: [] for session in asked}
    for utterance in (await stack.received())["utterances"]:
        received[utterance["sessionId"]].append(utterance)
    total = sessions * UTTERANCES
    delivered = sum(report.status == "delivered" for report in reports)
    in_order = sum(len(asked[session]) for session, got in received.items() if _in_order(got, asked[session]))
    right = sum(
        all((request in stored[node].get(session, ())) == (node == node_of(session, NODES)) for node in range(NODES))
        for session, requests in asked.items()
        for request in requests
    )
    shares = [sum(node_of(session, NODES) == node for session in asked) for node in range(NODES)]
    missed = not delivered == in_order == right == total
    row = [
        f"{NODES} nodes, {servers} server{'s' * (servers > 1)}",
        *map(number, (sessions, total, delivered, in_order, right)),
        " + ".join(map(str, shares)),
        number(seconds, 1),
    ]
    headers = ["a front door", "sessions", "utterances", "delivered", "in order", "by the right node", "shares", "s"]
    goal = "goal: all delivered, in order, by the node that the session belongs to"
    return f"{table(headers, [row])}\n{goal}: {'MISSED' if missed else 'met'}", missed


def _in_order(got: list[dict[str, Any]], asked: list[str]) -> bool:
    one_by_one = all(one["completedAt"] <= other["firstChunkAt"] for one, other in itertools.pairwise(got))
    return one_by_one and [utterance["requestId"] for utterance in got] == asked
