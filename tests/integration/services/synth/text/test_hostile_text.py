"""Texts that are slow to split: they delay only their own session, and never end the process."""

from __future__ import annotations

import asyncio
import time

import pytest

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.audio_messages import AudioChunk
from tests.support.services import ServiceProcess, Stack

pytestmark = pytest.mark.integration

HOSTILE = ["(1)", "A.", "www.", "1. ", "“a” ", "Ep. 3 "]
DEADLINE_S = 5.0
"""Limit for a first audio that takes some tens of ms; these texts once blocked synth's event loop for 26 s."""


async def first_audio(client: Client, stored: Acceptance) -> None:
    async for packet in client.audio(stored.session_id, stored.request_id, stored.request_seq):
        if isinstance(packet, AudioChunk):
            return


async def slowest_answer_s(synth: ServiceProcess, until_done: asyncio.Event) -> float:
    slowest_s = 0.0
    while not until_done.is_set():
        begun = time.monotonic()
        assert (await synth.get("/healthz", timeout_s=60))[0] == 200
        slowest_s = max(slowest_s, time.monotonic() - begun)
        await asyncio.sleep(0.02)
    return slowest_s


async def test_hostile_texts_do_not_delay_other_sessions(stack: Stack) -> None:
    (synth,) = await stack.start("synth", SYNTH_SLOTS=8, TTS_ENGINE_RTF=1.0)
    async with Client(stack.nats_server.url) as client, asyncio.TaskGroup() as tasks:
        done = asyncio.Event()
        health = tasks.create_task(slowest_answer_s(synth, done))
        for number, unit in enumerate(HOSTILE):
            text = (unit * 5_000)[:5_000]
            fields = {"session_id": f"hostile{number}", "phone_id": "p", "request_id": "r", "transport": "none"}
            if number % 2:
                await client.say(text, **fields)
            else:
                async with client.utterance(**fields) as utterance:
                    await utterance.write(text)
        begun = time.monotonic()
        stored = await client.say("네.", session_id="other", phone_id="p", request_id="r", transport="none")
        assert isinstance(stored, Acceptance)
        await first_audio(client, stored)
        waited_s = time.monotonic() - begun
        for number in range(len(HOSTILE)):
            await client.cancel(f"hostile{number}", "r")
            await client.wait(f"hostile{number}", "r", 30)
        done.set()
    assert waited_s < DEADLINE_S
    assert health.result() < DEADLINE_S


async def test_text_with_white_space_at_which_sentencex_panics_is_spoken(stack: Stack) -> None:
    """A panic of sentencex once ended synth, and then each synth to which the request was delivered."""
    (synth,) = await stack.start("synth")
    async with Client(stack.nats_server.url) as client:
        await client.say("Plan A\u00a0. Go on.", session_id="s", phone_id="p", request_id="r", transport="none")
        assert (await client.wait("s", "r", 15)).status == "delivered"
    assert synth.running
