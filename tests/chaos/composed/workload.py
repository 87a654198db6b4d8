"""What LLM servers do meanwhile: utterances of all transports and formats, streamed texts, bursts and cancels.

Some callers wait for the outcome, by the client or by the gateway. Some requests come twice under one id. One session
asks once for more than the node stores.
"""

from __future__ import annotations

import asyncio
import random
import time

from orastream.client.async_client import Client
from orastream.client.text_stream import TextStream
from orastream.contract import codec, subjects
from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable, Overloaded, WaitTimeout
from tests.chaos.composed.callers import Gateway
from tests.chaos.composed.history import CancelSent, History, Request
from tests.chaos.composed.recorder import Recorder
from tests.chaos.composed.texts import FORMATS, LANGUAGE, TEXTS
from tests.support.names import NAMES

OPEN_AT_MOST = 6
TRANSPORTS = ("websocket", "http", "none")
TTL_S = 60
IDLE_S = 25
WAIT_S = 120.0
REPEATED_SHARE = 0.05
"""How many accepted requests are stored a second time, under the same id and without a message id."""
CROWD = 70
"""More requests at once than the node stores for a session (TTS_MAX_PENDING_PER_SESSION, 64)."""
CROWDED_SESSION = 0


class Conversation:
    """One session: `await run(until)`. Its choices depend on the seed and its number alone."""

    def __init__(
        self, client: Client, recorder: Recorder, history: History, seed: int, number: int, gateway: Gateway
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._history = history
        self._gateway = gateway
        self._rng = random.Random(f"conversation {seed} {number}")
        self.session = f"call-{number}"
        self._count = 0
        self._crowds = number == CROWDED_SESSION

    async def run(self, until: float) -> None:
        """Talk until then (monotonic seconds). Returns when every text is written; the speech may go on."""
        clock, rng = asyncio.get_running_loop().time, self._rng
        await asyncio.sleep(rng.uniform(0, 1))
        async with asyncio.TaskGroup() as tasks:
            while clock() < until:
                drawn = rng.random()
                if drawn < 0.18:
                    tasks.create_task(self._write(self._new()))
                elif drawn < 0.30:
                    for _ in range(rng.randint(2, 4)):
                        await self._say(self._new())
                elif drawn < 0.40:
                    tasks.create_task(self._say_and_wait(self._new(), rng.choice(("client", "tts.speak", "http"))))
                elif drawn < 0.50 and self._crowds:
                    await self._crowd()
                else:
                    request = self._new()
                    await self._say(request)
                    if rng.random() < REPEATED_SHARE:
                        tasks.create_task(self._repeat(request, rng.uniform(0, 3)))
                if rng.random() < 0.22:
                    await asyncio.sleep(rng.uniform(0.0, 1.2))
                    await self._cancel()
                await asyncio.sleep(rng.uniform(0.1, 1.6))
                while clock() < until and len(self._unfinished()) >= OPEN_AT_MOST:
                    await asyncio.sleep(0.1)

    def _unfinished(self) -> list[Request]:
        mine = [request for request in self._history.requests[-4000:] if request.session == self.session]
        return [r for r in mine if r.seq is not None and not self._recorder.final(r.key).is_set()]

    def _new(self) -> Request:
        rng = self._rng
        transport = rng.choices(TRANSPORTS, (6, 3, 2))[0]
        audio_format = rng.choices(FORMATS, (4, 2, 1, 2, 1, 1, 1, 1))[0]
        return self._record(transport, audio_format, rng.choices(TEXTS, (2, 2, 3, 3, 2, 1))[0])

    def _record(self, transport: str, audio_format: str, text: str) -> Request:
        self._count += 1
        request = Request(self.session, f"r{self._count}", transport, audio_format, text, time.time(), ttl_s=TTL_S)
        self._history.requests.append(request)
        return request

    async def _say(self, request: Request) -> None:
        try:
            acceptance, _ = await self._client.submit(fields_of(request, waits=False))
        except Overloaded:
            request.refused_at = time.time()
        except NodeUnavailable:
            pass
        else:
            request.seq, request.accepted_at = acceptance.request_seq, time.time()

    async def _say_and_wait(self, request: Request, caller: str) -> None:
        if caller == "tts.speak":
            await self._gateway.speak(request, fields_of(request, waits=True))
        elif caller == "http":
            await self._gateway.convert(request, fields_of(request, waits=True))
        else:
            await self._say(request)
            if request.seq is not None:
                await self._wait(request)

    async def _wait(self, request: Request) -> None:
        try:
            request.answer = (await self._client.wait(request.session, request.request, WAIT_S)).to_map()
        except WaitTimeout:
            request.gave_up_at = time.time()
        except NodeUnavailable:
            pass

    async def _repeat(self, request: Request, after_s: float) -> None:
        """Store the request again. Nobody may hear it twice."""
        await asyncio.sleep(after_s)
        if request.seq is None:
            return
        subject = NAMES.request(subjects.token(request.session))
        data = codec.encode(fields_of(request, waits=False), "json")
        try:
            answer, _ = await self._client.broker.request(subject, data)
        except NodeUnavailable:
            request.repeats.append(0)
            return
        ack = codec.decode(answer)
        if "error" not in ack:
            request.repeats.append(int(ack["seq"]))

    async def _crowd(self) -> None:
        """Ask for more than the node stores, once, and cancel it all."""
        self._crowds = False
        requests = [self._record("none", "pcm16", TEXTS[0]) for _ in range(CROWD)]
        await asyncio.gather(*map(self._say, requests))
        await asyncio.sleep(1.0)
        await self._send_cancel(None)

    async def _write(self, request: Request) -> None:
        request.streamed, request.text_ended = True, False
        pauses = self._rng.choice((0.02, 0.1, 0.25))
        size = self._rng.randint(3, 12)
        stream = self._client.utterance(
            session_id=request.session,
            phone_id="phone",
            request_id=request.request,
            transport=request.transport,
            idle_seconds=IDLE_S,
            language=LANGUAGE,
            format=request.format,
            ttl_seconds=TTL_S,
        )
        try:
            async with stream:
                request.seq, request.accepted_at = stream.acceptance.request_seq, time.time()
                await self._pieces(stream, request.text, size, pauses)
            request.text_ended = True
        except Overloaded:
            request.refused_at = time.time()
        except NodeUnavailable:
            pass

    async def _pieces(self, stream: TextStream, text: str, size: int, pause_s: float) -> None:
        for at in range(0, len(text), size):
            await stream.write(text[at : at + size])
            await asyncio.sleep(pause_s)

    async def _cancel(self) -> None:
        unfinished = self._unfinished()
        name = self._rng.choice(unfinished).request if unfinished and self._rng.random() < 0.4 else None
        await self._send_cancel(name)

    async def _send_cancel(self, request: str | None) -> None:
        cancel = CancelSent(self.session, request, time.time())
        self._history.cancels.append(cancel)
        try:
            cancel.seq = await self._client.cancel(self.session, request)
            cancel.accepted_at = time.time()
        except (NodeUnavailable, Overloaded):
            pass


def fields_of(request: Request, *, waits: bool) -> Map:
    """The fields of the request on the wire."""
    return {
        "text": request.text,
        "sessionId": request.session,
        "phoneId": "phone",
        "requestId": request.request,
        "transport": request.transport,
        "fire_and_forget": not waits,
        "language": LANGUAGE,
        "format": request.format,
        "ttlSeconds": request.ttl_s,
    }
