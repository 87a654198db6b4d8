"""What mypy --strict and pyright say about programs: nothing about a good one, and all errors of a bad one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.type_checkers import TypeProblem, mypy, pyright

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]  # npm installs pyright the first time

GOOD = """
from typing import assert_type
from orastream import Acceptance, BlockingClient, Client, Heard, Report
from orastream.testing import FakeNode

async def with_asyncio(client: Client, forget: bool) -> None:
    assert_type(await client.say("a", session_id="s", phone_id="p", fire_and_forget=False), Report)
    assert_type(await client.say("a", session_id="s", phone_id="p", fire_and_forget=True), Acceptance)
    assert_type(await client.say("a", session_id="s", phone_id="p", fire_and_forget=forget), Acceptance | Report)
    either = await client.say("a", session_id="s", phone_id="p", voice="ko", speed=1.2, ttlSeconds=5, supersede=True)
    await client.say("a", session_id="s", phone_id="p", language=None, speed=None, ttl_seconds=None, ssml=None)
    print(either.request_id, either.request_seq, either.status)
    async with client.utterance(session_id="s", phone_id="p", idle_seconds=5, format="opus", sample_rate=16_000) as u:
        await u.write("a")
    assert_type(await client.cancel("s"), int)
    assert_type(await client.cancel("s", wait=True), tuple[Heard, ...])
    async for report in client.reports("s", history=True):
        assert_type(report, Report)

def without(client: BlockingClient, forget: bool) -> None:
    report = client.say("a", session_id="s", phone_id="p", fire_and_forget=False, pronunciations={"SQL": "sequel"})
    print(report.first_audio_ms)
    assert_type(client.say("a", session_id="s", phone_id="p", fire_and_forget=True, transport="none"), Acceptance)
    assert_type(client.say("a", session_id="s", phone_id="p", fire_and_forget=forget), Acceptance | Report)
    assert_type(client.utterance(["a", None], session_id="s", phone_id="p", fire_and_forget=False), Report)
    assert_type(client.utterance(iter("a"), session_id="s", phone_id="p", fire_and_forget=True), Acceptance)
    assert_type(client.cancel("s"), int)
    assert_type(client.cancel("s", wait=True), tuple[Heard, ...])
    assert_type(client.report("s", "r"), Report | None)
    for followed in client.reports("s"):
        assert_type(followed, Report)

Client("nats://a", creds="user.creds", connect_timeout_s=2)
assert_type(BlockingClient("nats://a", creds="user.creds", connect_timeout_s=2), BlockingClient)
assert_type(Client.from_django(), Client)
FakeNode().fail("engine_error", session_id="s", times=2, delay_s=0.5)
FakeNode().refuse(session_id="s")
"""

BAD = """
from orastream import BlockingClient, Client
from orastream.testing import FakeNode

async def with_asyncio(client: Client) -> None:
    await client.say("a", session_id="s", phone_id="p", vioce="ko")  # wrong
    await client.say("a", session_id="s", phone_id="p", idle_seconds=5)  # wrong
    await client.say("a", session_id="s", phone_id="p", ttl_seconds="5")  # wrong
    await client.say("a", session_id="s", phone_id="p", format="wave")  # wrong
    await client.say("a", session_id="s")  # wrong
    (await client.say("a", session_id="s", phone_id="p")).first_audio_ms  # wrong
    (await client.say("a", session_id="s", phone_id="p", fire_and_forget=True)).first_audio_ms  # wrong
    client.utterance(session_id="s", phone_id="p", vioce="ko")  # wrong

def without(client: BlockingClient) -> None:
    client.say("a", session_id="s", phone_id="p", vioce="ko")  # wrong
    client.say("a", session_id="s", phone_id="p", transport="udp")  # wrong
    client.say("a", session_id="s", phone_id="p").first_audio_ms  # wrong
    client.utterance(["a"], session_id="s", phone_id="p", idle_second=5)  # wrong
    client.utterance([1], session_id="s", phone_id="p")  # wrong
    client.cancel("s", wait=True) + 1  # wrong

BlockingClient("nats://a", connect_timeout="2")  # wrong
FakeNode().hold(heard=5)  # wrong
FakeNode().fail("unreachable")  # wrong
"""


async def pyright_strict(folder: Path) -> list[TypeProblem]:
    """The errors of pyright in its mode `strict`."""
    return await pyright(folder, "strict")


@pytest.mark.parametrize("check", [mypy, pyright_strict])
async def test_good_programs_pass_and_each_error_of_bad_ones_is_found(
    tmp_path: Path, check: Callable[[Path], Awaitable[list[TypeProblem]]]
) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    wrong = {("bad.py", n) for n, line in enumerate(BAD.splitlines(), 1) if line.endswith("# wrong")}
    assert {(problem.file, problem.line) for problem in await check(tmp_path)} == wrong
