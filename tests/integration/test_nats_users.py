"""What the users of `orastream init-auth` cannot do, judged by what arrives and by what the streams hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from orastream.cli.auth.accounts import CallerAccount, account_plans
from orastream.cli.auth.names import SERVICES
from orastream.cli.auth.plan import ACCOUNTS, Wishes, carry_out
from tests.support.account_tables import DENIED, HEARD_IN_NODE, HEARS, NEVER, OUTSIDE, SERVICE_DENIED
from tests.support.account_traffic import Witness, make_streams, state
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]


@pytest.fixture
async def server(tmp_path: Path, logs: Logs) -> AsyncIterator[AccountServer]:
    """A server with the accounts of two callers, and with one more user: the witness, who may do everything in NODE."""
    server = AccountServer(tmp_path, logs, {"shop": None, "hall": "lobby"})
    accounts = server.auth / ACCOUNTS
    first = '"NODE" {\n    jetstream: enabled\n    users: [\n'
    text = accounts.read_text()
    assert first in text
    accounts.write_text(text.replace(first, f"{first}      {{user: witness, password: w}}\n"))
    try:
        await server.start()
        yield server
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def in_node(server: AccountServer) -> AsyncIterator[Witness]:
    """The witness inside NODE, with the node's streams."""
    connection = NatsClient()
    await connection.connect(server.url, user="witness", password="w", allow_reconnect=False)
    try:
        await make_streams(connection)
        witness = Witness(connection)
        await witness.watch()
        yield witness
    finally:
        await connection.close()


@pytest.mark.parametrize("role", OUTSIDE)
async def test_what_a_caller_publishes_to_the_nodes_subjects_arrives_nowhere(server: AccountServer, role: str) -> None:
    async with in_node(server) as witness:
        before = await state(witness.connection)
        connection = await server.plain(role)
        answers: list[Msg] = []

        async def note(message: Msg) -> None:
            answers.append(message)

        await connection.subscribe("_INBOX.mine.*", cb=note)
        for number, subject in enumerate(DENIED[role]):
            await connection.publish(subject, b'{"mark": "MARK"}', reply=f"_INBOX.mine.{number}")
        await witness.settle(connection)
        assert witness.subjects_with(b"MARK") == set()
        assert await state(witness.connection) == before
        # "No responders", or the server's own answer that this account has no JetStream.
        answered = [m for m in answers if (m.headers or {}).get("Status") != "503" and b'"error":{' not in m.data]
        assert not answered, answered[:3]
        await connection.close()


@pytest.mark.parametrize("role", OUTSIDE)
async def test_a_caller_hears_only_what_it_may(server: AccountServer, role: str) -> None:
    refused: list[str] = []
    async with in_node(server) as witness:
        connection = await server.plain(role, refused)
        received: set[str] = set()

        async def note(message: Msg) -> None:
            received.add(message.subject)

        wide = (">", "*.>", "tts.>", "_INBOX.>", "$JS.>", "$KV.>", "$O.>", "$SRV.>", "_R_.>", "tts.*.*.*", "tts.*.*")
        for subject in dict.fromkeys((*wide, *HEARD_IN_NODE, "tts.report.*.*", "tts.report.lobby.*", "tts.reply.>")):
            await connection.subscribe(subject, cb=note)
        for account in ("CALLERS", "SHOP", "HALL"):
            await connection.subscribe(f"tts.reply.{account}.>", cb=note)
        others = [await server.plain(other) for other in OUTSIDE if other != role]
        await witness.settle(connection)
        for subject in HEARD_IN_NODE:
            await witness.connection.publish(subject, b"for the node")
        for other in others:  # the others' requests and inboxes
            for subject in ("tts.request.lobby", "tts.text.lobby.r", "tts.cancel.lobby", "tts.speak", "_INBOX.x.y"):
                await other.publish(subject, b"for the node")
        await witness.settle(connection, *others)
        assert received == HEARS[role]
        for one in (connection, *others):
            await one.close()


def calls_of(role: str) -> list[str]:
    """The subjects that a role may ask, with literal tokens."""
    plans = account_plans((CallerAccount("SHOP"), CallerAccount("HALL", ("lobby",))))
    (plan,) = (plan for plan in plans if plan.role == role)
    patterns = [one.local for one in plan.imports if one.kind == "service"]
    return [pattern.replace("*", "lobby", 1).replace("*", "r").replace(">", "tts-speak") for pattern in patterns]


