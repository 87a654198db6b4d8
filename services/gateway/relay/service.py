"""Takes requests and cancels of callers that the node does not trust, and stores them within each caller's limits.

The import of such an account maps `tts.request.<session>` to `tts.relay.<account>.request.<session>`, and its cancels
likewise (`orastream init-auth --caller`). The relay answers as JetStream would, with a publish ack. So a caller that
floods costs the node a refusal for each message, and not a place in the queues of all services.

It has a NATS connection of its own: on a shared one the answers that the gateway waits for would stand behind a flood.
It subscribes without nats.micro, whose handling of a request costs several times a refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable

import structlog

from orastream.base import tasks
from orastream.broker import Broker, Headers
from orastream.contract import codec, subjects
from orastream.contract.errors import InvalidRequest, NodeUnavailable, OrastreamError, Overloaded, PublishRefused
from orastream.contract.trace_context import carrier_of
from orastream.jetstream import management
from orastream.jetstream.answers import Ack
from orastream.jetstream.api import JetStream
from services.gateway.known_voices import KnownVoices
from services.gateway.relay import acks
from services.gateway.relay.gate import CallerGate
from services.gateway.relay.lanes import Lane, SessionOrder
from services.gateway.relay.repeats import Repeats
from services.gateway.relay.voices import VoicesRelay

QUEUE = "q"
PATIENCE_S = 5.0
"""A message that is not stored so long after it came is refused: its caller's client has sent it again, or given up."""
AT_ONCE = 32
"""Messages of all callers that are being stored at the same time."""
MAX_REFUSALS = 256
"""Refusals that wait to be sent. Beyond them a message gets no answer, as one that was lost."""
REFUSAL_EVERY_S = 0.005
"""Interval of refusals. A caller that sends again at once after each refusal is slowed down by it."""
STOP_S = 2.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def serving(
    broker: Broker, gate: CallerGate, voices: KnownVoices, count: Callable[[str, str], None]
) -> AsyncIterator[None]:
    """Relay messages while the context is open, over `broker`, which it opens. `count` counts (route, outcome).

    At the end those in progress have STOP_S seconds to be acked.
    """
    async with broker:
        relay = Relay(JetStream(broker), gate, count)
        subscriptions = [
            await broker.subscribe(subject, relay.on_message, queue=QUEUE)
            for subject in (broker.names.relay_subject("*", kind, "*") for kind in ("request", "cancel"))
        ]
        answering = VoicesRelay(broker, gate.guests, voices, count)
        await answering.open()
        sending = asyncio.create_task(relay.send_refusals(), name="relay refusals")
        telling = asyncio.create_task(answering.run(), name="relay voices")
        try:
            yield
        finally:
            for subscription in subscriptions:
                await subscription.close()
            await relay.finished(STOP_S)
            await tasks.end(sending)
            await tasks.end(telling)
            await answering.close()


