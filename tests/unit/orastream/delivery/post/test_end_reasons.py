"""The reason of a failed POST has what an operator needs: the status, and the size if that may be the cause."""

from __future__ import annotations

import errno

import aiohttp
import pytest

from orastream.delivery.post.end_reasons import PostReasons, answered
from orastream.tls import ORASERVER, ClientTls, TlsFiles

pytestmark = pytest.mark.unit

REASONS = PostReasons("http://127.0.0.1:1/api/tts", ClientTls(TlsFiles(ORASERVER)))


def test_only_a_413_names_the_size() -> None:
    assert answered(413, 12_345) == "the POST was answered by HTTP 413: OraServer does not take a body of 12345 bytes"
    assert answered(403, 12_345) == "the POST was answered by HTTP 403"


def test_no_reason_has_the_address_with_its_secrets() -> None:
    for error in (
        aiohttp.ClientOSError(errno.EPIPE, "Can not write request body for http://127.0.0.1/tts?key=secret"),
        aiohttp.ClientOSError(None, "Can not write request body for http://127.0.0.1/tts?key=secret"),
        ValueError("http://user:secret@host"),
    ):
        said = REASONS.failed(error, 12_345, untried=True)
        assert "secret" not in said and ("12345 bytes" in said or "ORASERVER_HTTP_URL" in said)


def test_a_connection_that_breaks_names_the_size() -> None:
    broke = aiohttp.ClientOSError(errno.ECONNRESET, "Connection reset by peer")
    said = REASONS.failed(broke, 12_345, untried=True)
    assert said == "the connection broke during the POST of 12345 bytes (Connection reset by peer)"
    assert REASONS.failed(aiohttp.ServerDisconnectedError(), 1, untried=True) == (
        "the connection ended without an answer to the POST"
    )