@pytest.mark.parametrize("role", OUTSIDE)
async def test_an_answer_goes_to_no_subject_of_the_node_that_a_caller_names(server: AccountServer, role: str) -> None:
    """The server sends an ack or an answer to the reply subject of the request, whatever that is."""
    async with in_node(server) as witness:
        responder = NatsClient()
        await responder.connect(server.url, user="witness", password="w", allow_reconnect=False)

        async def answer(message: Msg) -> None:
            if message.reply:
                await responder.publish(message.reply, b"ANSWER")

        for subject in ("tts.voices", "tts.of.>", "tts.relay.>"):
            await responder.subscribe(subject, cb=answer)
        await responder.flush(10)
        connection = await server.plain(role)
        stored_by_requests = ("TTS_SESSIONS", "TTS_TEXTS")
        before = await state(witness.connection, without=stored_by_requests)
        witness.seen.clear()  # the calls of `state`
        calls = calls_of(role)
        for call in calls:
            for reply in NEVER:
                await connection.publish(call, b"{}", reply=reply)
        await witness.settle(connection, responder)
        answered = {subject for subject, _ in witness.seen if subject.startswith("_R_.")}
        assert len(answered) >= len(calls), "nothing was answered, so the next checks would show nothing"
        reached = {subject for subject, _ in witness.seen if subject in NEVER}
        assert reached == set()
        assert await state(witness.connection, without=stored_by_requests) == before
        for stream in stored_by_requests:
            stored = (await witness.connection.jetstream().stream_info(stream, subjects_filter="tts.*.victim.>")).state
            assert not stored.subjects
        await connection.close()
        await responder.close()


@pytest.mark.parametrize("role", SERVICES)
async def test_a_service_may_not_do_the_work_of_another(server: AccountServer, role: str) -> None:
    refused: list[str] = []
    async with in_node(server) as witness:
        before = await state(witness.connection)
        connection = await server.plain(role, refused)
        for subject in SERVICE_DENIED[role]:
            await connection.publish(subject, b"MARK")
        foreign = [f"_INBOX_{other}.>" for other in (*SERVICES, "operator") if other != role]
        heard = (">", "_INBOX.>", *foreign, "$KV.>", "tts.put.>", *(["tts.script.*.*"] if role != "synth" else []))
        for subject in heard:
            await connection.subscribe(subject)
        await witness.settle(connection)
        wanted = len(SERVICE_DENIED[role]) + len(heard)

        async def all_refused() -> bool:
            return len(refused) >= wanted

        await until(all_refused, f"{wanted} refusals", timeout_s=10)
        assert all("permissions violation" in text for text in refused)
        assert witness.subjects_with(b"MARK") == set()
        assert await state(witness.connection) == before
        await connection.close()


async def test_the_account_of_a_request_cannot_be_hidden(server: AccountServer) -> None:
    """Each account's request arrives under its name, whatever headers it sends."""
    async with in_node(server) as witness:
        for role, account in (("llm", "CALLERS"), ("shop", "SHOP"), ("hall", "HALL")):
            connection = await server.plain(role)
            await connection.publish(
                "tts.request.lobby", role.encode(), headers={"Nats-Request-Info": '{"acc":"NODE"}', "X": "1"}
            )
            await witness.settle(connection)
            arrived = f"tts.request-{account}.lobby" if role == "llm" else f"tts.relay.{account}.request.lobby"
            assert {s for s in witness.subjects_with(role.encode())} >= {arrived}
            assert not {s for s in witness.subjects_with(role.encode()) if s == "tts.request.lobby"}
            await connection.close()


async def test_strangers_and_wrong_keys_are_refused(server: AccountServer) -> None:
    for credentials in ({}, {"user": "node", "password": "x"}):
        stranger = NatsClient()
        with pytest.raises(Exception, match="(?i)authorization violation"):
            await stranger.connect(server.url, allow_reconnect=False, max_reconnect_attempts=0, **credentials)
        await stranger.close()


def test_the_tables_have_each_role() -> None:
    assert set(DENIED) == set(HEARS) == set(OUTSIDE)
    assert set(SERVICE_DENIED) == set(SERVICES)


async def test_inside_the_nodes_account_the_server_does_not_prevent_it(server: AccountServer) -> None:
    """What docs/guide/security.md says about the services: an answer of JetStream can delete a stream."""
    async with in_node(server) as witness:
        connection = await server.plain("gateway")
        nothing_stored = b'{"last_by_subj": "tts.report.no.such"}'
        delete = "$JS.API.STREAM.DELETE.OBJ_tts_phrases"
        await connection.publish(delete, b"")
        await witness.settle(connection)
        assert "OBJ_tts_phrases" in await state(witness.connection)
        await connection.publish("$JS.API.DIRECT.GET.TTS_REPORTS", nothing_stored, reply=delete)
        await witness.settle(connection)
        assert "OBJ_tts_phrases" not in await state(witness.connection)
        await connection.close()


async def test_a_key_that_was_rotated_does_not_work_any_more(server: AccountServer) -> None:
    old = await server.plain("llm")
    seed = server.seed("llm")
    carry_out(server.auth, Wishes(rotate=("llm",)))
    assert server.seed("llm") != seed
    server.reload()
    async with asyncio.timeout(10):
        while old.is_connected:
            await asyncio.sleep(0.05)
    again = await server.plain("llm")
    await again.close()
    await old.close()
