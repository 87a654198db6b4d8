"""The log lines that operators of the old server search for are in the files of TTS_LOG_DIR."""

from __future__ import annotations

from pathlib import Path

import pytest

from orastream.client.async_client import Client
from tests.support.nats_server import NatsServer
from tests.support.services import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

TEXT = "비밀스러운 문장입니다."


async def test_log_files_contain_the_three_event_lines(stack: Stack, nats_server: NatsServer, tmp_path: Path) -> None:
    """One file per service, with the contract's texts, session and request on the line, and without the spoken text."""
    folder = tmp_path / "logs"
    await stack.start("oraserver", "synth", "ws_bridge", TTS_LOG_DIR=folder)
    async with Client(nats_server.url) as client:
        await client.say(TEXT, session_id="로그 세션", phone_id="p", request_id="r1")
        assert (await client.wait("로그 세션", "r1", 30)).status == "delivered"
    await stack.stop()
    bridge = (folder / "tts-ws_bridge.log").read_text()
    synth = (folder / "tts-synth.log").read_text()
    started = next(line for line in bridge.splitlines() if "🔌 [TTS] WebSocket 스트리밍 시작" in line)
    completed = next(line for line in bridge.splitlines() if "✅ [TTS] WebSocket 스트리밍 완료" in line)
    background = next(line for line in synth.splitlines() if "✅ [TTS] WebSocket 백그라운드 스트리밍 시작" in line)
    for line in (started, completed, background):
        assert "r1" in line and "로그 세션" in line
    for text in (bridge, synth):
        assert "비밀스러운" not in text
