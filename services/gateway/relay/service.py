"""Takes requests and cancels of callers that the node does not trust, and stores them within each caller's limits.

The import of such an account maps `tts.request.<session>` to `tts.relay.<account>.request.<session>`, and its cancels
likewise (`orastream init-auth --caller`). The relay answers as JetStream would, with a publish ack. So a caller that
floods costs the node a refusal for each message, and not a place in the queues of all services.

It subscribes without nats.micro, whose handling of a request costs several times a refusal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from orastream.base import tasks
from orastream.broker import Headers
from orastream.contract import codec, stream_names, subjects
from orastream.contract.caller import ingest_subject
from orastream.contract.errors import InvalidRequest, NodeUnavailable, OrastreamError, PublishRefused
from orastream.contract.trace_context import carrier_of
from orastream.jetstream import management
from orastream.jetstream.answers import Ack
from orastream.jetstream.api import JetStream
from services.gateway.access.caller_limits import CallerLimits
from services.gateway.access.fair_share import FairShare
from services.gateway.access.policy import ApiCaller
from services.gateway.http.responses import Refused
from services.gateway.relay import acks
from services.gateway.relay.pending import PendingRequests
from services.gateway.request_service import RequestService

QUEUE = "q"
MAX_IN_PROGRESS = 512
MAX_OF_ONE_CALLER = 64
MAX_REFUSALS = 1024
"""Refusals that wait to be sent. Beyond them a message gets no answer: its sender repeats it, or gives up."""
PATIENCE_S = 5.0
"""How long a message is repeated that a stream does not ack. The caller's client repeats it, too."""
STOP_S = 2.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def serving(
    js: JetStream, request_service: RequestService, limits: CallerLimits, pending: PendingRequests
) -> AsyncIterator[None]:
    """Relay messages while the context is open. At the end those in progress have STOP_S seconds to be acked."""
    relay = Relay(js, request_service, limits, pending)
    subscriptions = [
        await js.broker.subscribe(subject, relay.on_message, queue=QUEUE)
        for subject in (subjects.RELAY_REQUESTS, subjects.RELAY_CANCELS)
    ]
    sending = asyncio.create_task(relay.send_refusals(), name="relay refusals")
    try:
        yield
    finally:
        for subscription in subscriptions:
            await subscription.close()
        await relay.finished(STOP_S)
        await tasks.end(sending)


class Relay:
    """Relays the messages of all callers. For one event loop."""

    def __init__(
        self, js: JetStream, request_service: RequestService, limits: CallerLimits, pending: PendingRequests
    ) -> None:
        self._js = js
        self._request_service = request_service
        self._limits = limits
        self._pending = pending
        self._share = FairShare(MAX_IN_PROGRESS, MAX_OF_ONE_CALLER)
        self._working: set[asyncio.Task[None]] = set()
        self._refusals: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_REFUSALS)

    def on_message(self, subject: str, reply: str, data: bytes, headers: Headers) -> None:
        """Begin to relay a message, or refuse it."""
        _, _, account, kind, session = subject.split(".")
        full = self._share.enter(account)
        if full is not None:
            self._request_service.count(f"relay.{kind}", "overloaded")
            if reply:
                with contextlib.suppress(asyncio.QueueFull):
                    self._refusals.put_nowait((reply, acks.refused(acks.FULL, full)))
            return
        task = asyncio.create_task(self._relay(account, kind, session, (reply, data, headers)))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def send_refusals(self) -> None:
        """Send refusals until cancelled."""
        while True:
            await self._answer(*await self._refusals.get())

    async def finished(self, grace_s: float) -> None:
        """Return when nothing is in progress, or after `grace_s` seconds."""
        if self._working:
            await asyncio.wait(set(self._working), timeout=grace_s)

    async def _relay(self, account: str, kind: str, session: str, message: tuple[str, bytes, Headers]) -> None:
        reply, data, headers = message
        outcome = "accepted"
        try:
            if kind == "request":
                ack = await self._request(account, session, data, headers)
            else:
                ack = await self._cancel(account, session, data, headers)
            answer = acks.stored(ack)
        except Refused as exc:
            answer, outcome = acks.refused(acks.FULL, exc.answer.body["error"]["message"]), "rate_limited"
        except PublishRefused as exc:
            answer, outcome = acks.of_refusal(exc), "overloaded"
        except InvalidRequest as exc:
            answer, outcome = acks.refused(acks.FULL, str(exc)), "invalid_request"
        except OrastreamError as exc:
            log.debug("a message was not relayed", account=account, error=str(exc))
            answer, outcome = acks.refused(acks.BUSY, "the node does not answer; try again"), "unavailable"
        except Exception:  # noqa: BLE001 - an error in one message must not end the relay: it is logged and answered
            log.exception("relaying a message met an error of ours", account=account)
            answer, outcome = acks.refused(acks.BUSY, "an error of the gateway; see its log"), "internal"
        finally:
            self._share.leave(account)
        self._request_service.count(f"relay.{kind}", outcome)
        if reply:
            await self._answer(reply, answer)

    async def _request(self, account: str, session: str, data: bytes, headers: Headers) -> Ack:
        if not await self._pending.take(account):
            limit = self._pending.limit
            text = f"TTS_MAX_PENDING_PER_CALLER: {limit} requests of this caller are not final; wait for some of them"
            raise PublishRefused(subjects.request(session), acks.FULL, text)
        characters = _characters(data) if self._limits.counts_characters else 0
        await self._limits.take(ApiCaller(account, account), characters)
        return await self._store(ingest_subject(account, session), account, data, headers)

    async def _cancel(self, account: str, session: str, data: bytes, headers: Headers) -> Ack:
        events = subjects.session_events(session)
        if await self._js.after(stream_names.SESSIONS, events, 0) is None:
            # Nothing to cancel. Stored, it would only wake the bridges: a flood of cancels must not.
            answer = await management.stream_info(self._js, stream_names.SESSIONS, patience_s=PATIENCE_S)
            state = management.checked(stream_names.SESSIONS, answer, "state")["state"]
            return Ack(int(state["last_seq"]), duplicate=False)
        return await self._store(subjects.cancel(session), account, data, headers)

    async def _store(self, subject: str, account: str, data: bytes, headers: Headers) -> Ack:
        given = headers.get("Nats-Msg-Id")
        return await self._js.store(
            subject,
            data,
            message_id=None if given is None else f"{account}.{given}",  # of this account alone
            more_headers=carrier_of(headers.get),
            patience_s=PATIENCE_S,
        )

    async def _answer(self, reply: str, answer: bytes) -> None:
        try:
            await self._js.broker.publish(reply, answer)
        except (NodeUnavailable, PublishRefused) as exc:
            log.debug("an answer of the relay could not be sent", error=str(exc))


def _characters(data: bytes) -> int:
    try:
        text = codec.decode(data).get("text")
    except InvalidRequest:
        return 0  # the node answers it with a report
    return len(text) if isinstance(text, str) else 0
