"""`orastream watch` shows what was heard to who may read it. The test stores the records, as bridges do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orastream.cli.commands.heard_lines import NO_RIGHT, NOT_SHOWN
from orastream.contract.heard import Heard
from orastream.contract.messages import Report
from orastream.jetstream.api import JetStream
from orastream.jetstream.stream_limits import StreamLimits
from orastream.service.keeper import StreamKeeper
from tests.support.heard import put_record
from tests.support.names import NAMES
from tests.support.nats_accounts import AccountServer
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs
from tests.support.services import Stack, environment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 30
PLAYS = Heard(request_id="r", session_id="s", request_seq=1, done=False, heard_by="played")
CUT = PLAYS.with_(
    done=True, played_ms=1_310, heard_text="예약은 2025년에", unheard_text="했어요.", cut="words", cancel_seq=9
)


async def report(js: JetStream, request: str) -> None:
    made = Report(request_id=request, session_id="s", request_seq=1, status="delivering")
    await js.store(NAMES.put_report("s", request), made.encode("json"))


@contextlib.asynccontextmanager
async def watching(folder: Path, env: dict[str, str], *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "orastream.cli", "watch", *words),
        cwd=folder,
        env=environment(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line_with(stream: asyncio.StreamReader | None, wanted: str) -> str:
    """The next line that has this text in it."""
    assert stream is not None
    async with asyncio.timeout(PATIENCE_S):
        while line := (await stream.readline()).decode():
            if wanted in line:
                return line
    raise AssertionError(f"the command has ended without a line with {wanted!r}")


async def test_watch_shows_records_that_are_done(tmp_path: Path, nats_server: NatsServer, js: JetStream) -> None:
    other = PLAYS.with_(session_id="other", done=True, played_ms=5, heard_text="x", unheard_text="")
    for heard in (other, PLAYS.with_(request_id="plays"), CUT):
        await put_record(js, heard)
    env = {"NATS_URL": nats_server.url}
    async with watching(tmp_path, env, "s", "--history") as process:
        line = await line_with(process.stdout, "heard")
        assert "heard s/r · 1.3 s · heard “예약은 2025년에” · not heard “했어요.”" in line
        await put_record(js, CUT.with_(request_id="later"))
        assert "heard s/later" in await line_with(process.stdout, "heard")
    async with watching(tmp_path, env, "--history", "--json") as process:
        found = [json.loads(await line_with(process.stdout, "heardBy")) for _ in range(3)]
        assert [Heard.decode(json.dumps(one).encode()) for one in found] == [other, CUT, CUT.with_(request_id="later")]


@pytest.fixture
async def server(tmp_path: Path, logs: Logs) -> AsyncIterator[tuple[AccountServer, JetStream]]:
    """A server with accounts, a gateway on it, and a connection of the node."""
    server = AccountServer(tmp_path, logs)
    await server.start()
    stack = Stack(server, tmp_path, logs, credentials=server.env, TTS_AUDIO_MAX_BYTES=64 << 20)
    try:
        async with server.client("operator") as inside:
            js = JetStream(inside.broker)
            limits = StreamLimits(audio_max_bytes=64 << 20, callers=("CALLERS",))
            await StreamKeeper(js, limits, change=True).ensure()
            await stack.start("gateway")
            yield server, js
    finally:
        stack.kill()
        server.kill()


async def test_watch_of_an_observer_shows_reports_and_says_once_that_it_shows_no_texts(
    tmp_path: Path, server: tuple[AccountServer, JetStream]
) -> None:
    accounts, js = server
    await put_record(js, CUT)
    await report(js, "r1")
    async with watching(tmp_path, accounts.env("observer"), "--history") as process:
        await line_with(process.stderr, f"{NOT_SHOWN}: {NO_RIGHT}")
        assert "delivering s/r1" in await line_with(process.stdout, "s/")
        await put_record(js, CUT.with_(request_id="later"))
        await report(js, "r2")
        assert "delivering s/r2" in await line_with(process.stdout, "s/")
        process.terminate()
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert b"heard" not in out and b"heard" not in err


async def test_watch_of_an_llm_server_shows_records_of_a_session_and_of_all(
    tmp_path: Path, server: tuple[AccountServer, JetStream]
) -> None:
    accounts, js = server
    await put_record(js, CUT)
    async with watching(tmp_path, accounts.env("llm"), "s", "--history") as process:
        assert "heard s/r" in await line_with(process.stdout, "heard")
    async with watching(tmp_path, accounts.env("llm")) as process:

        async def keep_storing() -> None:
            while True:  # until the command has subscribed
                await put_record(js, CUT.with_(request_id="live"))
                await asyncio.sleep(0.2)

        storing = asyncio.create_task(keep_storing())
        try:
            assert "heard s/live" in await line_with(process.stdout, "heard")
        finally:
            storing.cancel()
            await asyncio.wait([storing])
