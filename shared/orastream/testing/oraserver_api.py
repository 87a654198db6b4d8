"""Asks the reference OraServer over its HTTP API (docs/guide/reference-oraserver.md). Blocking, thread-safe."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

from orastream.contract.errors import InvalidRequest, NodeUnavailable, OrastreamError

ANSWER_S = 30.0
POLL_S = 0.05

Utterance = dict[str, Any]
"""One utterance of `GET /received`, with the names of its JSON: `requestId`, `text`, `complete`, `chunks`, …"""


class NotReceived(OrastreamError, AssertionError):
    """OraServer has not received an utterance in time. The message says what it has received."""


class OraServerApi:
    """What a test asks the reference OraServer."""

    def __init__(self, url: str, token: str | None = None) -> None:
        """`url` is `http://host:port`, `token` its ORASERVER_TOKEN."""
        parts = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._address = parts.hostname or "127.0.0.1", parts.port or 80

    def listing(self, session_id: str | None = None) -> dict[str, Any]:
        """The answer of `GET /received`, only of one session if given. Raises NodeUnavailable."""
        query = "" if session_id is None else f"?session={quote(session_id, safe='')}"
        found: dict[str, Any] = self.call("GET", f"/received{query}")
        return found

    def violations(self, session_id: str | None) -> list[str]:
        """The rules of the protocol that were broken, as `rule: detail`. Raises NodeUnavailable."""
        found = self.listing(session_id)
        counts = [*found["connectionViolations"], *(v for u in found["utterances"] for v in u["violations"])]
        return [f"{count['rule']}: {count['detail']}" for count in counts]

    def until_received(self, request_id: str, *, session_id: str | None, timeout_s: float) -> Utterance:
        """Wait for a complete utterance and return it. Raises NotReceived after `timeout_s` s, NodeUnavailable."""
        deadline = time.monotonic() + timeout_s
        while True:
            utterances = self.listing(session_id)["utterances"]
            for utterance in utterances:
                if utterance["requestId"] == request_id and utterance["complete"]:
                    return dict(utterance)
            if time.monotonic() >= deadline:
                has = [f"{u['requestId']} ({'' if u['complete'] else 'in'}complete)" for u in utterances]
                what = ", ".join(has) or "nothing"
                raise NotReceived(f"OraServer has no complete {request_id} after {timeout_s:g} s; it has {what}")
            time.sleep(POLL_S)

    def misbehave(self, faults: dict[str, object]) -> None:
        """Replace all faults. Raises InvalidRequest, which names the fault, and NodeUnavailable."""
        self.call("POST", "/misbehave", faults)

    def forget(self) -> None:
        """Clear the faults, and forget all utterances and violations; the files stay. Raises NodeUnavailable."""
        self.call("DELETE", "/misbehave")
        self.call("DELETE", "/received")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON that it answers, None without a body. Raises NodeUnavailable, InvalidRequest for a status 422."""
        connection = http.client.HTTPConnection(*self._address, timeout=ANSWER_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            answer = connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as exc:
            where = "{}:{}".format(*self._address)
            text = f"OraServer at {where} does not answer: {exc}; restart it with restart('oraserver')"
            raise NodeUnavailable(text) from exc
        finally:
            connection.close()
        value: Any = self._decoded(data) if data and (answer.status == 422 or answer.status < 300) else None
        if answer.status == 422:
            error = value["errors"][0]
            raise InvalidRequest(error["field"], error["problem"])
        if answer.status >= 300:
            raise NodeUnavailable(f"OraServer: {method} {path}: {answer.status} {data[:200].decode(errors='replace')}")
        return value

    def _decoded(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as exc:
            where = "{}:{}".format(*self._address)
            raise NodeUnavailable(f"what answers at {where} is no OraServer: {data[:80]!r}") from exc
