"""A whole node as processes, shared by the tests of a module, and the helpers of such tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orastream.cli.node.nats_config import Sync
from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.messages import Report
from tests.support.nats_accounts import AccountServer
from tests.support.nats_server import NatsServer
from tests.support.processes import Logs, until
from tests.support.services import REPOSITORY, Stack
from tests.support.speech import sha256, spoken_file, utterance_of

DEADLINE_S = 45.0
TEXT = (
    "안녕하세요. 오늘은 날씨가 아주 맑습니다. 어제는 비가 왔지만 지금은 하늘이 파랗습니다. "
    "The quick brown fox jumps over the lazy dog. 점심에는 무엇을 드시겠습니까? 저는 비빔밥이 좋습니다. "
    "내일은 삼 월 십사 일이고 원주율은 3.14입니다. 들어 주셔서 고맙습니다."
)


_references: dict[str, bytes] = {}


async def reference(text: str) -> bytes:
    """The WAV that the engine makes from a text; made once and cached."""
    if text not in _references:
        _references[text] = await spoken_file(text)
    return _references[text]


@dataclass
class Scene:
    """Helpers of an end-to-end test: request speech, wait for audio, compare the result."""

    stack: Stack
    client: Client
    name: str

    def id(self, name: str) -> str:
        """A session or request id that is unique to this test, because tests share the stack."""
        return f"{self.name}.{name}"

    async def ask(self, session: str, request: str, text: str = TEXT, **options: Any) -> Acceptance:
        """Request the text with background delivery."""
        session, request = self.id(session), self.id(request)
        acceptance = await self.client.say(
            text, session_id=session, phone_id="phone-1", request_id=request, fire_and_forget=True, **options
        )
        assert isinstance(acceptance, Acceptance)
        return acceptance

    async def until_received(self, request: str, chunks: int = 3) -> None:
        """Wait until OraServer has at least that many chunks, but not all."""
        request = self.id(request)

        async def begun() -> bool:
            got = utterance_of(await self.stack.received(), request)
            return got is not None and got["chunks"] >= chunks

        await until(begun, f"{chunks} chunks of {request} at OraServer", timeout_s=20)
        got = utterance_of(await self.stack.received(), request)
        assert got is not None and not got["complete"], "too late: the utterance was complete before the fault"

    async def until_synthesising(self, session: str, request: str) -> None:
        """Wait until some of its audio is stored. (With HTTP, OraServer gets nothing before the end.)"""
        session, request = self.id(session), self.id(request)
        async for message in self.client.audio(session, request, await self._sequence(session, request)):
            if getattr(message, "index", 0) >= 2:
                return

    async def until_stored(self, session: str, request: str) -> None:
        """Wait until all of its audio is stored."""
        session, request = self.id(session), self.id(request)
        async for _ in self.client.audio(session, request, await self._sequence(session, request)):
            pass

    async def _sequence(self, session: str, request: str) -> int:
        report = await self.client.report(session, request)
        assert report is not None
        return report.request_seq

    async def delivered(self, session: str, request: str) -> Report:
        """Wait for its final report. The status must be `delivered`, and OraServer's audio must equal the engine's."""
        report = await self.final(session, request)
        assert report.status == "delivered", report
        await self.check(request)
        return report

    async def final(self, session: str, request: str) -> Report:
        """Wait for its final report, up to the deadline."""
        return await self.client.wait(self.id(session), self.id(request), DEADLINE_S)

    async def check(self, request: str, text: str = TEXT) -> None:
        """Check OraServer's chunks: complete, in order, repeats identical, audio equal to the engine's."""
        got = utterance_of(await self.stack.received(), self.id(request))
        assert got is not None and got["complete"], got
        assert got["violations"] == [], got["violations"]
        assert got["sha256"] == sha256(await reference(text))


@contextlib.contextmanager
def running_node(
    folder: Path,
    logs: Logs,
    *,
    replicas: int = 2,
    gateway: bool = False,
    sync: Sync | None = None,
    code: Path = REPOSITORY,
    accounts: bool = False,
    **settings: object,
) -> Iterator[Stack]:
    """Run nats-server, OraServer, and `replicas` of synth and of each bridge, all ready; kills them at the end.

    The services but OraServer run the code in the folder `code`. With `accounts` the server has those of `init-auth`,
    each service has its own key, and callers have that of the role `llm`.
    """
    limits: dict[str, object] = {"TTS_AUDIO_MAX_BYTES": 256 << 20, **settings}
    server = (
        AccountServer(folder, logs, {"shop": None, "hall": "lobby"})
        if accounts
        else NatsServer(folder, logs, sync=sync)
    )
    if isinstance(server, AccountServer):
        stack = Stack(server, folder, logs, code=code, credentials=server.env, **limits)
    else:
        stack = Stack(server, folder, logs, code=code, **limits)

    async def start() -> None:
        await server.start()
        await stack.start("oraserver", *(["gateway"] if gateway else []))
        for service in ("synth", "ws_bridge", "http_bridge"):
            await stack.start(service, replicas=replicas)

    try:
        asyncio.run(start())
        yield stack
    finally:
        stack.kill()
        server.kill()


@contextlib.asynccontextmanager
async def scene_on(stack: Stack, name: str) -> AsyncIterator[Scene]:
    """The scene of one test on a shared node. First it restarts the processes that an earlier test has killed."""
    if not stack.nats_server.running:
        await stack.nats_server.start()
    for siblings in stack.processes.values():
        for process in siblings:
            if not process.running:
                await process.start()
    await stack.misbehave()
    async with stack.client() as client:
        yield Scene(stack, client, name)
