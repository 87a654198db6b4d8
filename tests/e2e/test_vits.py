"""A whole node with the torch engine vits: the audio in OraServer, also when the engine process is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.support.processes import until
from tests.support.services import Stack
from tests.support.speech import utterance_of
from tests.support.torch_engines import TORCH_PYTHON, vits_voices

__all__ = ["vits_voices"]

pytestmark = [pytest.mark.e2e, pytest.mark.torch, pytest.mark.timeout(400)]

RATE = 16_000
TEXT = "안녕하세요, 무엇을 도와드릴까요? 오늘은 날씨가 아주 맑습니다. 저는 비빔밥이 좋습니다."


def engines_of(pid: int) -> list[int]:
    """The process ids of synth's engines, which are its child processes."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_oraserver_gets_the_audio_of_the_model_when_its_process_is_killed(
    stack: Stack, vits_voices: Path
) -> None:
    model = {"TTS_ENGINE": "vits", "ENGINE_PYTHON": TORCH_PYTHON, "TTS_MODEL_DIR": vits_voices, "TTS_THREADS": 1}
    patient = {"SYNTH_STALL_SECONDS": 100}  # the new process imports torch while other tests run
    await stack.start("oraserver", "ws_bridge", **patient)
    (synth,) = await stack.start("synth", TTS_ENGINE_RTF=0.5, SYNTH_SLOTS=1, **model, **patient)
    async with Client(stack.nats_server.url) as client:

        async def say(text: str, request: str, **options: Any) -> dict[str, Any]:
            """Request speech and return OraServer's entry, which must be complete and without violations."""
            report = await client.say(
                text, session_id="s", phone_id="p", request_id=request, fire_and_forget=False, wait_s=150, **options
            )
            assert isinstance(report, Report) and report.status == "delivered", report
            got = utterance_of(await stack.received(), request)
            assert got is not None and got["complete"] and got["violations"] == []
            assert (got["engine"], got["bytes"]) == ("vits", report.bytes)
            return got

        whole = await say(TEXT, "r1")
        assert whole["bytes"] > 3 * 2 * RATE, "the audio is shorter than three seconds"
        assert (await say("Hello there.", "r2", language="en-US"))["bytes"] > RATE

        again = asyncio.create_task(say(TEXT, "r3"))

        async def begun() -> bool:
            got = utterance_of(await stack.received(), "r3")
            return got is not None and got["chunks"] >= 3

        await until(begun, "three chunks at OraServer", timeout_s=40)
        (engine,) = engines_of(synth.pid)
        os.kill(engine, signal.SIGKILL)
        assert not again.done()
        assert (await again)["sha256"] == whole["sha256"], "the audio differs from that without a kill"
        assert await synth.metric("orastream_synth_engine_restarts_total") == 1