class Relay:
    """Relays the messages of all callers. For one event loop."""

    def __init__(self, js: JetStream, gate: CallerGate, count: Callable[[str, str], None]) -> None:
        self._js = js
        self._stream = js.names.sessions_stream
        self._gate = gate
        self._count = count
        self._lanes: dict[tuple[str, str], Lane] = {}  # by account and kind
        self._order = SessionOrder()
        self._repeats = Repeats()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._working: set[asyncio.Task[None]] = set()
        self._refusals: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_REFUSALS)

    def on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """Take a message, or refuse it."""
        _, account, kind, session = subject.rsplit(".", 3)
        lane = self._lanes.setdefault((account, kind), Lane())
        if not subjects.usable(session):
            self._refuse(
                kind, reply, acks.refused(self._stream, acks.INVALID, "the session's token in the subject is not valid")
            )
            return
        if (full := lane.enter(len(data))) is not None:
            self._refuse(kind, reply, acks.refused(self._stream, acks.FULL, full))
            return
        relayed = self._relay(account, kind, session, (reply, data, headers))
        task = asyncio.create_task(relayed)
        self._working.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._working.discard(done)
            lane.leave(len(data))
            if not lane.waiting:
                self._lanes.pop((account, kind), None)

        task.add_done_callback(ended)

    async def send_refusals(self) -> None:
        """Send refusals until cancelled, at a limited rate."""
        while True:
            await self._answer(*await self._refusals.get())
            await asyncio.sleep(REFUSAL_EVERY_S)

    async def finished(self, grace_s: float) -> None:
        """Return when nothing is in progress, or after `grace_s` seconds."""
        if self._working:
            await asyncio.wait(set(self._working), timeout=grace_s)

    def _refuse(self, kind: str, reply: str, answer: bytes) -> None:
        self._count(f"relay.{kind}", "overloaded")
        if reply:
            with contextlib.suppress(asyncio.QueueFull):
                self._refusals.put_nowait((reply, answer))

    async def _relay(self, account: str, kind: str, session: str, message: tuple[str, bytes, Headers]) -> None:
        reply, data, headers = message
        this = asyncio.current_task()
        assert this is not None
        before = self._order.follow(account, session, this)
        outcome = "accepted"
        try:
            async with asyncio.timeout(PATIENCE_S):
                if before is not None:
                    await asyncio.wait({before})
                async with self._at_once:
                    answer = acks.stored(self._stream, await self._stored(account, kind, session, data, headers))
        except Overloaded as exc:
            self._refuse(kind, reply, acks.refused(self._stream, acks.FULL, str(exc)))
            return
        except PublishRefused as exc:
            answer, outcome = acks.refused(self._stream, exc.err_code or acks.INVALID, exc.description), "overloaded"
        except InvalidRequest as exc:
            answer, outcome = acks.refused(self._stream, acks.INVALID, str(exc)), "invalid_request"
        except (OrastreamError, TimeoutError) as exc:
            log.debug("a message was not relayed", account=account, error=str(exc) or type(exc).__name__)
            answer, outcome = (
                acks.refused(self._stream, acks.BUSY, "the node does not answer; try again"),
                "unavailable",
            )
        except Exception:  # noqa: BLE001 - an error in one message must not end the relay: it is logged and answered
            log.exception("relaying a message met an error of ours", account=account)
            answer, outcome = acks.refused(self._stream, acks.BUSY, "an error of the gateway; see its log"), "internal"
        self._count(f"relay.{kind}", outcome)
        if reply:
            await self._answer(reply, answer)

    async def _stored(self, account: str, kind: str, session: str, data: bytes, headers: Headers) -> Ack:
        """Store the message, or find the ack of the same one sent before."""
        given = headers.get("Nats-Msg-Id")
        # Of this account alone; and never without: a publish that is repeated because its ack was lost must not count
        # as a second request.
        message_id = f"{account}.{kind}.{session}.{given or uuid.uuid4().hex}"
        if (first := self._repeats.first(message_id)) is not None:
            await asyncio.wait({first})
            if first.cancelled():
                raise NodeUnavailable("the same message, sent before, was not stored")
            return Ack(first.result().sequence, duplicate=True)
        ack = self._repeats.begin(message_id)
        try:
            if kind == "request":
                await self._gate.admit(account, _characters(data) if self._gate.counts_characters else 0)
                subject = self._js.names.ingest_subject(account, session)
            elif (nothing := await self._nothing_to_cancel(session)) is not None:
                ack.set_result(nothing)
                return nothing
            else:
                subject = self._js.names.cancel(session)
            stored = await self._js.store(
                subject, data, message_id=message_id, more_headers=carrier_of(headers.get), patience_s=PATIENCE_S
            )
            ack.set_result(stored)
            return stored
        finally:
            if not ack.done():
                ack.cancel()

    async def _nothing_to_cancel(self, session: str) -> Ack | None:
        """An ack for a cancel of a session without stored messages: a flood of them must not wake the bridges.

        None if it has any, or a report: what is delivered may still be heard, and its request is not stored any more.
        """
        names = self._js.names
        for stream, subject in (
            (names.sessions_stream, names.session_events(session)),
            (names.reports_stream, names.reports(session)),
        ):
            if await self._js.after(stream, subject, 0) is not None:
                return None
        answer = await management.stream_info(self._js, self._js.names.sessions_stream, patience_s=PATIENCE_S)
        state = management.checked(self._js.names.sessions_stream, answer, "state")["state"]
        return Ack(int(state["last_seq"]), duplicate=False)

    async def _answer(self, reply: str, answer: bytes) -> None:
        try:
            await self._js.broker.publish(reply, answer)
        except OrastreamError as exc:
            log.debug("an answer of the relay could not be sent", error=str(exc))


def _characters(data: bytes) -> int:
    try:
        text = codec.decode(data).get("text")
    except InvalidRequest:
        return 0  # the node answers it with a report
    return len(text) if isinstance(text, str) else 0
