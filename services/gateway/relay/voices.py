"""Answers `tts.voices` for callers in NATS accounts, in place of the synths.

Their import maps it to `tts.of.<account>.voices` (`orastream init-auth`). If their questions reached the synths, a
caller that floods would keep the processes busy that speak for all.

Each account has a subscription of its own. It is closed while too many of the account's questions wait: then the server
answers further ones with "no responders", which costs the gateway nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import structlog

from orastream.broker import Answer, Broker, Headers, Subscription
from orastream.client.voices import encode_answers
from orastream.contract.errors import OrastreamError
from services.gateway.known_voices import KnownVoices
from services.gateway.service_errors import error_headers, outcome_of, public_text, service_code

ROUTE = "relay.voices"
QUEUE = "q"
MAX_WAITING = 64
"""Questions of one account that are not answered yet. With more, no further ones are taken until these are answered."""
EVERY_S = 0.005
"""Interval of the answers to one account."""


log = structlog.get_logger()


class _Account:
    """The questions of one account."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.replies: deque[str] = deque()
        self.full = False
        self.subscription: Subscription | None = None


class VoicesRelay:
    """Answers the questions of these accounts, those of one account EVERY_S seconds apart. For one event loop."""

    def __init__(
        self, broker: Broker, accounts: Iterable[str], voices: KnownVoices, count: Callable[[str, str], None]
    ) -> None:
        """`count` counts (route, outcome)."""
        self._broker = broker
        self._accounts = [_Account(name) for name in accounts]
        self._voices = voices
        self._count = count
        self._asked = asyncio.Event()

    async def open(self) -> None:
        """Take questions from now on. Raises NodeUnavailable."""
        for account in self._accounts:
            await self._subscribe(account)

    async def close(self) -> None:
        """Take no more questions."""
        for account in self._accounts:
            await self._unsubscribe(account)

    async def run(self) -> NoReturn:
        """Answer until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while waiting := [account for account in self._accounts if account.replies or account.full]:
                answers, outcome = await self._now()
                for account in waiting:
                    await self._turn(account, answers, outcome)
                await asyncio.sleep(EVERY_S)

    async def _turn(self, account: _Account, answers: Sequence[Answer], outcome: str) -> None:
        """Answer the first question of the account, and take or refuse further ones."""
        if account.replies:
            self._count(ROUTE, outcome)
            with contextlib.suppress(OrastreamError):  # the caller asks again
                for data, headers in answers:
                    await self._broker.publish(account.replies[0], data, headers=headers)
            account.replies.popleft()
        if account.full and account.subscription is not None:
            self._count(ROUTE, "overloaded")
            await self._unsubscribe(account)
        elif account.full and not account.replies:
            account.full = False
            try:
                await self._subscribe(account)
            except OrastreamError:
                account.full = True  # tried again in the next turn

    async def _subscribe(self, account: _Account) -> None:
        def on_message(_subject: str, reply: str, _data: bytes, _headers: Headers) -> None:
            if account.full or not reply:
                return
            account.replies.append(reply)
            account.full = len(account.replies) >= MAX_WAITING
            self._asked.set()

        subject = self._broker.names.asked_subject(account.name, self._broker.names.voices)
        account.subscription = await self._broker.subscribe(subject, on_message, queue=QUEUE)

    @staticmethod
    async def _unsubscribe(account: _Account) -> None:
        subscription, account.subscription = account.subscription, None
        if subscription is not None:
            await subscription.close()

    async def _now(self) -> tuple[Sequence[Answer], str]:
        try:
            voices = await self._voices.get()
        except OrastreamError as exc:
            return [(b"", error_headers(service_code(exc), public_text(exc)))], outcome_of(exc)
        except Exception:  # noqa: BLE001 - an error in one answer must not end the relay: it is logged and answered
            log.exception("an answer about voices met an error of ours")
            return [(b"", error_headers("500", "an error of the gateway; see its log"))], "internal"
        # The last answer is empty: else nats-server would remember the question until the inbox is closed.
        return [*((answer, None) for answer in encode_answers(voices)), (b"", None)], "found" if voices else "nobody"
