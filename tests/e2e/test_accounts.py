"""A node whose services and callers have the users of `orastream init-auth`: the tests of other files, and no refusal.

The last test reads all logs, so a right that a service lacks fails it, whatever the others have noticed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from orastream.cli.checks import doctor
from orastream.cli.node.settings import CliSettings, NodeAddress
from orastream.client.async_client import Client
from orastream.contract.delivery_progress import DeliveryProgress
from orastream.contract.messages import Report
from tests.chaos.test_kills import (
    test_http_bridge_is_killed,
    test_synth_is_killed,
    test_ws_bridge_is_killed_while_a_newer_request_arrives,
)
from tests.e2e.test_cancel import (
    test_cancel_ends_a_request_that_no_synth_has_pulled,
    test_cancel_ends_an_utterance_that_is_being_delivered,
)
from tests.e2e.test_delivery import test_synchronous_report_equals_the_audio_at_oraserver
from tests.e2e.test_dictation import (
    test_cancel_ends_a_streamed_text_that_waits_for_text,
    test_first_sentence_is_delivered_before_the_last_token_is_written,
)
from tests.support.nats_accounts import AccountServer, violations
from tests.support.processes import Logs, until
from tests.support.scenes import Scene, running_node
from tests.support.services import REPOSITORY, Stack, environment

__all__ = [
    "test_cancel_ends_a_request_that_no_synth_has_pulled",
    "test_cancel_ends_a_streamed_text_that_waits_for_text",
    "test_cancel_ends_an_utterance_that_is_being_delivered",
    "test_first_sentence_is_delivered_before_the_last_token_is_written",
    "test_http_bridge_is_killed",
    "test_synchronous_report_equals_the_audio_at_oraserver",
    "test_synth_is_killed",
    "test_ws_bridge_is_killed_while_a_newer_request_arrives",
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, node_logs: Logs) -> Iterator[Stack]:
    """One node for all tests of the file, slow enough for cancels and kills."""
    folder = tmp_path_factory.mktemp("accounts")
    settings = {"TTS_ENGINE_RTF": 0.25, "SYNTH_SLOTS": 2, "WEBSOCKET_MAX_RETRIES": 6}
    with running_node(folder, node_logs, gateway=True, accounts=True, **settings) as stack:
        yield stack


@pytest.fixture
async def slow_scene(scene: Scene) -> AsyncIterator[Scene]:
    """What tests of a slow node use: here it is the same node."""
    yield scene


def server_of(stack: Stack) -> AccountServer:
    assert isinstance(stack.nats_server, AccountServer)
    return stack.nats_server


async def test_a_caller_reads_reports_audio_and_voices(scene: Scene) -> None:
    client, session, request = scene.client, scene.id("s"), scene.id("r")
    seen: list[str] = []

    async def follow() -> None:
        async for report in client.reports(session):
            seen.append(report.status)
            if report.final:
                return

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    accepted = await client.say("안녕하세요.", session_id=session, phone_id="p", request_id=request)
    report = await client.wait(session, request, 45)
    assert report.status == "delivered" and await client.report(session, request) == report
    await asyncio.wait_for(following, 30)
    assert seen[-1] == "delivered"
    messages = [message async for message in client.audio(session, request, accepted.request_seq)]
    assert len(messages) > 2
    assert {voice.engine for voice in await client.voices()} == {"espeak"}


async def test_a_caller_with_an_account_of_its_own_speaks_and_waits(node: Stack, scene: Scene) -> None:
    session = scene.id("s")
    async with server_of(node).client("shop") as shop:
        report = await shop.say("안녕하세요.", session_id=session, phone_id="p", fire_and_forget=False, wait_s=45)
        assert isinstance(report, Report) and report.status == "delivered"
        assert await shop.report(session, report.request_id) == report
        assert (report.caller, report.characters) == ("SHOP", len("안녕하세요."))
        messages = [message async for message in shop.audio(session, report.request_id, report.request_seq)]
        assert len(messages) > 2
        async with shop.utterance(session_id=session, phone_id="p") as utterance:
            await utterance.write("안녕하세요. 반갑")
            await utterance.write("습니다.")
        assert (await utterance.wait(45)).status == "delivered"
        accepted = await shop.say("안녕하세요.", session_id=session, phone_id="p", transport="none")
        await shop.cancel(session)
        assert (await shop.wait(session, accepted.request_id, 45)).final
    assert (await scene.client.report(session, report.request_id)) == report  # CALLERS may read all
    counted = [await bridge.metric("orastream_usage_characters_total", caller="SHOP") for bridge in node["ws_bridge"]]
    assert sum(counted) >= report.characters


async def test_a_caller_with_sessions_uses_these_alone(node: Stack, scene: Scene) -> None:
    async with server_of(node).client("hall") as hall:
        report = await hall.say("안녕하세요.", session_id="lobby", phone_id="p", fire_and_forget=False, wait_s=45)
        assert isinstance(report, Report) and report.status == "delivered"
        assert await hall.report("lobby", report.request_id) == report
        messages = [message async for message in hall.audio("lobby", report.request_id, report.request_seq)]
        assert len(messages) > 2
        async for one in hall.reports("lobby", history=True):
            assert one.request_id == report.request_id
            break
        async with hall.utterance(session_id="lobby", phone_id="p") as utterance:
            await utterance.write("안녕하세요.")
        assert (await utterance.wait(45)).status == "delivered"
        assert await hall.cancel("lobby") > 0
        assert await hall.voices()
    # Its requests have places of their own beside those of other accounts in the session.
    assert (await scene.client.report("lobby", report.request_id)) == report


async def test_live_progress_is_read_by_who_may_read_reports_live(node: Stack, scene: Scene) -> None:
    """A caller that must know both ids of a request gets none, and its client ends all the same."""
    server, request = server_of(node), scene.id("r")
    text = (
        "안녕하세요. 오늘은 날씨가 맑습니다. 무엇을 도와드릴까요? " * 2
    )  # 10 s: a bridge looks for watchers every 5 s

    async def seen(client: Client) -> list[DeliveryProgress]:
        return [one async for one in client.progress("lobby", request)]

    async with server.client("hall") as hall, server.client("observer") as observer, server.client("shop") as shop:
        watching = [asyncio.create_task(seen(client)) for client in (scene.client, hall, observer, shop)]
        await scene.client.say(text, session_id="lobby", phone_id="p", request_id=request, transport="websocket")
        async with asyncio.timeout(60):
            *others, of_shop = await asyncio.gather(*watching)
    for got in others:
        assert len(got) > 3 and got[-1].done and got[-1].played_ms == got[-1].sent_ms
    assert of_shop == []


async def test_a_report_is_sent_to_the_accounts_reply_subject(node: Stack, scene: Scene) -> None:
    nats = await server_of(node).plain("shop")
    try:
        replies = await nats.subscribe("tts.reply.SHOP.>")
        body = {"text": "안녕", "sessionId": scene.name, "phoneId": "p", "replyTo": "tts.reply.SHOP.mine"}
        answer = await nats.request(f"tts.request.{scene.name}", json.dumps(body).encode(), timeout=10)
        assert b'"seq"' in answer.data
        message = await replies.next_msg(45)
        assert (message.subject, Report.decode(message.data).status) == ("tts.reply.SHOP.mine", "delivered")
        spoken = {"text": "안녕", "sessionId": scene.name, "phoneId": "p", "fire_and_forget": False}
        reply = await nats.request("tts.speak", json.dumps(spoken).encode(), timeout=45)
        assert Report.decode(reply.data).status == "delivered"
    finally:
        await nats.close()


async def test_the_gateway_serves_http_and_the_console(node: Stack, scene: Scene) -> None:
    gateway = node.only("gateway")
    body = {"text": "안녕하세요.", "sessionId": scene.name, "phoneId": "p", "fire_and_forget": False}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as http:
        async with http.post(f"{gateway.url}/api/convert-tts/", json=body) as answer:
            assert answer.status == 200 and (await answer.json())["status"] == "delivered"
        async with http.get(f"{gateway.url}/api/events") as events:
            assert events.status == 200
            assert await events.content.readline()
        speech = {"model": "tts-1", "input": "안녕하세요.", "voice": "ko", "response_format": "wav"}
        async with http.post(f"{gateway.url}/v1/audio/speech", json=speech) as answer:
            assert answer.status == 200, await answer.text()
            assert len(await answer.read()) > 10_000
    for path in ("/api/node", "/api/voices"):
        status, body_of = await gateway.get(path)
        assert status == 200, body_of


async def test_observer_watches_with_the_command_line(node: Stack, scene: Scene) -> None:
    await scene.ask("s", "r", "안녕하세요.")
    await scene.final("s", "r")
    env = environment(server_of(node).env("observer"))

    async def command(*words: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; from orastream.cli import main; sys.exit(main())",
            *words,
            env={**os.environ, **env},
            cwd=REPOSITORY / "tests",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, output.decode()

    code, output = await command("report", scene.id("s"), scene.id("r"))
    assert code == 0 and "delivered" in output, output
    code, output = await command("usage", "--json")
    callers = {one["caller"]: one for one in json.loads(output)}
    assert code == 0 and callers["CALLERS"]["outcomes"]["delivered"] >= 1, output
    code, output = await command("voices", "--language", "ko")
    assert code == 0, output


async def test_doctor_works_as_the_operator_and_says_what_others_lack(node: Stack) -> None:
    server = server_of(node)

    async def found(role: str) -> list[doctor.Finding]:
        env = server.env(role)
        settings = CliSettings(_env_file=None, **{k.lower(): v for k, v in env.items()})  # type: ignore[arg-type]
        access = settings.nats_access
        node_address = NodeAddress(
            server.url, access, "ws://127.0.0.1:1/ws/tts", "http://127.0.0.1:1/api/tts", settings
        )
        return await doctor.examine_nats(node_address)

    findings = await found("operator")
    assert {one.subject for one in findings if one.level != "ok"} <= {"power cut"}, (
        findings
    )  # no monitoring port is set
    (jetstream,) = [one for one in await found("llm") if one.subject == "JetStream"]
    assert jetstream.level == "problem" and "operator.env" in jetstream.fix, jetstream


async def test_the_phrase_cache_is_written_and_read(node: Stack, scene: Scene) -> None:
    for process in node["synth"]:
        await process.stop()
    (synth,) = await node.start("synth", TTS_PHRASE_CACHE=True)
    for number in range(2):
        await scene.ask("s", f"r{number}", "다시 만나서 반갑습니다.")
        assert (await scene.final("s", f"r{number}")).status == "delivered"

        async def stored() -> bool:
            return await synth.metric("orastream_synth_phrase_kept_bytes_total") > 0

        await until(stored, "the sentence to be kept", timeout_s=30)
    assert await synth.metric("orastream_synth_phrase_lookups_total", result="hit") >= 1


async def test_nothing_was_refused_to_a_service_or_a_caller(node: Stack, node_logs: Logs, scene: Scene) -> None:
    """Runs last: the services have been killed, started, stopped, and have taken over from each other."""
    await scene.client.broker.round_trip()
    await node.stop()
    assert violations(path for path in node_logs.values() if path.exists()) == []
