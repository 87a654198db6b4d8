"""Stores a request and, for a sync caller, waits for its final report. Used for both HTTP and `tts.speak`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from orastream.client.acceptance import Acceptance
from orastream.client.async_client import Client
from orastream.contract.caller import UNKNOWN
from orastream.contract.codec import Encoding, Map
from orastream.contract.errors import Overloaded, WaitTimeout
from orastream.contract.messages import Report
from orastream.service.metrics import Metrics
from orastream.traces import Parent
from services.gateway.http import outcomes
from services.gateway.known_voices import KnownVoices

MAX_IN_FLIGHT = 2048
"""Requests being stored or waited for at the same time. Each waiting one holds a subscription and a buffer."""


class RequestService:
    """Submits requests through `client`. Sync callers wait at most `wait_s` seconds. For one event loop."""

    def __init__(self, client: Client, wait_s: float, metrics: Metrics, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.client = client
        self.voices = KnownVoices(client.voices)
        self.wait_s = wait_s
        self.check_reply: Callable[[str, object], None] | None = None
        """Raises InvalidRequest for a `replyTo` that the account may not name; None: each may name any."""
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._waits: set[asyncio.Timeout] = set()
        self._closes_at: float | None = None
        self._on_close: set[Callable[[], None]] = set()
        self._requests = metrics.counter(
            "orastream_gateway_requests",
            "Requests answered, by route and outcome",
            ("route", "outcome"),
            known=outcomes.KNOWN,
        )
        self._waited = metrics.seconds(
            "orastream_gateway_wait_seconds", "How long sync callers waited, from the storing of their request on"
        )
        metrics.gauge(
            "orastream_gateway_in_flight",
            "Requests that the gateway is storing or waiting for",
            lambda: self._in_flight,
        )

    def count(self, route: str, outcome: str) -> None:
        """Count one answered request."""
        self._requests.labels(route=route, outcome=outcome).inc()

    async def speak(
        self, fields: Map, encoding: Encoding = "json", *, trace: Parent, caller: str = UNKNOWN, account: str = UNKNOWN
    ) -> Acceptance | Report:
        """Submit a request, given by its wire fields; returns its acceptance, or the final report for a sync caller.

        The request continues `trace`, and is counted for `caller`; `account` as in `Client.submit`. Raises
        InvalidRequest and Overloaded (nothing was stored), NodeUnavailable, and WaitTimeout (the request goes on).
        Cancel-safe: a stored request is still spoken.
        """
        if self.check_reply is not None:
            self.check_reply(account, fields.get("replyTo"))
        with self.place():
            acceptance, waits = await self.client.submit(
                fields, encoding=encoding, trace=trace, caller=caller, account=account
            )
            return await self._wait(acceptance) if waits else acceptance

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Count one request as in flight while the context is open. Raises Overloaded when there are too many."""
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(f"the gateway has {self._in_flight} requests in flight; try again later")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _wait(self, acceptance: Acceptance) -> Report:
        began = asyncio.get_running_loop().time()
        limit = asyncio.timeout_at(self._bounded(began + self.wait_s))
        self._waits.add(limit)
        try:
            async with limit:
                return await self.client.wait(acceptance.session_id, acceptance.request_id, self.wait_s)
        except TimeoutError:
            waited_s = asyncio.get_running_loop().time() - began
            raise WaitTimeout(acceptance.session_id, acceptance.request_id, round(waited_s, 1)) from None
        finally:
            self._waits.discard(limit)
            self._waited.observe(asyncio.get_running_loop().time() - began)

    def _bounded(self, when: float) -> float:
        return when if self._closes_at is None else min(when, self._closes_at)

    @property
    def closing(self) -> bool:
        """Whether the process ends: streams without an end of their own must end now."""
        return self._closes_at is not None

    @contextlib.contextmanager
    def calling_on_close(self, on_close: Callable[[], None]) -> Iterator[None]:
        """Call `on_close` if `close` is called while the context is open."""
        self._on_close.add(on_close)
        try:
            yield
        finally:
            self._on_close.discard(on_close)

    def close(self, grace_s: float) -> None:
        """The process ends: all waiting and new callers get a report or WaitTimeout within `grace_s` seconds."""
        self._closes_at = asyncio.get_running_loop().time() + grace_s
        for limit in self._waits:
            when = limit.when()
            if when is not None:
                limit.reschedule(self._bounded(when))
        for on_close in tuple(self._on_close):
            on_close()
