"""Answers `tts.report.get`, `tts.report.read`, `tts.reports.read`, `tts.audio.read`, `tts.heard.read` and
`tts.heards.read`: a nats.micro service.

All gateways share it. It reads for callers who may not read JetStream: those in a NATS account of their own
(`contract/reads.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import structlog

from orastream.base.version import VERSION
from orastream.broker import Answer, Question, ServiceConfig
from orastream.client.report_lookup import last_report
from orastream.contract import subjects
from orastream.contract.audio_messages import AudioEnd, unpack
from orastream.contract.errors import InvalidRequest, OrastreamError, Overloaded, Undecodable
from orastream.contract.messages import Report
from orastream.contract.names import Names
from orastream.contract.reads import NEXT, ReadQuery
from orastream.contract.report_state import state_of
from orastream.jetstream.api import JetStream, Stored
from orastream.jetstream.feed import Feed
from services.gateway.access.fair_share import FairShare
from services.gateway.reads.pages import live_page, stored_page
from services.gateway.request_service import RequestService
from services.gateway.service_errors import error_headers, outcome_of, public_text, service_code

MAX_READS = 1024
"""Reads in progress at the same time. Each waiting one holds a subscription and a buffer."""
MAX_OF_ONE_CALLER = MAX_READS // 4
STOP_S = 2.0

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def serving(js: JetStream, request_service: RequestService, *, max_text_chars: int) -> AsyncIterator[None]:
    """Answer reads while the context is open. Reads in progress end when `request_service` closes."""
    reads = ReadService(js, request_service, max_text_chars=max_text_chars)
    about = ServiceConfig(
        js.names.service("read"), VERSION, "Reads reports, audio and what was heard, for callers without JetStream"
    )
    service = await js.broker.serve(about, endpoints(js.names), reads.answers)
    yield
    if js.broker.connected:  # the server drops the subscriptions of a lost connection by itself
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await service.stop()
    await reads.finished(STOP_S)


def endpoints(names: Names) -> dict[str, str]:
    """The endpoints of the service: each question, and each as the server maps it for callers in accounts."""
    questions = {
        "report-get": names.report_get("*", "*"),
        "report-read": names.report_read("*", "*"),
        "reports-read": names.reports_read_all,
        "reports-read-session": names.reports_read("*"),
        "audio-read": names.audio_read("*", "*"),
        "heard-read": names.heard_read("*", "*"),
        "heards-read": names.heards_read("*"),
    }
    return questions | {f"{name}-of": names.asked_subject("*", subject) for name, subject in questions.items()}


class ReadService:
    """Answers the reads of all callers. For one event loop."""

    def __init__(self, js: JetStream, request_service: RequestService, *, max_text_chars: int) -> None:
        self._js = js
        self._request_service = request_service
        self._max_text_chars = max_text_chars
        self._share = FairShare(MAX_READS, MAX_OF_ONE_CALLER)
        self._changed = asyncio.Event()

    async def answers(self, question: Question) -> AsyncGenerator[Answer, None]:
        """The answers to one question. Raises nothing except when cancelled: an error is an answer with headers."""
        caller, subject = self._js.names.asked_by(question.subject)
        what, how, *tokens = subject.removeprefix(f"{self._js.names.prefix}.").split(".")
        route = f"tts.{what}.{how}"
        async with contextlib.aclosing(self._answers(route, caller, tokens, question.data)) as several:
            async for answer in several:
                yield answer
        if route != "tts.report.get":
            # Else nats-server would remember each question until the caller disconnects: 2.6 KB of memory for a page.
            yield b"", None

    async def _answers(self, route: str, caller: str, tokens: list[str], data: bytes) -> AsyncGenerator[Answer, None]:
        outcome = "found"
        refusal = self._share.enter(caller)
        try:
            if refusal is not None:
                raise Overloaded(refusal)
            query = ReadQuery.decode(data)
            if route == "tts.report.get":
                answer, outcome = await self._report(tokens, query)
                yield answer
            else:
                async with contextlib.aclosing(self._page(route, tokens, query)) as page:
                    async for answer in page:
                        yield answer
        except OrastreamError as exc:
            outcome = outcome_of(exc)
            yield b"", error_headers(service_code(exc), public_text(exc))
        except Exception:  # noqa: BLE001 - an error in one read must not end the service: it is logged and answered
            log.exception("a read met an error of ours", route=route, tokens=ascii(tokens))
            outcome = "internal"
            yield b"", error_headers("500", "an error of the gateway; see its log")
        finally:
            if refusal is None:
                self._share.leave(caller)
                self._changed.set()
            self._request_service.count(route, outcome)

    async def finished(self, grace_s: float) -> None:
        """Return when no read is in progress, or after `grace_s` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._share.taken:
                    self._changed.clear()
                    await self._changed.wait()

    async def _report(self, tokens: list[str], query: ReadQuery) -> tuple[Answer, str]:
        session, token = _valid(tokens)
        report = await self._final(session, token, query.wait_s) if query.wait_s else None
        report = report or await last_report(self._js, session, token, max_text_chars=self._max_text_chars)
        if report is None:
            return (b"", error_headers("404", "no such request within the last hour")), "not_found"
        return (report.encode("json"), None), "found"

    async def _final(self, session: str, token: str, wait_s: float) -> Report | None:
        """The final report, or None if it does not come within `wait_s` seconds, or before the gateway ends."""
        changed = asyncio.Event()
        async with Feed(
            self._js, self._js.names.reports_stream, self._js.names.report(session, token), wake=changed.set
        ) as feed:
            live = live_page(feed, changed, self._request_service, wait_s)
            async with contextlib.aclosing(live) as messages:
                async for message in messages:
                    state = state_of(message)
                    if state is not None and state.report.final:
                        return state.report
        return None

    async def _page(self, route: str, tokens: list[str], query: ReadQuery) -> AsyncGenerator[Answer, None]:
        stream, filter_ = _read_from(self._js.names, route, tokens)
        after = query.after
        if after is None:
            after = 0 if stream == self._js.names.audio_stream else await self._end_of(stream, filter_)
        found = await stored_page(self._js, stream, filter_, after)
        for message in found:
            yield _answer(message, after)
            after = message.sequence
        if not found and query.wait_s:
            changed = asyncio.Event()
            async with Feed(self._js, stream, filter_, wake=changed.set, after=after) as feed:
                live = live_page(feed, changed, self._request_service, query.wait_s)
                async with contextlib.aclosing(live) as messages:
                    async for message in messages:
                        yield _answer(message, after)
                        after = message.sequence
                        if stream == self._js.names.audio_stream and _ends_audio(message):
                            break
        yield b"", {NEXT: str(after)}

    async def _end_of(self, stream: str, subject: str) -> int:
        last = await self._js.last(stream, subject)
        return last.sequence if last is not None else 0


