"""Callers who wait for the outcome at the gateway: by `tts.speak` and by HTTP."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp

from orastream.broker import Broker
from orastream.contract.codec import Map
from orastream.contract.errors import NodeUnavailable
from tests.chaos.composed.history import FINAL, Request

GATEWAY_WAIT_S = 30.0
"""The gateway's own limit (GATEWAY_GATEWAY_WAIT_SECONDS)."""
TIMEOUT_S = GATEWAY_WAIT_S + 5.0


class Gateway:
    """Asks the gateway at `url`, and records in the request what it answers."""

    def __init__(self, url: str, broker: Broker) -> None:
        self._url = url
        self._broker = broker

    async def speak(self, request: Request, fields: Map) -> None:
        """Ask by `tts.speak`."""
        try:
            data, headers = await self._broker.request("tts.speak", json.dumps(fields).encode(), timeout_s=TIMEOUT_S)
        except NodeUnavailable:
            return
        record(request, int(headers.get("Nats-Service-Error-Code") or 200), json.loads(data))

    async def convert(self, request: Request, fields: Map) -> None:
        """Ask by HTTP."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_S)) as http:
                async with http.post(f"{self._url}/api/convert-tts/", json=fields) as answer:
                    record(request, answer.status, await answer.json())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return


def record(request: Request, status: int, body: dict[str, Any]) -> None:
    """Record the answer: the final report, a refusal, or that the gateway has waited long enough."""
    code = (body.get("error") or {}).get("code")
    if body.get("status") in FINAL and int(body.get("requestSeq") or 0) > 0:
        request.seq, request.answer = int(body["requestSeq"]), body
    elif status in (400, 422) or (status == 503 and code == "overloaded"):
        request.refused_at = time.time()
    elif status == 504:
        request.gave_up_at = time.time()
        request.seq = int(body.get("requestSeq") or 0) or None
