"""What LLM servers do meanwhile: utterances of all transports and formats, streamed texts, bursts and cancels."""

from __future__ import annotations

import asyncio
import random
import time

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.client.text_stream import TextStream
from orastream.contract.errors import NodeUnavailable, Overloaded, WaitTimeout
from orastream.contract.messages import Report
from tests.chaos.composed.history import CancelSent, History, Request
from tests.chaos.composed.recorder import Recorder
from tests.chaos.composed.texts import FORMATS, LANGUAGE, TEXTS

OPEN_AT_MOST = 6
TRANSPORTS = ("websocket", "http", "none")
TTL_S = 60
IDLE_S = 25
WAIT_S = 120.0


class Conversation:
    """One session: `await run(until)`. Its choices depend on the seed and its number alone."""

    def __init__(self, client: Client, recorder: Recorder, history: History, seed: int, number: int) -> None:
        self._client = client
        self._recorder = recorder
        self._history = history
        self._rng = random.Random(f"conversation {seed} {number}")
        self.session = f"call-{number}"
        self._count = 0
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, until: float) -> None:
        """Talk until then (monotonic seconds). Returns when every text is written; the speech may go on."""
        clock, rng = asyncio.get_running_loop().time, self._rng
        await asyncio.sleep(rng.uniform(0, 1))
        async with asyncio.TaskGroup() as tasks:
            while clock() < until:
                drawn = rng.random()
                if drawn < 0.18:
                    tasks.create_task(self._write())
                elif drawn < 0.30:
                    for _ in range(rng.randint(2, 4)):
                        await self._say()
                elif drawn < 0.40:
                    tasks.create_task(self._say_and_wait())
                else:
                    await self._say()
                if rng.random() < 0.22:
                    await asyncio.sleep(rng.uniform(0.0, 1.2))
                    await self._cancel()
                await asyncio.sleep(rng.uniform(0.1, 1.6))
                while clock() < until and len(self._unfinished()) >= OPEN_AT_MOST:
                    await asyncio.sleep(0.1)

    def _unfinished(self) -> list[Request]:
        mine = [request for request in self._history.requests[-4000:] if request.session == self.session]
        return [r for r in mine if r.seq is not None and not self._recorder.final(r.key).is_set()]

    def _new(self, transport: str | None = None) -> Request:
        rng = self._rng
        self._count += 1
        way = transport or rng.choices(TRANSPORTS, (6, 3, 2))[0]
        fmt = rng.choices(FORMATS, (4, 2, 1, 2, 1, 1))[0]
        text = rng.choices(TEXTS, (2, 2, 3, 3, 2, 1))[0]
        request = Request(self.session, f"r{self._count}", way, fmt, text, time.time(), ttl_s=TTL_S)
        self._history.requests.append(request)
        return request

    def _options(self, request: Request) -> dict[str, object]:
        return {"language": LANGUAGE, "format": request.format, "ttl_seconds": TTL_S}

    async def _submit(self, request: Request, *, waits: bool) -> Acceptance | Report | None:
        try:
            return await self._client.say(
                request.text,
                session_id=request.session,
                phone_id="phone",
                request_id=request.request,
                transport=request.transport,  # type: ignore[arg-type]
                fire_and_forget=not waits,
                wait_s=WAIT_S,
                **self._options(request),
            )
        except Overloaded:
            request.refused = True
        except (NodeUnavailable, WaitTimeout):
            pass
        return None

    def _accepted(self, request: Request, acceptance: Acceptance) -> None:
        request.seq, request.accepted_at = acceptance.request_seq, time.time()

    async def _say(self) -> None:
        request = self._new()
        acceptance = await self._submit(request, waits=False)
        if isinstance(acceptance, Acceptance):
            self._accepted(request, acceptance)

    async def _say_and_wait(self) -> None:
        request = self._new()
        report = await self._submit(request, waits=True)
        if isinstance(report, Report):
            request.seq, request.accepted_at = report.request_seq, time.time()
            request.answer = report.to_map()

    async def _write(self) -> None:
        request = self._new()
        request.streamed, request.text_ended = True, False
        pauses = self._rng.choice((0.02, 0.1, 0.25))
        size = self._rng.randint(3, 12)
        stream = self._client.utterance(
            session_id=request.session,
            phone_id="phone",
            request_id=request.request,
            transport=request.transport,
            idle_seconds=IDLE_S,
            **self._options(request),
        )
        try:
            async with stream:
                self._accepted(request, stream.acceptance)
                await self._pieces(stream, request.text, size, pauses)
            request.text_ended = True
        except Overloaded:
            request.refused = True
        except NodeUnavailable:
            pass

    async def _pieces(self, stream: TextStream, text: str, size: int, pause_s: float) -> None:
        for at in range(0, len(text), size):
            await stream.write(text[at : at + size])
            await asyncio.sleep(pause_s)

    async def _cancel(self) -> None:
        unfinished = self._unfinished()
        one = self._rng.choice(unfinished).request if unfinished and self._rng.random() < 0.4 else None
        cancel = CancelSent(self.session, one, time.time())
        self._history.cancels.append(cancel)
        try:
            cancel.seq = await self._client.cancel(self.session, one)
            cancel.accepted_at = time.time()
        except (NodeUnavailable, Overloaded):
            pass
