"""The relay of the gateway: callers that are not trusted ask as they would JetStream, and are kept within limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nats.aio.client import Client as NatsClient

from orastream.client.async_client import Client
from orastream.contract import subjects
from orastream.contract.errors import Overloaded
from orastream.contract.stored_requests import StoredRequest, read_message
from orastream.jetstream.api import JetStream
from orastream.jetstream.session_events import next_request
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from services.gateway.relay.lanes import MAX_WAITING
from tests.support.heard import put_report
from tests.support.names import NAMES
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

LIMIT = 5
PATIENCE_S = 20


@dataclass
class Node:
    """A server with the accounts of `init-auth`, a gateway, and a connection of the node's operator."""

    server: AccountServer
    stack: Stack
    js: JetStream

    async def stored(self, session: str) -> StoredRequest:
        """The first stored request of a session."""
        message = await next_request(self.js, session, 0)
        assert message is not None
        stored = read_message(message, NAMES, max_text_chars=5000)
        assert isinstance(stored, StoredRequest)
        return stored


@pytest.fixture
async def node(tmp_path: Path, logs: Logs) -> AsyncIterator[Node]:
    server = AccountServer(tmp_path, logs, {"shop": None, "kiosk": None})
    await server.start()
    settings = {"TTS_AUDIO_MAX_BYTES": 64 << 20, "TTS_MAX_PENDING_PER_CALLER": LIMIT}
    stack = Stack(server, tmp_path, logs, credentials=server.env, **settings)
    operator = server.client("operator")
    try:
        async with operator:
            js = JetStream(operator.broker)
            callers = ("CALLERS", "SHOP", "KIOSK")
            await StreamKeeper(js, StreamLimits(audio_max_bytes=64 << 20, callers=callers), change=True).ensure()
            await stack.start("gateway")
            yield Node(server, stack, js)
    finally:
        stack.kill()
        server.kill()


async def say(client: Client, session: str, request: str | None = None) -> int:
    accepted = await client.submit({"text": "안녕", "sessionId": session, "phoneId": "p", "requestId": request})
    return accepted[0].request_seq


async def test_request_is_stored_under_the_callers_account(node: Node) -> None:
    async with node.server.client("shop") as shop:
        sequence = await say(shop, "방 1", "r")
    stored = await node.stored(subjects.token("방 1"))
    assert (stored.sequence, stored.caller, stored.request_id) == (sequence, "SHOP", "r")


async def test_pending_requests_of_one_caller_are_limited_and_others_not(node: Node) -> None:
    async with node.server.client("shop") as shop, node.server.client("kiosk") as kiosk:
        for number in range(LIMIT):
            await say(shop, f"s{number}")
        with pytest.raises(Overloaded, match="TTS_MAX_PENDING_PER_CALLER"):
            await say(shop, "one-more")
        await say(kiosk, "s0")
        await node.js.delete(NAMES.sessions_stream, (await node.stored("s0")).sequence)
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await say(shop, "one-more")
                    break
                except Overloaded:
                    await asyncio.sleep(0.1)
    assert (await node.stored("one-more")).caller == "SHOP"


async def test_voices_come_from_the_gateway_and_a_flood_of_questions_reaches_no_synth(node: Node) -> None:
    async with node.server.client("llm") as llm, node.server.client("kiosk") as kiosk:
        assert await kiosk.voices() == []
        await node.stack.start("synth", SYNTH_SLOTS=1)
        there = await llm.voices()
        assert there
        async with asyncio.timeout(PATIENCE_S):
            while await kiosk.voices() != there:
                await asyncio.sleep(0.1)  # it still had the answer of a moment ago
        questions: list[str] = []
        await node.js.broker.subscribe(NAMES.voices, lambda subject, *_: questions.append(subject))
        await node.js.broker.round_trip()
        flood = await node.server.plain("shop")
        try:
            inbox = flood.new_inbox()
            answers = await flood.subscribe(inbox)
            await flood.publish("tts.voices", reply=inbox)
            assert json.loads((await answers.next_msg(PATIENCE_S)).data)["voices"]
            assert (await answers.next_msg(PATIENCE_S)).data == b"", "the server would keep the question in mind"
            for _ in range(20_000):
                await flood.publish("tts.voices", reply=flood.new_inbox())
            await flood.flush(PATIENCE_S)
            assert await kiosk.voices() == there

            async def answered() -> bool:
                await flood.publish("tts.voices", reply=inbox)
                return bool((await answers.next_msg(PATIENCE_S)).data)

            await until(answered, "questions of the account are taken again after the flood", timeout_s=PATIENCE_S)
        finally:
            await flood.close()
    assert len(questions) < 20, f"synth was asked {len(questions)} times"


