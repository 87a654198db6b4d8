"""Callers in accounts read what was heard through the gateway: who may, and a cancel that waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orastream.client.async_client import Client
from orastream.client.cancelling import UNSEEN_S, CutWatch, HeardUnreadable
from orastream.contract.errors import NodeUnavailable
from orastream.contract.heard import Heard
from orastream.contract.reads import NEXT, ReadQuery
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.heard import a_record, at_each_cancel, put_record, put_report
from tests.support.names import NAMES
from tests.support.nats_accounts import AccountServer
from tests.support.processes import Logs, until
from tests.support.services import Stack

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

SOON_S = 15.0
LONG_S = 60.0
"""A time that no test waits for."""


@dataclass
class Accounts:
    """A server with accounts, a gateway on it, and JetStream as the operator."""

    server: AccountServer
    js: JetStream

    def client(self, role: str) -> Client:
        return self.server.client(role)

    async def plays(self, session: str = "lobby", request: str = "r", seq: int = 1) -> None:
        """An utterance is being heard."""
        await put_report(self.js, session, request, seq, "delivering")
        await put_record(self.js, a_record(session, request, seq, done=False))

    async def cut(self, cancel: int) -> None:
        """It is cut, as a bridge does it."""
        await put_report(self.js, "lobby", "r", 1, "cancelled")
        await put_record(self.js, a_record("lobby", "r", 1, cancel_seq=cancel))


@pytest.fixture
async def accounts(tmp_path: Path, logs: Logs) -> AsyncIterator[Accounts]:
    server = AccountServer(tmp_path, logs, {"shop": None, "hall": "lobby"})
    await server.start()
    stack = Stack(server, tmp_path, logs, credentials=server.env, TTS_AUDIO_MAX_BYTES=64 << 20)
    try:
        async with server.client("operator") as inside:
            js = JetStream(inside.broker)
            limits = StreamLimits(audio_max_bytes=64 << 20, callers=("CALLERS", "SHOP", "HALL"))
            await StreamKeeper(js, limits, change=True).ensure()
            await stack.start("gateway")
            yield Accounts(server, js)
    finally:
        stack.kill()
        server.kill()


@pytest.mark.parametrize("role", ["llm", "shop", "hall"])
async def test_a_record_by_both_ids(accounts: Accounts, role: str) -> None:
    record = a_record("lobby", "요청.1", 1)
    async with accounts.client(role) as client, asyncio.timeout(SOON_S):
        assert await client.heard("lobby", "요청.1") is None
        await put_record(accounts.js, record)
        assert await client.heard("lobby", "요청.1") == record


@pytest.mark.parametrize(("role", "session"), [("observer", "lobby"), ("hall", "victim")])
async def test_who_may_not_see_text_gets_no_record(accounts: Accounts, role: str, session: str) -> None:
    await put_record(accounts.js, a_record(session, "r", 1))
    async with accounts.client(role) as client:
        with pytest.raises(NodeUnavailable):
            await client.reads.heard(session, "r", patience_s=0.5)
        with pytest.raises(NodeUnavailable):
            await client.reads.stored_under(NAMES.heard_stream, NAMES.heard(session, "*"))


@pytest.mark.parametrize(("role", "request_id"), [("llm", None), ("hall", None), ("shop", "r"), ("hall", "r")])
async def test_a_cancel_waits_for_what_was_heard(accounts: Accounts, role: str, request_id: str | None) -> None:
    await accounts.plays()
    await accounts.plays("victim", "r", 2)
    async with accounts.client(role) as client, at_each_cancel(accounts.js, accounts.cut), asyncio.timeout(SOON_S):
        (heard,) = await client.cancel("lobby", request_id, wait=True, timeout_s=LONG_S)
    assert (heard.session_id, heard.heard_text, heard.done) == ("lobby", "하나", True)


async def test_a_session_whose_reports_it_may_not_list(accounts: Accounts) -> None:
    await accounts.plays()
    async with accounts.client("shop") as client, asyncio.timeout(SOON_S):
        with pytest.raises(HeardUnreadable) as raised:
            await client.cancel("lobby", wait=True, timeout_s=1.0)
    stored = await accounts.js.last(NAMES.sessions_stream, NAMES.session_cancel("lobby"))
    assert stored is not None and raised.value.cancel_seq == stored.sequence


async def test_nothing_was_cut_takes_the_time_of_requests_that_cannot_be_seen(accounts: Accounts) -> None:
    await put_report(accounts.js, "lobby", "old", 1, "delivered")
    await put_record(accounts.js, a_record("lobby", "old", 1))
    async with accounts.client("llm") as client, asyncio.timeout(SOON_S):
        began = asyncio.get_running_loop().time()
        assert await client.cancel("lobby", wait=True, timeout_s=LONG_S) == ()
        assert asyncio.get_running_loop().time() - began >= UNSEEN_S
        assert await client.cancel("lobby", "old", wait=True, timeout_s=LONG_S) == ()
        assert await client.cancel("lobby", "never", wait=True, timeout_s=LONG_S) == ()


async def test_a_request_that_nobody_has_claimed(accounts: Accounts) -> None:
    """By its id the caller sees it; of a session its report must come within UNSEEN_S."""
    fields = {"text": "하나 둘", "sessionId": "lobby", "phoneId": "p", "requestId": "r"}
    async with accounts.client("llm") as client, asyncio.timeout(2 * SOON_S):
        accepted, _ = await client.submit(fields)
        watch = CutWatch(client.reads, "lobby", "r", timeout_s=LONG_S)
        running = asyncio.create_task(watch.run())

        async def has_read() -> bool:
            return watch.has_read

        await until(has_read, "the watch has read what is stored")
        assert not running.done()
        cancel = await accounts.js.last(NAMES.sessions_stream, NAMES.session_cancel("lobby"))
        assert cancel is not None
        found = Heard(
            request_id="r", session_id="lobby", request_seq=accepted.request_seq, done=True, heard_by="sent",
            played_ms=0, heard_text="", unheard_text="하나 둘", cancel_seq=cancel.sequence,
        )  # fmt: skip
        await put_record(accounts.js, found)
        assert (await running).heard == (found,)

        accepted, _ = await client.submit(fields | {"requestId": "r2"})

        async def cut(sequence: int) -> None:
            message = await accounts.js.get(NAMES.sessions_stream, accepted.request_seq)
            assert message is not None
            await put_report(accounts.js, "lobby", "r2", accepted.request_seq, "cancelled")
            await put_record(accounts.js, a_record("lobby", "r2", accepted.request_seq, cancel_seq=sequence))

        async with at_each_cancel(accounts.js, cut):
            heard = await client.cancel("lobby", wait=True, timeout_s=LONG_S)
        assert [record.request_id for record in heard] == ["r2"]


async def test_pages_of_records_are_as_those_of_reports(accounts: Accounts) -> None:
    """Asked by a plain NATS client: what is stored, what comes later, an invalid token."""
    for seq in (1, 2, 3):
        await put_record(accounts.js, a_record("lobby", f"r{seq}", seq))
    caller = await accounts.server.plain("hall")
    try:
        got: list[tuple[dict[str, str], bytes]] = []
        inbox = caller.new_inbox()

        async def note(message: object) -> None:
            got.append((dict(message.headers or {}), message.data))  # type: ignore[attr-defined]

        await caller.subscribe(inbox, cb=note)

        async def ask(subject: str, query: ReadQuery) -> list[tuple[dict[str, str], bytes]]:
            got.clear()
            await caller.publish(subject, query.encode(), reply=inbox)

            async def ended() -> bool:
                return bool(got) and not got[-1][0]

            await until(ended, "the page has ended", timeout_s=SOON_S)
            return got[:-1]

        *page, (end_headers, _) = await ask("tts.heards.read.lobby", ReadQuery(0))
        assert [json.loads(data)["requestId"] for _, data in page] == ["r1", "r2", "r3"]
        assert [headers["Nats-Subject"] for headers, _ in page] == [f"tts.heard.lobby.r{seq}" for seq in (1, 2, 3)]
        assert end_headers[NEXT] == page[-1][0]["Nats-Sequence"]
        *page, (end_headers, _) = await ask("tts.heards.read.lobby", ReadQuery())
        assert page == [] and int(end_headers[NEXT]) >= 3, "from now on"
        live = asyncio.create_task(ask("tts.heard.read.lobby.r2", ReadQuery(int(end_headers[NEXT]), 3.0)))
        await put_record(accounts.js, a_record("lobby", "r2", 2, cancel_seq=9))
        page = await live
        assert json.loads(page[0][1])["cancelSeq"] == 9 and NEXT in page[-1][0]
        (refusal,) = await ask("tts.heard.read.lobby.~", ReadQuery(0))
        assert refusal[0]["Nats-Service-Error-Code"] == "400"
    finally:
        await caller.close()