def _valid(tokens: list[str]) -> list[str]:
    """The tokens of a session and a request, as the subject of a question has them. Raises InvalidRequest."""
    for name, token in zip(("sessionId", "requestId"), tokens, strict=False):
        if subjects.untoken(token) is None:
            raise InvalidRequest(name, "its token in the subject is not valid; see the protocol's section on ids")
    return tokens


def _read_from(names: Names, route: str, tokens: list[str]) -> tuple[str, str]:
    """The stream and the filter that a question reads. Raises InvalidRequest for an invalid token."""
    _valid(tokens)
    if route == "tts.audio.read":
        return names.audio_stream, names.audio(*tokens)
    if route in ("tts.heard.read", "tts.heards.read"):
        return names.heard_stream, names.heard(*(tokens + ["*"])[:2])
    return names.reports_stream, names.report(*(tokens + ["*", "*"])[:2])


def _answer(message: Stored, before: int) -> Answer:
    return message.data, {
        "Nats-Subject": message.subject,
        "Nats-Sequence": str(message.sequence),
        "Nats-Time-Stamp": message.time,
        "Nats-Last-Sequence": str(before),
    }


def _ends_audio(message: Stored) -> bool:
    try:
        return isinstance(unpack(message.data), AudioEnd)
    except Undecodable:
        return False
