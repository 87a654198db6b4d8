"""What the frames of the samples give them: a conversation, the tokens of an LLM, and somebody else who asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from orastream import Client

NATS = "nats://127.0.0.1:4222"
TOKENS = ("안녕", "하세요. ", "무엇을 ", "도와", "드릴까요?")


@dataclass
class Context:
    """The conversation as the LLM has it."""

    kept: dict[str, str] = field(default_factory=dict)

    def truncate(self, request_id: str, text: str) -> None:
        """Keep only this text of the answer."""
        self.kept[request_id] = text


@dataclass(frozen=True)
class LlmEvent:
    """One event of an LLM's stream."""

    text: str | None


async def llm(question: str) -> AsyncIterator[LlmEvent]:
    """An LLM that greets, whatever it is asked."""
    assert question
    for token in (*TOKENS, None):
        yield LlmEvent(token)


async def tokens() -> AsyncIterator[str]:
    """The tokens of an answer."""
    for token in TOKENS:
        yield token


@contextlib.asynccontextmanager
async def somebody_asks(session: str) -> AsyncIterator[None]:
    """Meanwhile two requests a second are made in this session."""

    async def ask() -> None:
        async with Client(NATS) as client:
            while True:
                await client.say("네.", session_id=session, phone_id="phone-7")
                await asyncio.sleep(0.5)

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
