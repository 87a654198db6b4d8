"""The load of a soak: short sessions that come and go, some with barge-ins, as phone calls do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from orastream.client.async_client import Client
from orastream.contract.errors import NodeUnavailable, WaitTimeout
from orastream.contract.messages import Report

SENTENCES = (
    "네, 알겠습니다.",
    "안녕하세요. 무엇을 도와드릴까요?",
    "잠시만 기다려 주세요. 주문을 확인하고 있습니다.",
    "One moment, please.",
    "주문하신 커피가 나왔습니다. 맛있게 드세요.",
)
MAX_TURNS = 3
HTTP_SHARE = 0.2
BARGE_IN_SHARE = 0.15
HEARD_S = (0.05, 0.4)
"""How long a listener hears an utterance before it interrupts."""
WAIT_S = 60.0


class Conversations:
    """Begins `per_second` sessions a second until cancelled, and counts what happens. For one event loop."""

    def __init__(self, client: Client, per_second: float, seed: int) -> None:
        self._client = client
        self._pause_s = 1 / per_second
        self._random = random.Random(seed)
        self.begun = 0
        self.statuses: Counter[str] = Counter()
        """The final reports by status, and calls that raised by the name of the error."""
        self.barge_ins = 0
        self._latencies_ms: list[float] = []

    def latencies_ms(self) -> list[float]:
        """Take the first-audio times of the utterances by WebSocket that were delivered since the last call, in ms."""
        taken, self._latencies_ms = self._latencies_ms, []
        return taken

    async def run(self) -> None:
        """Begin sessions until cancelled. Then the sessions that are open end at once."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                self.begun += 1
                group.create_task(self._session(f"soak-{self.begun}"))
                due += self._pause_s
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _session(self, session: str) -> None:
        draw = self._random
        websocket = draw.random() >= HTTP_SHARE
        for turn in range(draw.randint(1, MAX_TURNS)):
            request, text = f"r{turn}", draw.choice(SENTENCES)
            try:
                report = await self._turn(session, request, text, websocket, draw.random() < BARGE_IN_SHARE)
            except (NodeUnavailable, WaitTimeout) as exc:
                self.statuses[type(exc).__name__] += 1
                continue
            self.statuses[report.status] += 1
            if report.status == "delivered" and websocket and report.first_audio_ms is not None:
                self._latencies_ms.append(report.first_audio_ms)

    async def _turn(self, session: str, request: str, text: str, websocket: bool, barge_in: bool) -> Report:
        await self._client.say(
            text,
            session_id=session,
            phone_id="phone",
            request_id=request,
            use_websocket=websocket,
            fire_and_forget=True,
            ttl_seconds=WAIT_S,
        )
        if barge_in:
            self.barge_ins += 1
            await asyncio.sleep(self._random.uniform(*HEARD_S))
            await self._client.cancel(session)
        return await self._client.wait(session, request, WAIT_S)
