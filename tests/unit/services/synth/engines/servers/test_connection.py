"""Connections to speech servers, without a server."""

from __future__ import annotations

import ssl

import pytest

from services.synth.engines.servers import connection

pytestmark = pytest.mark.unit


def test_authorities_of_the_system_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them takes tens of milliseconds, and each sentence and each check has a connection."""
    contexts: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def counted() -> ssl.SSLContext:
        contexts.append(create())
        return contexts[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    connection._system_tls.cache_clear()
    for port in range(3):
        with connection.ServerConnection(f"https://127.0.0.1:{port + 1}", silence_s=1):
            pass
    connection._system_tls.cache_clear()
    assert len(contexts) == 1 and contexts[0].verify_mode is ssl.CERT_REQUIRED and contexts[0].check_hostname
