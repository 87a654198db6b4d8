"""A whole node with the engine openai_speech: its speech servers are two gateways of another node of this project."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from orastream.client.async_client import Client
from orastream.contract.audio import PcmSpec, wav_header, with_true_sizes
from orastream.contract.messages import Report
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import Stack
from tests.support.speech import sha256, utterance_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

RATE_HZ = 22_050
KEY = "open-sesame"
UTTERANCES, SESSIONS = 200, 20
NOUNS = ("사과", "바나나", "포도", "수박", "참외")
LONG = "오늘은 날씨가 아주 좋아서 공원을 오래 걸었습니다 그리고 커피도 마셨습니다 " * 4


@dataclass(frozen=True, slots=True)
class TwoNodes:
    """The node under test, and the servers that it speaks through: two gateways of another node."""

    servers: Stack
    node: Stack

    async def pcm(self, sentence: str, gateway: int = 1) -> bytes:
        """The samples that a gateway answers for a sentence."""
        body = {"model": "tts-1", "input": sentence, "voice": "ko", "response_format": "wav", "language": "ko-KR"}
        url, headers = f"{self.servers['gateway'][gateway].url}/v1/audio/speech", {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession() as http, http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return (await answer.read())[44:]


@pytest.fixture
async def two_nodes(stack: Stack, tmp_path: Path, logs: Logs) -> AsyncIterator[TwoNodes]:
    """Both nodes run. eSpeak always gives the same bytes, so the node under test resumes at the exact sample."""
    folder = tmp_path / "servers"
    folder.mkdir()
    served: Logs = {}
    nats = NatsServer(folder, served)
    servers = Stack(nats, folder, served, TTS_AUDIO_MAX_BYTES=256 << 20)
    try:
        await nats.start()
        await servers.start("synth", TTS_ENGINE_RTF=0.1, SYNTH_SLOTS=4)
        await servers.start("gateway", replicas=2, GATEWAY_API_KEYS=f"synth={KEY}")
        voice = {"languages": ["ko"], "format": "wav", "sample_rate_hz": RATE_HZ, "language_field": "language"}
        voices = tmp_path / "speech-voices.yaml"
        voices.write_text(json.dumps({"deterministic": True, "voices": {"ko": voice}}))
        settings = {
            "TTS_ENGINE": "openai_speech",
            "OPENAI_SPEECH_URLS": ",".join(f"{gateway.url}/v1" for gateway in servers["gateway"]),
            "OPENAI_SPEECH_API_KEY": KEY,
            "OPENAI_SPEECH_VOICES": voices,
            "OPENAI_SPEECH_AT_ONCE": 4,
            "TTS_PHRASE_CACHE": False,
            "SYNTH_SLOTS": 8,
        }
        await stack.start("oraserver", "ws_bridge")
        await stack.start("synth", **settings)
        yield TwoNodes(servers, stack)
    finally:
        servers.kill()
        nats.kill()
        logs.update({f"servers-{name}": path for name, path in served.items()})


def file_of(pcm: bytes) -> bytes:
    """The file that OraServer must have for these samples."""
    return bytes(with_true_sizes(bytearray(wav_header(PcmSpec(RATE_HZ)) + pcm)))


async def test_utterances_survive_the_end_of_a_speech_server(two_nodes: TwoNodes) -> None:
    """200 utterances through two gateways, one of which is killed in the middle: each is delivered, to the byte."""
    texts = [f"{noun} {number}개 주세요." for noun in NOUNS for number in range(1, 9)]
    expected = {text: sha256(file_of(await two_nodes.pcm(text))) for text in texts}
    gateways, delivered = two_nodes.servers["gateway"], 0
    killed = asyncio.Event()

    async with Client(two_nodes.node.nats_server.url) as client:

        async def session(number: int) -> list[tuple[str, Report]]:
            nonlocal delivered
            reports = []
            for turn in range(UTTERANCES // SESSIONS):
                text = texts[(number * 7 + turn) % len(texts)]
                report = await client.say(
                    *(text,),
                    session_id=f"s{number}",
                    phone_id="p",
                    request_id=f"r{number}-{turn}",
                    fire_and_forget=False,
                    wait_s=60,
                )
                assert isinstance(report, Report)
                reports.append((text, report))
                delivered += 1
                if delivered == UTTERANCES // 3:
                    gateways[0].kill()
                    killed.set()
            return reports

        async with asyncio.timeout(60):
            done = await asyncio.gather(*(session(number) for number in range(SESSIONS)))
    reports = [report for reports in done for report in reports]
    assert killed.is_set() and len(reports) == UTTERANCES
    (synth,) = two_nodes.node["synth"]
    log = [line for line in synth.text().splitlines() if "a speech server" in line and gateways[0].url in line]
    assert any("fails" in line or "does not answer" in line for line in log), "synth did not use the killed gateway"
    assert {report.status for _, report in reports} == {"delivered"}, [r for _, r in reports if r.status != "delivered"]
    listing = await two_nodes.node.received()
    for text, report in reports:
        got = utterance_of(listing, report.request_id)
        assert got is not None and got["complete"] and got["violations"] == [], got
        assert got["sha256"] == expected[text], (text, report)
        assert got["engine"] == "openai_speech"


async def test_server_is_used_again_after_its_restart_and_words_of_its_errors_reach_the_report(
    two_nodes: TwoNodes,
) -> None:
    gateways = two_nodes.servers["gateway"]
    async with Client(two_nodes.node.nats_server.url) as client:

        async def say(request_id: str, text: str = "안녕하세요.") -> Report:
            report = await client.say(
                text, session_id="s", phone_id="p", request_id=request_id, fire_and_forget=False, wait_s=40
            )
            assert isinstance(report, Report)
            return report

        gateways[0].kill()
        assert (await say("r1")).status == "delivered"
        gateways[1].kill()
        waiting = asyncio.create_task(say("r2"))
        await asyncio.sleep(1)
        assert not waiting.done(), "a request does not wait for a server that comes back soon"
        await gateways[1].start()
        assert (await waiting).status == "delivered"
        # The gateway refuses a text that is longer than it allows: final, and the error names field and server.
        await gateways[1].stop()
        settings = {**two_nodes.servers.settings, "TTS_MAX_TEXT_CHARS": 8, "GATEWAY_API_KEYS": f"synth={KEY}"}
        short = two_nodes.servers.add("gateway", **settings, GATEWAY_PORT=gateways[1].port)
        await short.start()
        refused = await say("r3", "이것은 여덟 글자보다 긴 문장입니다.")
        assert refused.status == "failed" and refused.error is not None
        assert refused.error.code == "invalid_request" and not refused.error.retryable
        assert refused.error.message.startswith(f"text: speech server {short.url} refuses this sentence")
        assert "글자보다" not in refused.error.message


async def test_cancel_ends_the_request_at_the_server(two_nodes: TwoNodes) -> None:
    """The gateway notices the closed connection, and cancels the request in its own node."""
    (speaking,) = two_nodes.servers["synth"]
    async with Client(two_nodes.node.nats_server.url) as client:
        await client.say(LONG, session_id="s", phone_id="p", request_id="r1")

        async def begun() -> bool:
            got = utterance_of(await two_nodes.node.received(), "r1")
            return got is not None and got["chunks"] > 0

        await until(begun, "the first chunk is at OraServer", timeout_s=20)
        await client.cancel("s")
        report = await client.wait("s", "r1", 20)
        assert report.status == "cancelled"

    async def cancelled_there() -> bool:
        return await speaking.metric("orastream_synth_requests_total", outcome="cancelled") == 1

    await until(cancelled_there, "the other node has cancelled its request", timeout_s=10)
