"""Looks at the node after all faults: what is left in the streams, who is ready, how fast it speaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable, WaitTimeout
from orastream.contract.messages import Report, Transport
from orastream.contract.names import BRIDGES, SYNTH
from orastream.jetstream.api import JetStream
from tests.chaos.composed.history import History, Request
from tests.chaos.composed.node import IDLE_S, Node
from tests.chaos.composed.oracle.afterwards import LEFT_S
from tests.chaos.composed.recorder import read_all
from tests.chaos.composed.texts import LANGUAGE, TEXTS
from tests.support.names import NAMES

READY_S = 30.0
LATENCY_TRIES = 5
TTL_S = 900.0

CONTENT_RULES = frozenset(
    "header-missing header-mismatch not-json binary-frame unknown-frame frame-keys init-first init-once init-ids "
    "metadata-keys metadata-value metadata-changed session-mismatch transport-changed file-name base64 empty-audio "
    "chunk-index is-first repeat-differs wav-sizes".split()
)
"""The rules of the reference OraServer that hold whatever was lost on the way, or was confirmed and discarded."""


async def latency(client: Client, history: History, name: str) -> list[float]:
    """Seconds of some undisturbed requests, from the call to the final report."""
    found = []
    for number in range(LATENCY_TRIES):
        began = time.monotonic()
        transport: Transport = ("websocket", "http")[number % 2]  # type: ignore[assignment]
        request = Request(f"latency-{name}", f"{name}-{number}", transport, "wav", TEXTS[1], time.time(), ttl_s=TTL_S)
        history.requests.append(request)
        try:
            report = await client.say(
                TEXTS[1],
                session_id=request.session,
                phone_id="phone",
                request_id=request.request,
                language=LANGUAGE,
                transport=transport,
                fire_and_forget=False,
                wait_s=30,
                ttl_seconds=TTL_S,
            )
        except (NodeUnavailable, WaitTimeout):
            found.append(99.0)
            continue
        assert isinstance(report, Report), "it was asked to wait"
        request.seq, request.answer = report.request_seq, report.to_map()
        found.append(time.monotonic() - began if report.status == "delivered" else 99.0)
    return found


async def aftermath(node: Node, js: JetStream, client: Client, history: History, left_s: float = LEFT_S) -> None:
    """Wait until nothing is left, at most `left_s` seconds, and record what is.

    With less than LEFT_S the oracle does not judge what only a sweep deletes, and nothing waits for it.
    """
    after = history.aftermath
    after.waited_s = left_s
    deadline = asyncio.get_running_loop().time() + READY_S
    while True:
        after.unready = [name for name, process in node.processes.items() if not await process.ready()]
        if not after.unready or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.3)
    after.latency_after_s = await latency(client, history, "after")
    await asyncio.sleep(IDLE_S)
    deadline = asyncio.get_running_loop().time() + left_s
    plays = True
    while True:
        await _look(js, history)
        if plays and not after.requests:
            plays = not await _end_plays(client, history)
        left = after.requests or after.cancels or after.owners_alive or any(after.unacked.values())
        left = left or after.missing_consumers or (left_s >= LEFT_S and (after.texts or after.owners_dead))
        if not left or asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.5)
    after.after = node.usage()
    broken: Counter[str] = Counter()
    listing = await node.received()
    for violation in [*listing["connectionViolations"], *(v for u in listing["utterances"] for v in u["violations"])]:
        if violation["rule"] in CONTENT_RULES:
            broken[f"{violation['rule']}: {violation['detail']}"] += violation["times"]
    after.broken_rules = dict(broken)


async def _end_plays(client: Client, history: History) -> bool:
    """Cancel what still plays in all sessions: a bridge keeps a session for as long. Returns whether NATS took it."""
    try:
        await asyncio.gather(*(client.cancel(session) for session in {one.session for one in history.requests}))
    except NodeUnavailable:
        return False
    return True


async def _look(js: JetStream, history: History) -> None:
    after = history.aftermath
    stored = await read_all(js, NAMES.sessions_stream, "tts.session.>")
    after.requests = sum(message.subject.endswith(".request") for message in stored)
    after.cancels = len(stored) - after.requests
    after.texts = len(await read_all(js, NAMES.texts_stream, "tts.script.>"))
    after.missing_consumers = []
    for consumer in (SYNTH, *BRIDGES):
        info = await js.api(f"CONSUMER.INFO.{NAMES.sessions_stream}.{consumer}")
        if error := info.get("error"):
            after.missing_consumers.append(f"{consumer}: {error}")
        else:
            after.unacked[consumer] = int(info["num_ack_pending"]) + int(info["num_pending"])
    beats = await read_all(js, NAMES.heartbeats_stream, "$KV.tts_heartbeats.>")
    alive = {message.subject.rpartition(".")[2] for message in beats}
    after.owners_alive, after.owners_dead = [], []
    for message in await read_all(js, NAMES.owners_stream, "$KV.tts_owners.>"):
        owner = json.loads(message.data)["owner"]
        record = f"{message.subject.removeprefix('$KV.tts_owners.')} by {owner}"
        (after.owners_alive if owner in alive else after.owners_dead).append(record)
