"""`tts.speak`: a nats.micro service, shared by all gateways, for callers that use NATS request-reply."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import structlog

from orastream import traces
from orastream.base.version import VERSION
from orastream.broker import Answer, Broker, Question, ServiceConfig
from orastream.client.acceptance import Acceptance
from orastream.contract import codec, subjects
from orastream.contract.caller import UNKNOWN
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import (
    InvalidRequest,
    OrastreamError,
    Overloaded,
    WaitTimeout,
)
from orastream.contract.messages import Report, ReportError
from orastream.contract.names import Names
from services.gateway.access.fair_share import FairShare
from services.gateway.relay.gate import CallerGate
from services.gateway.request_service import MAX_IN_FLIGHT, RequestService
from services.gateway.service_errors import error_headers, outcome_of, public_text, service_code

NAME = "tts-speak"
ROUTE = "tts.speak"
"""In metrics and traces, whatever the prefix."""
STOP_S = 2.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def serving(
    broker: Broker, request_service: RequestService, gate: CallerGate, *, grace_s: float
) -> AsyncIterator[None]:
    """Answer `tts.speak` while the context is open.

    At the end it first unsubscribes, so that other gateways get new requests. Then it waits at most `grace_s` seconds
    for the requests in flight.
    """
    speaker = SpeakService(request_service, gate, broker.names)
    about = ServiceConfig(
        broker.names.service("speak"), VERSION, "Speaks a text to a phone; answers when accepted or delivered"
    )
    names = broker.names
    endpoints = {f"{NAME}{n or ''}": subject for n, subject in enumerate(names.with_front(names.speak))}
    endpoints[f"{NAME}-of"] = names.asked_subject("*", names.speak)
    service = await broker.serve(about, endpoints, speaker.answers)
    yield
    if broker.connected:  # the server drops the subscriptions of a lost connection by itself
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await service.stop()
    await speaker.finished(grace_s)


class SpeakService:
    """Answers requests concurrently, each in the encoding of the request."""

    def __init__(self, request_service: RequestService, gate: CallerGate, names: Names) -> None:
        self._request_service = request_service
        self._names = names
        self._gate = gate
        self._share = FairShare(MAX_IN_FLIGHT, MAX_IN_FLIGHT // 2)
        self._in_flight = 0
        self._changed = asyncio.Event()

    async def answers(self, question: Question) -> AsyncGenerator[Answer, None]:
        """Yield the reply to one question."""
        caller, _ = self._names.asked_by(question.subject)
        yield await self.answer(question.data, question.headers, caller)

    async def answer(self, payload: bytes, headers: Mapping[str, str], caller: str = UNKNOWN) -> Answer:
        """The reply to one request of an account, and the reply's headers. Raises nothing except when cancelled.

        The reply is the acceptance or the final report. A refusal is a `failed` report with error headers: 400 for an
        invalid request, 503 when the node cannot take it, 500 for an error in the gateway. After a timeout the reply
        is 504 with the newest report, which is not final: the request goes on.
        """
        encoding = codec.encoding_of(payload)
        self._in_flight += 1
        try:
            about = traces.messaging("process", "process", ROUTE, ROUTE, group=NAME)
            parent = traces.carrier_of(headers.get)
            with traces.begin("process tts.speak", parent=parent, kind="server", attributes=about) as span:
                body, problem, outcome = await self._spoken(payload, encoding, span, caller)
                span.set({"orastream.outcome": outcome})
                if problem is not None:
                    span.fail(outcome)
            self._request_service.count(ROUTE, outcome)
            return codec.encode(body, encoding), problem
        finally:
            self._in_flight -= 1
            self._changed.set()

    async def finished(self, grace_s: float) -> None:
        """Return when no request is in flight, or after `grace_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._in_flight:
                    self._changed.clear()
                    await self._changed.wait()

    async def _spoken(
        self, payload: bytes, encoding: Encoding, span: traces.Span, caller: str
    ) -> tuple[Map, dict[str, str] | None, str]:
        fields: Map = {}
        full = self._share.enter(caller)
        try:
            if full is not None:
                raise Overloaded(full)
            fields = codec.decode(payload)
            account = self._gate.account(caller)
            if account:
                text = fields.get("text")
                await self._gate.admit(account, len(text) if isinstance(text, str) else 0)
            result = await self._request_service.speak(fields, encoding, trace=span, caller=caller, account=account)
        except WaitTimeout as exc:
            standing = await self._standing(exc)
            return standing.to_map(), error_headers("504", str(exc)), "wait_timeout"
        except OrastreamError as exc:
            return refusal(fields, exc).to_map(), error_headers(service_code(exc), public_text(exc)), outcome_of(exc)
        except Exception:  # noqa: BLE001 - an error in one request must not end the gateway: it is logged and answered
            log.exception("a request met an error of ours")
            internal = OrastreamError("an error of the gateway; see its log")
            return refusal(fields, internal).to_map(), error_headers("500", str(internal)), "internal"
        finally:
            if full is None:
                self._share.leave(caller)
        return result.to_map(), None, "accepted" if isinstance(result, Acceptance) else result.status

    async def _standing(self, exc: WaitTimeout) -> Report:
        report: Report | None = None
        with contextlib.suppress(OrastreamError):
            async with asyncio.timeout(STOP_S):
                report = await self._request_service.client.report(exc.session_id, exc.request_id)
        return report or Report(request_id=exc.request_id, session_id=exc.session_id, request_seq=0, status="queued")


def refusal(fields: Map, exc: OrastreamError) -> Report:
    """The `failed` report of a request that was not stored: with sequence 0, and with the ids that are valid."""
    return Report(
        request_id=_usable(fields.get("requestId")) or "",
        session_id=_usable(fields.get("sessionId")) or "",
        phone_id=_usable(fields.get("phoneId")),
        request_seq=0,
        status="failed",
        error=ReportError.of(exc.code, public_text(exc)),
    )


def _usable(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return subjects.check_id(value, "id")
    except InvalidRequest:
        return None
