"""Answers `tts.voices` for callers in NATS accounts, in place of the synths.

Their import maps it to `tts.of.<account>.voices` (`orastream init-auth`). If their questions reached the synths, a
caller that floods would keep the processes busy that speak for all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn

from orastream.broker import Answer, Broker, Headers
from orastream.client.voices import encode_answers
from orastream.contract.caller import asked_by, asked_subject
from orastream.contract.errors import OrastreamError
from orastream.contract.subjects import VOICES
from services.gateway.known_voices import KnownVoices
from services.gateway.service_errors import error_headers, outcome_of, public_text, service_code

SUBJECT = asked_subject("*", VOICES)
ROUTE = "relay.voices"
MAX_WAITING = 64
"""Questions of one account that are not answered yet. Further ones get no answer, as those that were lost."""
EVERY_S = 0.005
"""Interval of the answers to one account."""


class VoicesRelay:
    """Answers the questions of all accounts, those of one account EVERY_S seconds apart. For one event loop."""

    def __init__(self, broker: Broker, voices: KnownVoices, count: Callable[[str, str], None]) -> None:
        """`count` counts (route, outcome)."""
        self._broker = broker
        self._voices = voices
        self._count = count
        self._waiting: dict[str, deque[str]] = {}  # account → reply subjects
        self._asked = asyncio.Event()

    def on_message(self, subject: str, reply: str, _data: bytes, _headers: Headers) -> None:
        """Take a question, or drop it."""
        if not reply:
            return
        account, _ = asked_by(subject)
        waiting = self._waiting.setdefault(account, deque())
        if len(waiting) >= MAX_WAITING:
            self._count(ROUTE, "overloaded")
            return
        waiting.append(reply)
        self._asked.set()

    async def run(self) -> NoReturn:
        """Answer until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._waiting:
                turn = [waiting.popleft() for waiting in self._waiting.values()]
                self._waiting = {account: waiting for account, waiting in self._waiting.items() if waiting}
                answers, outcome = await self._now()
                for reply in turn:
                    self._count(ROUTE, outcome)
                    await self._send(reply, answers)
                await asyncio.sleep(EVERY_S)

    async def _now(self) -> tuple[Sequence[Answer], str]:
        try:
            voices = await self._voices.get()
        except OrastreamError as exc:
            return [(b"", error_headers(service_code(exc), public_text(exc)))], outcome_of(exc)
        # The last answer is empty: else nats-server would remember the question until the inbox is closed.
        return [*((answer, None) for answer in encode_answers(voices)), (b"", None)], "found" if voices else "nobody"

    async def _send(self, reply: str, answers: Sequence[Answer]) -> None:
        with contextlib.suppress(OrastreamError):  # the caller asks again
            for data, headers in answers:
                await self._broker.publish(reply, data, headers=headers)