async def test_a_message_id_counts_for_its_caller_alone(node: Node) -> None:
    async def ask(connection: NatsClient, session: str) -> dict[str, object]:
        body = json.dumps({"text": "안녕", "sessionId": session, "phoneId": "p"}).encode()
        headers = {"Nats-Msg-Id": "victim.order-17", "Nats-Rollup": "all"}
        answer = await connection.request(f"tts.request.{session}", body, timeout=PATIENCE_S, headers=headers)
        return dict(json.loads(answer.data))

    thief, victim = await node.server.plain("shop"), await node.server.plain("kiosk")
    try:
        stolen, own, again = await ask(thief, "thief"), await ask(victim, "victim"), await ask(victim, "victim")
    finally:
        await thief.close()
        await victim.close()
    assert "duplicate" not in own and own["seq"] != stolen["seq"]
    assert (again["duplicate"], again["seq"]) == (True, own["seq"])


async def test_cancels_are_stored_only_where_there_is_something_to_cancel(node: Node) -> None:
    async with node.server.client("shop") as shop:
        sequence = await say(shop, "s")
        assert await shop.cancel("empty") == sequence
        assert await shop.cancel("s") > sequence
    cancels = await node.js.read(NAMES.sessions_stream, "tts.session.*.cancel", 0)
    assert [message.subject for message in cancels] == [NAMES.session_cancel("s")]


async def test_what_is_delivered_and_still_heard_can_be_cancelled(node: Node) -> None:
    """Its request is not stored any more, but its report is."""
    await put_report(node.js, "s", "r", 1, "delivered")
    async with node.server.client("shop") as shop:
        sequence = await shop.cancel("s")
    cancel = await node.js.get(NAMES.sessions_stream, sequence)
    assert cancel is not None and cancel.subject == NAMES.session_cancel("s")


