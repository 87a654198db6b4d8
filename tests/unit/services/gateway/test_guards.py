"""What is refused before a route is chosen, and what a request holds until its answer has ended."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from services.gateway.access.cross_origin import CrossOrigin
from services.gateway.guards import CrossOriginAnswers, Guard, framing_problem, probes_only
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


PREFLIGHT = {"origin": "https://app.example", "access_control_request_method": "POST"}


async def answered(path: str, method: str = "OPTIONS", **headers: str) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of what the layer answers. The application behind it answers 299 to all it gets."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": [(b"x-own", b"1")]})
        await send({"type": "http.response.body", "body": b"own"})

    sent = Sent()
    layer = CrossOriginAnswers(app, CrossOrigin(["app.example"], keys=True))
    await layer(scope(path, **headers) | {"method": method}, nothing, sent)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def test_preflight_of_a_named_page_is_answered_under_the_api_alone() -> None:
    status, headers, body = await answered("/api/audio/s/r", **PREFLIGHT)
    assert (status, body, headers[b"access-control-allow-origin"]) == (204, b"", b"https://app.example")
    for path in ("/console", "/healthz", "/metrics", "/openapi.json", "/", "/apis/x"):
        status, headers, _ = await answered(path, **PREFLIGHT)
        assert (status, headers) == (299, {b"x-own": b"1"}), path


async def test_preflight_of_another_page_is_refused_with_the_name_of_the_setting() -> None:
    for path, shape in (("/api/node", b'"retryable":false'), ("/v1/models", b'"type":"invalid_request_error"')):
        status, headers, body = await answered(path, **PREFLIGHT | {"origin": "https://evil.example"})
        assert (status, headers[b"vary"]) == (403, b"Origin")
        assert not any(name.startswith(b"access-control") for name in headers)
        assert b"GATEWAY_HOSTS" in body and shape in body


async def test_other_requests_are_passed_on_and_their_answers_say_who_may_read_them() -> None:
    for method, given, allowed in (
        ("POST", {"origin": "https://app.example"}, b"https://app.example"),
        ("OPTIONS", {"origin": "https://app.example"}, b"https://app.example"),
        ("GET", {"origin": "https://evil.example"}, None),
        ("GET", {}, None),
    ):
        status, headers, body = await answered("/v1/models", method, **given)
        assert (status, body, headers[b"x-own"], headers[b"vary"]) == (299, b"own", b"1", b"Origin")
        assert headers.get(b"access-control-allow-origin") == allowed
