"""What is refused before a route is chosen, and what a request holds until its answer has ended."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from services.gateway.guards import Guard, framing_problem, probes_only
from services.gateway.http.held import HELD
from services.gateway.http.refusals import Reason

pytestmark = pytest.mark.unit


def scope(path: str = "/", version: str = "1.1", **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "path": path, "http_version": version, "headers": raw, "method": "POST"}


async def nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


class Sent(list[dict[str, Any]]):
    async def __call__(self, message: dict[str, Any]) -> None:
        self.append(message)


async def served(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "served"})


@pytest.mark.parametrize(
    ("headers", "version", "allowed"),
    [
        ({}, "1.1", True),
        ({"content_length": "5"}, "1.1", True),
        ({"content_length": "5"}, "1.0", True),
        ({"transfer_encoding": "chunked"}, "1.1", True),
        ({"content_length": "5", "transfer_encoding": "chunked"}, "1.1", False),
        ({"transfer_encoding": "chunked", "content_length": "0"}, "1.1", False),
        ({"transfer_encoding": "chunked"}, "1.0", False),
    ],
)
async def test_request_with_two_lengths_is_refused(headers: dict[str, str], version: str, allowed: bool) -> None:
    request = scope("/v1/audio/speech", version, **headers)
    assert (framing_problem(request) is None) is allowed
    sent, reasons = Sent(), list[Reason]()
    await Guard(served, reasons.append)(request, nothing, sent)
    if allowed:
        assert (sent, reasons) == ([{"type": "served"}], [])
    else:
        assert (sent[0]["status"], reasons) == (400, ["framing"])
        assert (b"connection", b"close") in sent[0]["headers"]
        assert b'"type":"invalid_request_error"' in sent[1]["body"]


async def test_guard_frees_what_a_request_holds_after_its_answer_and_after_an_error() -> None:
    freed: list[str] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope[HELD].callback(freed.append, scope["path"])
        await send({"type": "served"})
        assert not freed
        if scope["path"] == "/fails":
            raise OSError

    for path in ("/ok", "/fails"):
        with contextlib.suppress(OSError):
            await Guard(app, lambda _reason: None)(scope(path), nothing, Sent())
        assert freed.pop() == path


async def test_spare_connections_serve_only_health_checks() -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        sent = Sent()
        await probes_only(served)(scope(path), nothing, sent)
        assert sent == [{"type": "served"}]
    for path, shape in (("/api/node", b'"retryable":true'), ("/v1/models", b'"type":"server_error"')):
        sent = Sent()
        await probes_only(served)(scope(path), nothing, sent)
        assert sent[0]["status"] == 503
        assert {(b"connection", b"close"), (b"retry-after", b"1")} <= set(sent[0]["headers"])
        assert shape in sent[1]["body"]
