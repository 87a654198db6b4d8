"""nats-server forgets where answers to callers in other accounts go: else each question takes memory of it for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from orastream.contract.reads import ReadQuery
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs, free_port, until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

QUESTIONS = 50


@pytest.fixture
async def node(tmp_path: Path, logs: Logs) -> AsyncIterator[tuple[AccountServer, str]]:
    """A server with accounts, a gateway and a synth on it, and the server's monitoring URL."""
    port = free_port()
    server = AccountServer(tmp_path, logs, {"shop": None}, "-m", str(port))
    stack = Stack(server, tmp_path, logs, credentials=server.env, TTS_AUDIO_MAX_BYTES=64 << 20, SYNTH_SLOTS=1)
    try:
        await server.start()
        await stack.start("gateway", "synth")
        yield server, f"http://127.0.0.1:{port}"
    finally:
        stack.kill()
        server.kill()


async def remembered(monitoring: str) -> int:
    """How many answers from account NODE to other accounts the server expects."""
    async with aiohttp.ClientSession() as http, http.get(f"{monitoring}/accountz?acc=NODE") as answer:
        account = await answer.json(content_type=None)
    return len(account["account_detail"].get("responses") or {})


async def test_nothing_is_remembered_of_answered_questions_while_the_caller_stays(
    node: tuple[AccountServer, str],
) -> None:
    server, monitoring = node
    async with server.client("llm") as client:
        for number in range(QUESTIONS):
            assert await client.report("s", f"unknown-{number}") is None
            await client.cancel("s", f"r{number}")
        connection = await server.plain("llm")
        inbox = await connection.subscribe("_INBOX.mine.*")  # one inbox for all, as clients have it
        subjects = ("tts.report.read.s.r", "tts.reports.read.s", "tts.reports.read", "tts.audio.read.s.r")
        wrong = b'{"after": "x"}'  # answered with an error
        for number in range(QUESTIONS):
            for subject in subjects:
                for query in (ReadQuery().encode(), wrong):
                    await connection.publish(subject, query, reply=f"_INBOX.mine.{number}")
        for _ in range(2 * 2 * len(subjects) * QUESTIONS):  # what was asked for, or the error; then the empty message
            await inbox.next_msg(30)
        for _ in range(5):
            assert await client.voices()

        async def forgotten() -> bool:
            return await remembered(monitoring) == 0

        await until(forgotten, "the server to forget all answers", timeout_s=10)
        await connection.close()


async def test_a_question_that_may_have_several_answers_is_remembered_until_its_inbox_is_closed(
    node: tuple[AccountServer, str],
) -> None:
    """What the test above would see if a service or the client did nothing about it."""
    server, monitoring = node
    connection = await server.plain("llm")
    inbox = await connection.subscribe("_INBOX.mine.*")
    for number in range(3):
        await connection.publish("tts.voices", b"", reply=f"_INBOX.mine.{number}")
        await inbox.next_msg(30)
    assert await remembered(monitoring) == 3
    await inbox.unsubscribe()

    async def forgotten() -> bool:
        return await remembered(monitoring) == 0

    await until(forgotten, "the server to forget all answers", timeout_s=10)
    await connection.close()