async def test_messages_of_a_session_keep_their_order_without_waiting_for_acks(node: Node) -> None:
    connection = await node.server.plain("shop")
    try:
        for number in range(2):
            for request in ("old", "new"):
                body = {"text": "안녕", "sessionId": f"s{number}", "phoneId": "p", "requestId": request}
                await connection.publish(f"tts.request.s{number}", json.dumps(body).encode())
                if request == "old":
                    await connection.publish(f"tts.cancel.s{number}", b"")
        await connection.flush(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while len(events := await node.js.read(NAMES.sessions_stream, "tts.session.*.*", 0)) < 6:
                await asyncio.sleep(0.05)
    finally:
        await connection.close()
    for number in range(2):
        mine = [m.subject.rpartition(".")[2] for m in events if m.subject.split(".")[2] == f"s{number}"]
        assert mine == ["request-SHOP", "cancel", "request-SHOP"]


async def test_a_repeat_gets_the_first_ack_also_when_there_is_no_room_any_more(node: Node) -> None:
    connection = await node.server.plain("shop")

    async def ask(number: int) -> dict[str, object]:
        body = json.dumps({"text": "안녕", "sessionId": "s", "phoneId": "p", "requestId": f"r{number}"}).encode()
        headers = {"Nats-Msg-Id": f"id-{number}"}
        return dict(json.loads((await connection.request("tts.request.s", body, timeout=20, headers=headers)).data))

    try:
        first = [await ask(number) for number in range(LIMIT)]
        assert "error" in await ask(LIMIT)
        assert await ask(LIMIT - 1) == {**first[-1], "duplicate": True}
    finally:
        await connection.close()


async def test_speak_is_within_the_same_limits_and_stored_under_the_account(node: Node) -> None:
    connection = await node.server.plain("shop")
    try:
        answers = []
        for number in range(LIMIT + 1):
            body = {"text": "안녕", "sessionId": f"s{number}", "phoneId": "p", "fire_and_forget": True}
            answers.append(await connection.request("tts.speak", json.dumps(body).encode(), timeout=PATIENCE_S))
    finally:
        await connection.close()
    codes = [(answer.headers or {}).get("Nats-Service-Error-Code") for answer in answers]
    assert codes == [None] * LIMIT + ["503"]
    assert b"TTS_MAX_PENDING_PER_CALLER" in answers[-1].data
    stored = await node.js.read(NAMES.sessions_stream, "tts.session.*.*", 0)
    assert {message.subject.rpartition(".")[2] for message in stored} == {"request-SHOP"}


async def test_a_caller_cannot_pose_as_another_by_headers(node: Node) -> None:
    """A header block that does not end in an empty line swallows the header by which the server names the account."""
    connection = await node.server.plain("shop")
    claims = (
        b'NATS/1.0\r\nNats-Request-Info : {"acc":"KIOSK"}\r\nX: abcYY',
        b"NATS/1.0\r\nX: abcYY",
        b'NATS/1.0\r\nNats-Request-Info: {"acc":"KIOSK"}\r\nOrastream-Caller: KIOSK\r\n\r\n',
    )
    inbox = connection.new_inbox()
    answers = await connection.subscribe(inbox)
    try:
        for number, block in enumerate(claims):
            body = {"text": "안녕", "sessionId": f"s{number}", "phoneId": "p", "fire_and_forget": True}
            data = json.dumps(body).encode()
            head = f"HPUB tts.speak {inbox} {len(block)} {len(block) + len(data)}\r\n".encode()
            await connection._send_command(head + block + data + b"\r\n")
            await connection.flush(PATIENCE_S)
            assert b'"queued"' in (await answers.next_msg(PATIENCE_S)).data
            assert (await node.stored(f"s{number}")).caller == "SHOP"
    finally:
        await connection.close()


async def test_a_wildcard_as_a_session_is_refused(node: Node) -> None:
    connection = await node.server.plain("shop")
    inbox = connection.new_inbox()
    answers = await connection.subscribe(inbox)
    try:
        for subject in ("tts.request.*", "tts.request.>", "tts.cancel.*"):
            await connection.publish(subject, b"{}", reply=inbox)
            answer = json.loads((await answers.next_msg(PATIENCE_S)).data)
            assert "error" in answer, subject
    finally:
        await connection.close()
    assert await node.js.last(NAMES.sessions_stream, ">") is None


async def test_a_flood_is_refused_and_answered_and_another_caller_is_served(node: Node) -> None:
    flooder = await node.server.plain("shop")
    answers: list[bytes] = []

    async def note(message: object) -> None:
        answers.append(message.data)  # type: ignore[attr-defined]

    inbox = flooder.new_inbox()
    await flooder.subscribe(inbox, cb=note)
    body = json.dumps({"text": "안녕", "sessionId": "f", "phoneId": "p"}).encode()
    try:
        for _ in range(8 * MAX_WAITING):
            await flooder.publish("tts.request.f", body, reply=inbox)
        async with node.server.client("kiosk") as kiosk, asyncio.timeout(PATIENCE_S):
            await say(kiosk, "s")
        await flooder.flush(PATIENCE_S)
        async with asyncio.timeout(PATIENCE_S):
            while not any(b'"error"' in answer for answer in answers):
                await asyncio.sleep(0.05)
    finally:
        await flooder.close()
    errors = [json.loads(answer)["error"]["err_code"] for answer in answers if b'"error"' in answer]
    assert set(errors) <= {10077, 10008}
    async with asyncio.timeout(PATIENCE_S):
        while len(stored := await node.js.read(NAMES.sessions_stream, "tts.session.f.*", 0, batch=256)) < LIMIT:
            await asyncio.sleep(0.05)
    assert len(stored) == LIMIT


async def test_without_a_gateway_there_are_no_responders(node: Node) -> None:
    await node.stack.stop()
    connection = await node.server.plain("shop")
    try:
        with pytest.raises(Exception, match="no responders"):
            await connection.request("tts.request.s", b"{}", timeout=2)
    finally:
        await connection.close()
